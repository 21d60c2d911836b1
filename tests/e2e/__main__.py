"""Builds a cluster in the lab, checks it, breaks and mends it, and takes it away: `python -m tests.e2e [--topology NAME]`.

--save NAME      ends when the cluster is built and verified, and keeps it whole under LAB_DIR/golden
--from NAME      begins with what was kept, ready in less than a minute
--only 'PART*'   of the phases on a built cluster only those whose names are like this
--hold           stops when the cluster is ready, tells where everything is, and waits for Ctrl-C
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import os
import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import requests

from portal.demo.places import INPUTS, SERVICE
from portal.demo.scenario import EXAMPLES, packed
from tests.e2e import drills, health, members
from tests.e2e.report import Phase, Report
from tests.e2e.stand import CLUSTER, FOLDER, Stand, about
from tests.e2e.topologies import TOPOLOGIES
from tests.lab import Lab
from tests.lab.machine import LabError


class Journey:
    """One cluster from bare hosts, or from what was kept, to clean hosts."""

    def __init__(self, stand: Stand) -> None:
        self.stand, self.portal, self.lab = stand, stand.portal, stand.lab

    def enter(self, held: contextlib.ExitStack) -> None:
        held.enter_context(self.lab)

    def building(self) -> list[Phase]:
        return [
            Phase("portal", self.portal.start, must_pass=True),
            Phase("bundle", self.stand.make_bundle, must_pass=True),
            Phase("services of others", self.stand.build_others, skip="" if self.stand.topology.others else "none"),
            Phase("describe", lambda: {"findings": self.stand.describe()}, must_pass=True),
            Phase("preflight", self.preflight),
            Phase("install", lambda: self.stand.work("install", 1200), must_pass=True),
            Phase("entrance", self.ask_entrance, must_pass=True),
        ]

    def restoring(self, name: str) -> list[Phase]:
        def start() -> None:
            self.stand.take_over(name)
            self.portal.start(is_new=False)

        return [
            Phase("portal", start, must_pass=True),
            Phase("ready", self.stand.wait_until_whole, must_pass=True),
            Phase("bundle", self.stand.make_bundle, must_pass=True),
        ]

    def on_a_built_one(self) -> list[Phase]:
        """What is tried on a cluster that serves. Each leaves it serving, so any of them can be left out."""
        stand = self.stand
        return [
            Phase("second install changes nothing", self.install_again),
            Phase("verify", lambda: stand.work("verify", 300)),
            Phase("health: all is well", lambda: health.look(stand)),
            Phase(
                "health: a queue node that stops is seen",
                lambda: health.stop_one(stand, "queue", "rabbitmq-server", stand.hosts_with("queue")[-1]),
                skip="one host alone is the queue" * (len(stand.hosts_with("queue")) < 2),
            ),
            Phase(
                "health: a database host that stops is seen",
                lambda: health.stop_one(stand, "database", "patroni", stand.follower()),
                skip="one host alone is the database" * (len(stand.hosts_with("database")) < 2),
            ),
            Phase("expose", self.expose),
            Phase("a service is deployed on the cluster", self.deploy),
            *drills.phases(stand),
            Phase("verify after the drills", lambda: stand.settle(240)),
            *members.phases(stand),
        ]

    def removing(self) -> list[Phase]:
        return [
            Phase("uninstall", lambda: self.stand.work("uninstall", 600)),
            Phase("hosts are clean", self.check_clean),
        ]

    def keeping(self, name: str) -> list[Phase]:
        return [
            Phase("verify", lambda: self.stand.work("verify", 300), must_pass=True),
            Phase("save", lambda: self.stand.save(name)),
        ]

    def preflight(self) -> None:
        run = self.portal.call("POST", f"clusters/{CLUSTER}/preflight/")
        self.portal.wait(run["run"], 180)

    def ask_entrance(self) -> None:
        """443 and 53333 answer under the cluster's CA, to the administrator whom the install made; 80 is closed."""
        self.stand.fetch_ca()
        for port in (443, 53333):
            reply = self.stand.ask("/api/v3.1/status", port)
            if reply.status_code != 200 or reply.json()["status"] != "OK":
                raise RuntimeError(f"Port {port} says {reply.status_code} {reply.text[:200]}")
        try:
            with requests.Session() as session:
                session.trust_env = False
                session.get(f"http://{self.stand.entrance}/", timeout=15)
        except requests.ConnectionError:
            return
        raise RuntimeError("Port 80 answers.")

    def install_again(self) -> dict[str, Any]:
        measured = self.stand.work("install", 300)
        steps = self.portal.call("GET", f"runs/{measured['run']}/")["steps"]
        if changed := [step["title"] for step in steps if step["state"] != "skipped"]:
            raise RuntimeError(f"These were done again: {', '.join(changed)}")
        return measured

    def expose(self) -> None:
        self.portal.call("POST", f"clusters/{CLUSTER}/expose/")
        found = self.portal.call("GET", f"environments/{CLUSTER}/")
        if found["state"] != "ready":
            raise RuntimeError(f"The environment is {found['state']}.")

    def deploy(self) -> None:
        """A rollout on the environment that the cluster became, and off it again."""
        with packed(EXAMPLES / SERVICE) as archive:
            self.portal.call(
                "POST", "services/", data={"name": SERVICE}, files={"archive": (f"{SERVICE}.tar.gz", archive)}
            )
        rules = [{"type": "label", "key": "cluster", "operator": "any_of", "values": [CLUSTER]}]
        for action in ("deploy", "uninstall"):
            body = {
                "service": SERVICE,
                "rules": rules,
                "inputs": INPUTS if action == "deploy" else {},
                "action": action,
            }
            preview = self.portal.call("POST", "rollouts/preview/", json=body)
            rollout = self.portal.call("POST", "rollouts/", json={"digest": preview["digest"]})
            self.portal.wait(rollout["run"], 240)
            targets = self.portal.call("GET", rollout["targets"].partition("/api/v1/")[2])["results"]
            if [target["state"] for target in targets] != ["succeeded"]:
                raise RuntimeError(f"{action}: {targets}")

    def check_clean(self) -> None:
        for name in self.stand.parts:
            lines = self.lab.host(name).console_run("ss", "-tlnH").splitlines()
            if others := [line.split()[3] for line in lines if not line.split()[3].endswith(":22")]:
                raise RuntimeError(f"{name} still listens at {', '.join(others)}.")

    def hold(self) -> None:
        """Until Ctrl-C or SIGTERM."""
        print(
            f"portal    {self.portal.process.url}, admin, {self.portal.password}\n"
            f"entrance  https://{self.stand.entrance}, admin; CA {self.stand.ca}\n"
            f"data      {self.portal.process.data_dir}\n"
            f"hosts     LAB_PREFIX={self.lab.prefix} python -m tests.lab ssh {next(iter(self.stand.parts))}\n"
            "Ctrl-C takes everything down.",
            flush=True,
        )
        ended = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
        ended.wait()


