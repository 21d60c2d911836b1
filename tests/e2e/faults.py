"""At each step of an install one fault, then resume: it must end well. `python -m tests.e2e.faults`, or `make e2e-faults`.

Every pass installs the compact cluster. As a step begins, one fault strikes it: its worker is killed, the whole portal is killed,
SSH to its host is cut, its host loses power; which, rotates by the printed seed. Where the run fails it is resumed. In the end
`verify` must find everything as wanted. What each step has borne is kept in var/e2e/faults/progress.json: the same command again goes
on with what is missing, until each step has borne as many different faults as --each says.

Passes over the first stage begin with bare hosts. The later, quick ones begin with a lab that was kept when that stage had ended.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from installs.bundle.product import version_of
from tests.e2e.portal import FINAL, Portal
from tests.e2e.stand import CLUSTER, FOLDER, Stand, about
from tests.e2e.topologies import TOPOLOGIES
from tests.lab import Lab, LabError
from tests.services.portal import ROOT
from tests.services.rabbitmq import make_virtual_host
from tests.services.shared import open_session

FAULTS = ("worker killed", "portal killed", "ssh cut", "power cut")
TOPOLOGY, RELEASE = "compact", "trixie"
KEPT = "faults"  # the lab at the end of the first stage
QUICK = {"RUN_HEARTBEAT_SECONDS": "1", "RUN_DEAD_AFTER_SECONDS": "5"}  # a dead worker's steps are taken over sooner
PORTAL_GAP, HOST_GAP = (
    8.0,
    12.0,
)  # seconds between two faults that strike the portal, or one host: each is to be overcome first
CUT_SECONDS = 8.0
MOST_RESUMES = 6
# Connections that stand are broken at once, or they hang; both are met in the field.
SSH_CUTS = {"reset": "reject with tcp reset", "silence": "drop"}


@dataclass
class Step:
    """A step of the run as the portal's database has it."""

    id: int
    stage: int
    title: str
    host: str
    state: str


@dataclass
class Progress:
    """What each step has borne in passes that ended well, and the passes themselves."""

    path: Path
    borne: dict[str, list[str]] = field(default_factory=dict)  # title: faults
    passes: list[dict[str, Any]] = field(default_factory=list)
    titles: dict[str, int] = field(default_factory=dict)  # title: stage
    each: int = len(FAULTS)  # so many different faults each step is to bear

    @classmethod
    def load(cls, path: Path, each: int = len(FAULTS)) -> Progress:
        return cls(path, **json.loads(path.read_text()), each=each) if path.exists() else cls(path, each=each)

    def missing(self, kind: str = "both") -> int:
        """Of known steps: how many faults they have not borne yet."""
        titles = [title for title, stage in self.titles.items() if kind == "both" or (stage == 0) == (kind == "bare")]
        return sum(max(0, self.each - len(self.borne.get(title, ()))) for title in titles)

    def open_stages(self, wanted: str) -> list[str]:
        """`bare` and `later`, of those that are wanted, where something is missing or nothing is known yet."""
        kinds = ["later", "bare"] if wanted == "both" else [wanted]
        known = {kind: any((stage == 0) == (kind == "bare") for stage in self.titles.values()) for kind in kinds}
        return [kind for kind in kinds if not known[kind] or self.missing(kind)]

    def store(self) -> None:
        whole = {"borne": self.borne, "passes": self.passes, "titles": self.titles}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".draft")
        draft.write_text(json.dumps(whole, indent=1) + "\n")
        draft.rename(self.path)


