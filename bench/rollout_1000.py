"""A rollout on 1,000 targets that answer at once, against the bare client's limit for the same requests in the same run.

python -m bench.rollout_1000 [--targets 1000] [--repeat 3] [--tls] [--separate] [--workers 2]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bench.installation import ROOT, Installation, embedded, separate
from bench.remote import Remote, remote
from bench.rows import Row, median, show
from tests.services.shared import Missing

TITLE = "A rollout on 1,000 targets that answer at once"
THREADS = 32  # as RUN_THREADS of the settings
RULES = [{"type": "label", "key": "env", "operator": "any_of", "values": ["prod"]}]
FINAL = ("succeeded", "failed", "cancelled")


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


class Memory(threading.Thread):
    """Looks at the memory of an installation until it is told to stop; `peak` in MB."""

    def __init__(self, installation: Installation) -> None:
        super().__init__(daemon=True)
        self.installation, self.peak, self._end = installation, 0.0, threading.Event()

    def run(self) -> None:
        while not self._end.wait(0.5):
            self.peak = max(self.peak, self.installation.memory())

    def stop(self) -> float:
        self._end.set()
        self.join()
        return self.peak


def roll_out(installation: Installation, token: str, seconds: float = 600) -> dict[str, Any]:
    """Preview, start and wait for the end, through the public API; how long each took."""
    began = time.time()
    preview = installation.call("POST", "v1/rollouts/preview/", token, json={"service": "hello", "rules": RULES})
    previewed = time.time()
    body = {"digest": preview["digest"], "max_parallel": 0}
    key = {"Idempotency-Key": str(uuid.uuid4())}
    processor = installation.processor()
    started = time.time()
    rollout = installation.call("POST", "v1/rollouts/", token, json=body, headers=key)
    asked = time.time()
    until = started + seconds
    while (found := installation.call("GET", f"v1/rollouts/{rollout['id']}/", token))["state"] not in FINAL:
        if time.time() > until:
            raise RuntimeError(f"The rollout has not ended after {seconds:.0f} s: {found['state']} {found['why']}")
        time.sleep(0.5)
    if found["state"] != "succeeded":
        raise RuntimeError(f"The rollout {found['state']}: {found['why']}")
    return {
        "preview": previewed - began,
        "start": asked - started,
        "whole": at(found["ended_at"]) - started,
        "processor": installation.processor() - processor,
    }


def bare(far: Remote, size: int) -> dict[str, Any]:
    """The client alone, in a process of its own."""
    given = {"targets": far.targets, "ca": far.ca, "threads": THREADS, "size": size}
    command = [sys.executable, "-m", "bench.bare"]
    done = subprocess.run(command, cwd=ROOT, input=json.dumps(given), capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def once(targets: int, *, tls: bool, shape: str, workers: int = 2) -> dict[str, Any]:
    """One installation, one rollout, one run of the bare client right after it."""
    start = embedded() if shape == "embedded" else separate(workers)
    with remote(targets, tls=tls) as far, start as installation:
        seeded = installation.run("bench.seed", send=json.dumps({"targets": far.targets, "ca": far.ca}))
        time.sleep(5)
        rest = installation.memory()
        far.requests()
        memory = Memory(installation)
        memory.start()
        found = roll_out(installation, seeded["token"])
        found |= {"rest": rest, "peak": memory.stop(), "requests": far.requests()}
        limit = bare(far, 200)
        return found | {"bare": limit["seconds"], "bare_requests": limit["requests"]}


def rows_of(name: str, targets: int, found: list[dict[str, Any]]) -> list[Row]:
    """The rows of one shape from its repeats."""
    rates = [targets / each["whole"] for each in found]
    limits = [targets / each["bare"] for each in found]
    kinds = ", ".join(
        f"{kind.rstrip('/')} {count / targets:.2f}" for kind, count in sorted(found[-1]["requests"].items())
    )
    return [
        median(f"{name}: targets a second", rates, "/s", aim="100"),
        median(f"{name}: the bare client's limit", limits, "/s"),
        median(
            f"{name}: how often the limit",
            [limit / rate for rate, limit in zip(rates, limits, strict=True)],
            "x",
            aim="2",
        ),
        median(
            f"{name}: requests a target", [sum(each["requests"].values()) / targets for each in found], "", note=kinds
        ),
        median(f"{name}: requests a target, bare", [each["bare_requests"] / targets for each in found], ""),
        median(f"{name}: preview", [each["preview"] for each in found], "s"),
        median(f"{name}: answer to Start", [each["start"] for each in found], "s"),
        median(f"{name}: processor a target", [1000 * each["processor"] / targets for each in found], "ms"),
        median(f"{name}: memory before", [each["rest"] for each in found], "MB"),
        median(f"{name}: memory at its highest", [each["peak"] for each in found], "MB"),
    ]


def run(
    targets: int = 1000, repeat: int = 3, cases: Sequence[tuple[str, bool, str]] | None = None, workers: int = 2
) -> list[Row]:
    rows: list[Row] = []
    for name, tls, shape in cases or (
        ("http", False, "embedded"),
        ("https", True, "embedded"),
        ("http, PostgreSQL", False, "separate"),
    ):
        with contextlib.suppress(Missing):
            rows += rows_of(
                name, targets, [once(targets, tls=tls, shape=shape, workers=workers) for _ in range(repeat)]
            )
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--separate", action="store_true", help="PostgreSQL, RabbitMQ and workers of their own")
    parser.add_argument("--workers", type=int, default=2, help="how many of them")
    given = parser.parse_args()
    shape = "separate" if given.separate else "embedded"
    case = (f"{'https' if given.tls else 'http'}, {shape}", given.tls, shape)
    show(TITLE, run(given.targets, given.repeat, [case], given.workers))
    return 0


if __name__ == "__main__":
    sys.exit(main())