def chosen(phases: list[Phase], pattern: str) -> list[Phase]:
    found = [phase for phase in phases if fnmatch.fnmatch(phase.name, pattern)]
    if not found:
        raise SystemExit(f"No phase is like {pattern!r}; there are: {', '.join(phase.name for phase in phases)}.")
    return found


def phases_of(given: argparse.Namespace, journey: Journey) -> list[Phase]:
    first = journey.restoring(given.restore) if given.restore else journey.building()
    if given.save:
        return [*first, *journey.keeping(given.save)]
    if given.hold:
        return [*first, Phase("hold", journey.hold)]
    built = journey.on_a_built_one()
    if given.only:
        return [*first, *chosen(built, given.only)]
    return [*first, *built, *journey.removing()]


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.e2e", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--topology", choices=sorted(TOPOLOGIES), default="ten")
    parser.add_argument("--release", default="trixie")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="for the report and what the run needs")
    parser.add_argument("--save", metavar="NAME")
    parser.add_argument("--from", metavar="NAME", dest="restore")
    parser.add_argument("--only", metavar="PATTERN")
    parser.add_argument("--hold", action="store_true")
    given = parser.parse_args()
    if given.restore:
        try:
            known = about(given.restore)
        except LabError as error:
            parser.error(str(error))
        given.topology, given.release = known["topology"], known["release"]
    return given


def main() -> int:
    given = parsed()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends it by a limit of time leaves no lab behind
    work = given.folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    told = {"topology": given.topology, "release": given.release, "from": given.restore}
    report = Report(given.folder / "report.json", told)
    prefix = os.environ.get("LAB_PREFIX") or "e2e"
    names = TOPOLOGIES[given.topology].hosts
    if given.restore:
        lab = Lab.of_saved(given.restore, prefix=prefix)
    else:
        lab = Lab.of(names, release=given.release, ordinary=[names[0]], prefix=prefix)
    journey = Journey(Stand(lab, given.topology, given.release, work))
    with contextlib.ExitStack() as held:
        first = Phase("lab", lambda: journey.enter(held), must_pass=True)
        try:
            report.carry_out([first, *phases_of(given, journey)])
        finally:
            journey.portal.close()
            report.carry_out([Phase("down", held.close)])
    print(f"{given.folder / 'report.json'}\n{report.summary}")
    return 1 if report.has_failed else 0


if __name__ == "__main__":
    sys.exit(main())
