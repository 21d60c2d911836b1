"""200 targets that each need 60 s at a remote manager, with 4 worker threads: waiting must hold no thread.

python -m bench.waiting [--targets 200] [--install 60]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys

from bench.installation import embedded, separate
from bench.remote import remote
from bench.rollout_1000 import Memory, roll_out
from bench.rows import Row, show
from tests.services.shared import Missing

TITLE = "200 targets that each need 60 s at a remote manager, 4 worker threads"
THREADS = 4


def measure(name: str, targets: int, install: float, shape: str) -> list[Row]:
    # Four threads in all: those that take messages, and those that look at targets.
    few = {"RUN_THREADS": str(THREADS)}
    start = embedded(THREADS, **few) if shape == "embedded" else separate(workers=1, **few)
    with remote(targets, install=install) as far, start as installation:
        seeded = installation.run("bench.seed", send=json.dumps({"targets": far.targets, "ca": ""}))
        far.requests()
        memory = Memory(installation)
        memory.start()
        found = roll_out(installation, seeded["token"])
        requests = sum(far.requests().values())
        peak = memory.stop()
    return [
        Row(
            f"{name}: all {targets} ended after",
            found["whole"],
            "s",
            aim=f"{2 * install:.0f}",
            note=f"{found['whole'] / install:.2f} times one target",
        ),
        Row(f"{name}: requests a target", requests / targets, ""),
        Row(f"{name}: processor", found["processor"], "s"),
        Row(f"{name}: memory at its highest", peak, "MB"),
    ]


def run(targets: int = 200, install: float = 60.0) -> list[Row]:
    rows = measure("SQLite, one process", targets, install, "embedded")
    with contextlib.suppress(Missing):
        rows += measure("PostgreSQL and RabbitMQ, one worker", targets, install, "separate")
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, default=200)
    parser.add_argument("--install", type=float, default=60.0)
    given = parser.parse_args()
    show(TITLE, run(given.targets, given.install))
    return 0


if __name__ == "__main__":
    sys.exit(main())