class Striker:
    """Follows one run and strikes its steps as they begin."""

    def __init__(self, stand: Stand, run: int, seed: int, progress: Progress) -> None:
        self.stand, self.run, self.progress = stand, run, progress
        self.random = random.Random(seed)
        self.struck: list[dict[str, Any]] = []
        self.undo: list[tuple[float, Callable[[], object]]] = []
        self.quiet_until: dict[str, float] = {}  # host, "" for the portal
        self.began = time.monotonic()
        self.resumes = 0
        self.database = sqlite3.connect(stand.portal.process.data_dir / "deployon.sqlite3", timeout=30)
        self.database.execute("pragma query_only = 1")

    def steps(self) -> list[Step]:
        rows = self.database.execute(
            "select id, stage, title, args, state from runs_step where run_id = ? order by id", (self.run,)
        ).fetchall()
        hosts = self.stand.parts
        found = []
        for number, stage, title, args, state in rows:
            given = json.loads(args)
            named = [value for value in (given.values() if isinstance(given, dict) else given) if value in hosts]
            # Titles of gates do not name the host that is asked; several lanes may have the same one.
            host = named[0] if named else next(iter(hosts))
            found.append(Step(number, stage, title if host in title else f"{title} ({host})", host, state))
        return found

    def state(self) -> str:
        row = self.database.execute("select state from runs_run where id = ?", (self.run,)).fetchone()
        return str(row[0])

    def follow(self, seconds: float) -> None:
        """Until the run has succeeded; RuntimeError where it does not, for all its resumes."""
        seen = {step.id for step in self.steps() if step.state != "pending"}
        until = self.began + seconds
        while (state := self.state()) != "succeeded":
            if time.monotonic() > until:
                raise RuntimeError(f"The run is {state} after {seconds:.0f} s.")
            self.heal()
            if state in FINAL:
                self.resume()
            for step in self.steps():
                if step.id not in seen and step.state != "pending":
                    seen.add(step.id)
                    self.progress.titles[step.title] = step.stage
                    if fault := self.choose(step):
                        self.strike(step, fault)
                        break  # the rest as it is after that
            time.sleep(0.02)
        self.heal(wait=True)

    def choose(self, step: Step) -> str:
        """A fault that this step has not borne yet and that can be told from those before; "" for none."""
        now = time.monotonic()
        known = self.progress.borne.get(step.title, [])
        if len(known) >= self.progress.each:
            return ""
        open_ones = [fault for fault in FAULTS if fault not in known]
        self.random.shuffle(open_ones)
        for fault in open_ones:
            if now >= self.quiet_until.get("" if fault in FAULTS[:2] else step.host, 0.0):
                return fault
        return ""

    def strike(self, step: Step, fault: str) -> None:
        print(f"  {time.monotonic() - self.began:6.1f} s  {fault}: {step.title}", flush=True)
        host = self.stand.lab.host(step.host)
        told: dict[str, Any] = {"step": step.title, "fault": fault, "at": round(time.monotonic() - self.began, 1)}
        if fault == "worker killed":
            self.stand.portal.kill_worker()
        elif fault == "portal killed":
            self.stand.portal.kill()
        elif fault == "ssh cut":
            told["how"] = self.random.choice(list(SSH_CUTS))
            table = (
                "add table inet faults; add chain inet faults in { type filter hook input priority -10; }; "
                f"add rule inet faults in tcp dport 22 {SSH_CUTS[told['how']]}"
            )
            host.console_run("nft", table)
            self.undo.append(
                (
                    time.monotonic() + CUT_SECONDS,
                    lambda: host.console_run("nft", "delete table inet faults", check=False),
                )
            )
        else:
            host.cut()
            host.start()
        self.struck.append(told)
        is_portal = fault in FAULTS[:2]
        self.quiet_until["" if is_portal else step.host] = time.monotonic() + (PORTAL_GAP if is_portal else HOST_GAP)

    def heal(self, *, wait: bool = False) -> None:
        """Takes cuts back whose time has come."""
        for due, act in list(self.undo):
            if wait or time.monotonic() >= due:
                with contextlib.suppress(LabError):  # a host that lost power since has no cut any more
                    act()
                self.undo.remove((due, act))

    def resume(self) -> None:
        self.heal(wait=True)
        told = self.stand.portal.call("GET", f"runs/{self.run}/")
        if self.resumes >= MOST_RESUMES or told["state"] == "cancelled":
            raise RuntimeError(f"{told['title']} {told['state']}: {told['why']}")
        self.resumes += 1
        print(f"  {time.monotonic() - self.began:6.1f} s  resume after: {told['why']}", flush=True)
        self.struck.append({"resume": told["why"], "at": round(time.monotonic() - self.began, 1)})
        for name in self.stand.parts:
            self.stand.lab.host(name).start().wait()
        self.stand.portal.call("POST", f"runs/{self.run}/resume/")


def portal_with_worker(folder: Path, lab: Lab) -> Portal:
    return Portal(folder / "portal", str(lab.network.subnet), broker=make_virtual_host(), settings=QUICK)


@contextlib.contextmanager
def bare(folder: Path) -> Iterator[tuple[Stand, int]]:
    """Bare hosts, a portal that knows them, and the install that has begun."""
    names = TOPOLOGIES[TOPOLOGY].hosts
    with Lab.of(names, release=RELEASE, ordinary=[names[0]]) as lab:
        stand = Stand(lab, TOPOLOGY, RELEASE, folder, portal=portal_with_worker(folder, lab))
        try:
            stand.portal.start()
            stand.make_bundle()
            stand.describe()
            yield stand, stand.portal.begin(CLUSTER, "install")["run"]
        finally:
            stand.portal.close()


@contextlib.contextmanager
def after_the_first_stage(folder: Path) -> Iterator[tuple[Stand, int]]:
    """The lab as it was kept, and the install going on."""
    told = about(KEPT)
    with Lab.of_saved(KEPT) as lab:
        stand = Stand(lab, TOPOLOGY, RELEASE, folder, portal=portal_with_worker(folder, lab))
        try:
            stand.take_over(KEPT)
            stand.portal.start(is_new=False)
            stand.make_bundle()
            stand.portal.call("POST", f"runs/{told['run']}/resume/")
            yield stand, told["run"]
        finally:
            stand.portal.close()


