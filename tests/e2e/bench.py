"""The measures of clusters: `python -m tests.e2e.bench [NAMES]`, or `make bench-cluster`. Needs root and hours for all of them.

install      ten hosts by tests/lab/baseline.sh, then by the portal, then again: ratio, and what a second run takes
leader-cut   the power of the database's leader is cut, N times
switchover   another leader, through Patroni as the product does it
freezes      the leader stalls for 1 to 3 s every 20 s, ten minutes long: nobody else may become leader
partition    the leader is cut off from the other hosts
rollout      a management host loses power under a rollout on 200 targets

All but `install` run on a lab that was kept (--from NAME; docs/lab.md). Every value is kept in var/e2e/bench.json.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.rows import Row, keep, machine, median, show
from tests.e2e import bench_rollout
from tests.e2e.stand import CLUSTER, FOLDER, Stand, restored
from tests.e2e.topologies import TOPOLOGIES
from tests.e2e.writer import Writer
from tests.lab import Lab
from tests.services.portal import ROOT

PATRONICTL = ("timeout", "30", "patronictl", "-c", "/etc/patroni/config.yml")


@contextlib.contextmanager
def writing(stand: Stand, name: str) -> Iterator[Writer]:
    """A counting writer at the entrance; RuntimeError where an acknowledged write is gone in the end."""
    writer = stand.writer(name)
    writer.start()
    try:
        writer.wait_for(10, 120)
        yield writer
    finally:
        writer.stop()
    if lost := writer.lost():
        raise RuntimeError(f"{len(lost)} of {len(writer.acknowledged)} acknowledged writes are lost: {lost[:5]}")


def struck(
    stand: Stand, name: str, begin: Callable[[], object], end: Callable[[], object], *, seconds: float = 0
) -> float:
    """The longest gap between two acknowledged writes while something happens, and is mended again."""
    stand.wait_until_whole(240)
    with writing(stand, name) as writer:
        begin()
        try:
            time.sleep(seconds)
            writer.wait_for(20, 180)
        finally:
            end()
        writer.wait_for(10, 180)
    stand.wait_until_whole(300)
    return writer.longest_gap


def leader_cut(stand: Stand, given: argparse.Namespace) -> list[Row]:
    gaps = []
    for number in range(given.times):
        stand.wait_until_whole(300)
        host = stand.lab.host(stand.leader())
        gaps.append(struck(stand, f"cut{number}", host.cut, lambda host=host: host.start().wait()))  # type: ignore[misc]
        print(f"  {number + 1}: {host.name}, {gaps[-1]} s", flush=True)
    return [
        median("power cut of the leader: longest gap, median", gaps, "s", aim="25", note="nothing acknowledged lost"),
        Row("the same, worst", max(gaps), "s", aim="30", raw=gaps),
    ]


def switchover(stand: Stand, given: argparse.Namespace) -> list[Row]:
    def change() -> None:
        stand.lab.host(stand.leader()).console_run(*PATRONICTL, "switchover", "--force", seconds=60)

    gaps = [struck(stand, f"switch{number}", change, lambda: None) for number in range(min(given.times, 5))]
    return [median("switchover: longest gap", gaps, "s", aim="5")]


def partition(stand: Stand, given: argparse.Namespace) -> list[Row]:
    gaps = []
    for number in range(min(given.times, 3)):
        stand.wait_until_whole(300)
        host = stand.lab.host(stand.leader())
        gaps.append(struck(stand, f"part{number}", host.partition, host.heal, seconds=35))
    return [median("partition of the leader for 35 s: longest gap", gaps, "s", note="nothing acknowledged lost")]


def freezes(stand: Stand, given: argparse.Namespace) -> list[Row]:
    """Stalls as of a busy hypervisor; the same leader must lead all the time."""
    stand.wait_until_whole(240)
    leader, changes, stalls = stand.leader(), [], []
    host = stand.lab.host(leader)
    chance = random.Random(given.seed)
    until = time.monotonic() + given.minutes * 60
    with writing(stand, "freeze") as writer:
        while time.monotonic() < until:
            stalls.append(round(chance.uniform(1, 3), 1))
            host.freeze()
            time.sleep(stalls[-1])
            host.thaw()
            time.sleep(20 - stalls[-1])
            if (now := stand.leader()) != leader:
                changes.append(f"{leader} to {now} after a stall of {stalls[-1]} s")
                leader, host = now, stand.lab.host(now)
    note = "; ".join(changes) or f"{len(stalls)} stalls, nothing acknowledged lost"
    return [
        Row("stalls of 1 to 3 s of the leader: false failovers", len(changes), "", aim="0", note=note),
        Row("the same: longest gap", writer.longest_gap, "s"),
    ]


def rollout(stand: Stand, given: argparse.Namespace) -> list[Row]:
    return bench_rollout.measure(stand, targets=given.targets)


def baseline_seconds(prefix: str, subnet: str, bundle: Path) -> float:
    """What tests/lab/baseline.sh takes to install its ten hosts, once they are there; the management service out of `bundle`."""
    env = os.environ | {"LAB_PREFIX": prefix, "LAB_SUBNET": subnet, "PYTHON": sys.executable, "BUNDLE": str(bundle)}
    script = str(ROOT / "tests/lab/baseline.sh")
    subprocess.run([script, "debs"], env=env, check=True, capture_output=True, timeout=1200)
    try:
        said = subprocess.run([script, "up"], env=env, check=True, capture_output=True, text=True, timeout=1800).stdout
    finally:
        subprocess.run([script, "down"], env=env, check=False, capture_output=True, timeout=300)
    line = next(line for line in said.splitlines() if line.startswith("install"))
    return float(line.split()[-2])


def longest_chain(portal: Any, run: int) -> float:
    """Of each stage its slowest lane, where each step counts from its beginning to its end: what nothing beside it can shorten."""
    by_lane: dict[tuple[int, int], float] = {}
    for step in portal.call("GET", f"runs/{run}/")["steps"]:
        if step["started_at"] and step["ended_at"]:
            seconds = bench_rollout.at(step["ended_at"]) - bench_rollout.at(step["started_at"])
            key = step["stage"], step["lane"]
            by_lane[key] = by_lane.get(key, 0.0) + seconds
    stages = {stage for stage, _ in by_lane}
    return sum(max(seconds for (each, _), seconds in by_lane.items() if each == stage) for stage in stages)


def install(given: argparse.Namespace) -> list[Row]:
    prefix = os.environ.get("LAB_PREFIX") or "e2e"
    topology = TOPOLOGIES["ten"]
    folder = FOLDER / "work-bench"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    lab = Lab.of(topology.hosts, prefix=prefix)
    with lab:
        stand = Stand(lab, "ten", "trixie", folder)
        try:
            stand.portal.start()
            stand.make_bundle()
            stand.describe()
            began = time.monotonic()
            run = stand.work("install", 1800)["run"]
            first = time.monotonic() - began
            began = time.monotonic()
            stand.work("install", 600)
            second = time.monotonic() - began
            chain = longest_chain(stand.portal, run)
        finally:
            stand.portal.close()
    plain = baseline_seconds(prefix, str(lab.network.subnet), FOLDER / "bundles" / stand.release)
    return [
        Row("ten hosts by tests/lab/baseline.sh, with the management service on three", plain, "s"),
        Row("the same by the portal", first, "s", aim="300"),
        Row("ratio", first / plain, "x", aim="1.3"),
        Row("longest chain of waits in it", chain, "s"),
        Row("a second install, which changes nothing", second, "s", aim="60"),
    ]


MEASURES: dict[str, Callable[[Stand, argparse.Namespace], list[Row]]] = {
    "switchover": switchover,
    "leader-cut": leader_cut,
    "partition": partition,
    "freezes": freezes,
    "rollout": rollout,
}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.e2e.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="all where none is given")
    parser.add_argument("--from", dest="kept", metavar="NAME", default="bench", help="the lab that was kept (bench)")
    parser.add_argument("--times", type=int, default=20, help="of leader-cut (20)")
    parser.add_argument("--minutes", type=float, default=10, help="of freezes (10)")
    parser.add_argument("--targets", type=int, default=200, help="of rollout (200)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=FOLDER / "bench.json")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a limit of time leaves no lab behind
    names = given.names or ["install", *MEASURES]
    if unknown := set(names) - {"install", *MEASURES}:
        parser.error(f"no measure is called {', '.join(sorted(unknown))}")
    print(machine())
    found: dict[str, Any] = {}
    failed = []

    def take(name: str, measure: Callable[[], list[Row]]) -> None:
        began = time.monotonic()
        try:
            found[name] = measure()
        except Exception as error:  # the other measures are worth having
            failed.append(name)
            print(f"\n{name}\n  FAILED: {type(error).__name__}: {error}", flush=True)
            return
        show(name, found[name])
        print(f"  (measured in {time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.0f})", flush=True)
        given.out.parent.mkdir(parents=True, exist_ok=True)
        keep(given.out, found)

    if "install" in names:
        take("install", lambda: install(given))
    if others := [name for name in names if name != "install"]:
        with restored(given.kept, with_bundle=False) as stand:
            print(f"{CLUSTER} from {given.kept}: {json.dumps(stand.parts)}", flush=True)
            for name in others:
                take(name, lambda name=name: MEASURES[name](stand, given))  # type: ignore[misc]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