def keep_first_stage(stand: Stand, run: int) -> None:
    """Pauses the install when its first stage ends, and keeps the lab with it."""
    striker = Striker(stand, run, 0, Progress(Path(os.devnull)))
    until = time.monotonic() + 900
    while any(step.state == "pending" for step in striker.steps() if step.stage == 0):
        if time.monotonic() > until or striker.state() in FINAL:
            raise RuntimeError(f"The first stage does not end: {stand.portal.call('GET', f'runs/{run}/')['why']}")
        time.sleep(0.05)
    stand.portal.call("POST", f"runs/{run}/pause/")
    while striker.state() != "paused":
        if time.monotonic() > until:
            raise RuntimeError("The run does not pause.")
        time.sleep(0.2)
    stand.save(KEPT, run=run, version=version_of(ROOT))


def is_kept() -> bool:
    """Whether a lab of this very product was kept at the end of the first stage."""
    with contextlib.suppress(LabError):
        return about(KEPT).get("version") == version_of(ROOT)
    return False


def one_pass(number: int, seed: int, progress: Progress, folder: Path, *, is_bare: bool, seconds: float) -> bool:
    """One install with faults; whether it ended well."""
    print(f"pass {number}, seed {seed}, from {'bare hosts' if is_bare else 'the second stage'}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    told: dict[str, Any] = {"pass": number, "seed": seed, "is_bare": is_bare, "result": "failed", "why": ""}
    began = time.monotonic()
    striker = None
    try:
        with bare(folder) if is_bare else after_the_first_stage(folder) as (stand, run):
            striker = Striker(stand, run, seed, progress)
            try:
                striker.follow(seconds)
                stand.fetch_ca()
                stand.settle(180)
            except Exception:
                shutil.copy2(stand.portal.process.log_file, folder.parent / f"pass-{number}.log")
                shutil.copy2(
                    stand.portal.process.data_dir / "deployon.sqlite3", folder.parent / f"pass-{number}.sqlite3"
                )
                raise
        told["result"] = "passed"
        for each in striker.struck:
            if "fault" in each and each["fault"] not in progress.borne.setdefault(each["step"], []):
                progress.borne[each["step"]].append(each["fault"])
    except (RuntimeError, LabError, requests.RequestException) as error:
        told["why"] = str(error)
    told |= {"seconds": round(time.monotonic() - began, 1), "struck": striker.struck if striker else []}
    told["faults"] = sum("fault" in each for each in told["struck"])
    progress.passes.append(told)
    progress.store()
    print(
        f"pass {number}: {told['result']}, {told['faults']} faults, {told['seconds']} s {told['why']}; missing: {progress.missing()}",
        flush=True,
    )
    return told["result"] == "passed"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.e2e.faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100000, help="of the first pass; printed")
    parser.add_argument(
        "--each",
        type=int,
        default=len(FAULTS),
        choices=range(1, 1 + len(FAULTS)),
        help="different faults for each step",
    )
    parser.add_argument("--passes", type=int, default=0, help="at most so many; 0: until nothing is missing")
    parser.add_argument("--minutes", type=float, default=0, help="begin no pass after so many")
    parser.add_argument("--stage", choices=["bare", "later", "both"], default="both")
    parser.add_argument("--again", action="store_true", help="forget what was borne before")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a limit of time leaves no lab behind
    folder = FOLDER / "faults"
    if given.again:
        shutil.rmtree(folder, ignore_errors=True)
    open_session()
    progress = Progress.load(folder / "progress.json", given.each)
    if given.stage != "bare" and not is_kept():
        print("keeping the lab at the end of the first stage", flush=True)
        shutil.rmtree(folder / "work", ignore_errors=True)
        (folder / "work").mkdir(parents=True)
        with bare(folder / "work") as (stand, run):
            keep_first_stage(stand, run)
    began, done, is_good = time.monotonic(), 0, True
    while not (given.passes and done >= given.passes):
        if given.minutes and time.monotonic() - began > given.minutes * 60:
            break
        open_ones = progress.open_stages(given.stage)
        if not open_ones:
            break
        is_bare = open_ones[done % len(open_ones)] == "bare"
        number = len(progress.passes) + 1
        is_good &= one_pass(number, given.seed + done, progress, folder / "work", is_bare=is_bare, seconds=1200)
        done += 1
    failed = [each["pass"] for each in progress.passes if each["result"] != "passed"]
    borne = sum(len(each) for each in progress.borne.values())
    print(
        f"{borne} faults borne, {progress.missing()} missing, passes that failed: {failed or 'none'}; {progress.path}"
    )
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
