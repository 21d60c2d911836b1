"""Builds a cluster in the lab, checks it, breaks and mends it, and takes it away: `python -m tests.e2e [--topology NAME]`."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import requests

from portal.demo.places import INPUTS, SERVICE
from portal.demo.scenario import EXAMPLES, packed
from tests.e2e.portal import Portal
from tests.e2e.report import Report, Skipped
from tests.e2e.topologies import TOPOLOGIES, VIRTUAL
from tests.e2e.writer import Writer
from tests.lab import Lab
from tests.services.portal import ROOT

CLUSTER = "e2e"
OPEN_PASSWORD = """
import django; django.setup()
from inventory.models import Cluster
from installs.wanted import Wanted
print(Wanted.load(Cluster.objects.get(name="e2e").pk).admin_password)
"""


class Journey:
    """One cluster from bare hosts to clean ones."""

    def __init__(self, given: argparse.Namespace, lab: Lab, folder: Path, report: Report) -> None:
        self.given, self.lab, self.report, self.folder = given, lab, report, folder
        self.topology = TOPOLOGIES[given.topology]
        self.parts = self.topology.parts
        self.portal = Portal(folder / "portal", str(lab.network.subnet))
        self.entrance = self.address_of_entrance()
        self.ca = folder / "ca.pem"

    def go(self) -> None:
        """All phases."""
        phase = self.report.phase
        with phase("portal", must_pass=True):
            self.portal.start()
        with phase("bundle", must_pass=True):
            self.make_bundle()
        with phase("describe", must_pass=True) as measured:
            measured["findings"] = self.describe()
        with phase("preflight"):
            self.preflight()
        with phase("install", must_pass=True) as measured:
            measured |= self.portal.work(CLUSTER, "install", 1200)
        with phase("entrance", must_pass=True):
            self.ask_entrance()
        with phase("second install changes nothing") as measured:
            measured |= self.install_again()
        with phase("verify"):
            self.portal.work(CLUSTER, "verify", 300)
        with phase("expose"):
            self.expose()
        with phase("a service is deployed on the cluster"):
            self.deploy()
        with phase("drill: power cut of the database leader") as measured:
            self.need_several("database")
            measured |= self.drill(self.leader(), 120)
        with phase("drill: a manager host is killed") as measured:
            self.need_several("manager")
            measured |= self.drill(self.hosts_with("manager")[-1], 120)
        with phase("verify after the drills"):
            self.settle(240)
        with phase("uninstall") as measured:
            measured |= self.portal.work(CLUSTER, "uninstall", 600)
        with phase("hosts are clean"):
            self.check_clean()

    def hosts_with(self, part: str) -> list[str]:
        return self.topology.having(part)

    def address_of_entrance(self) -> str:
        if self.topology.entrance == VIRTUAL:
            return str(self.lab.network.subnet[200])  # hosts have those from .11 on
        return self.lab.host(self.topology.entrance).address

    def make_bundle(self) -> None:
        """Into the folder of earlier runs: what lies there whole is not fetched again."""
        kept = self.folder.parent / "bundles"
        kept.mkdir(parents=True, exist_ok=True)
        link = self.portal.process.data_dir / "bundles"
        link.symlink_to(kept.resolve())
        command = [sys.executable, str(ROOT / "manage.py"), "bundle", "--release", self.given.release]
        done = subprocess.run(command, env=self.portal.process.env, capture_output=True, text=True, timeout=1500)
        if done.returncode:
            raise RuntimeError(done.stderr[-600:])

    def describe(self) -> list[str]:
        hosts = []
        for name, parts in self.parts.items():
            host = self.lab.host(name)
            access: dict[str, Any] = {"ssh_user": host.user, "private_key": self.lab.key.read_text()}
            if host.user != "root":
                access["sudo_password"] = host.password
            hosts.append(
                {"name": name, "private_address": host.address, "parts": parts, "host_key": host.host_key, **access}
            )
        body = {"name": CLUSTER, "release": self.given.release, "entrance": self.entrance, "hosts": hosts}
        body["balancing"] = self.topology.balancing
        if self.topology.balancing == "none":
            del body["entrance"]
        told = self.portal.call("POST", "clusters/", json=body)
        return [finding["message"] for finding in told["findings"]]

    def preflight(self) -> None:
        if not self.portal.has("POST", f"clusters/{CLUSTER}/preflight/"):
            raise Skipped("there is no address for it yet")
        run = self.portal.call("POST", f"clusters/{CLUSTER}/preflight/")
        self.portal.wait(run["run"], 180)

    def ask_entrance(self) -> None:
        """443 and 53333 answer under the cluster's CA, to the administrator whom the install made; 80 is closed."""
        rows = self.portal.call("GET", f"clusters/{CLUSTER}/certificates/")
        self.ca.write_text(next(row["pem"] for row in rows if row["kind"] == "authority"))
        for port in (443, 53333):
            reply = self.ask(f"https://{self.entrance}:{port}/api/v3.1/status", auth=("admin", self.password()))
            if reply.status_code != 200 or reply.json()["status"] != "OK":
                raise RuntimeError(f"Port {port} says {reply.status_code} {reply.text[:200]}")
        try:
            self.ask(f"http://{self.entrance}/")
        except requests.ConnectionError:
            return
        raise RuntimeError("Port 80 answers.")

    def ask(self, url: str, **more: Any) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            session.verify = str(self.ca)
            return session.get(url, headers={"Tenant": "default_tenant"}, timeout=15, **more)

    def password(self) -> str:
        """Nobody reads it back through the API, so the test opens it as an operation does."""
        env = self.portal.process.env | {"DJANGO_SETTINGS_MODULE": "portal.settings"}
        command = [sys.executable, "-c", OPEN_PASSWORD]
        return subprocess.run(
            command, env=env, capture_output=True, text=True, timeout=60, check=True, cwd=ROOT
        ).stdout.strip()

    def install_again(self) -> dict[str, Any]:
        measured = self.portal.work(CLUSTER, "install", 300)
        steps = self.portal.call("GET", f"runs/{measured['run']}/")["steps"]
        if changed := [step["title"] for step in steps if step["state"] != "skipped"]:
            raise RuntimeError(f"These were done again: {', '.join(changed)}")
        return measured

    def expose(self) -> None:
        if not self.portal.has("POST", f"clusters/{CLUSTER}/expose/"):
            raise Skipped("there is no address for it yet")
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

    def need_several(self, part: str) -> None:
        if len(self.hosts_with(part)) < 2:
            raise Skipped(f"a single host has the part {part}")

    def leader(self) -> str:
        """The database host that leads now, as Patroni there says."""
        command = ("patronictl", "-c", "/etc/patroni/config.yml", "list", "-f", "json")
        said = self.lab.host(self.hosts_with("database")[0]).console_run(*command)
        for member in json.loads(said):
            if member["Role"] == "Leader":
                return str(member["Member"])
        raise RuntimeError("No database host leads.")

    def drill(self, name: str, seconds: float) -> dict[str, Any]:
        """Cut the power of a host under a writer, wait until writes go on, bring the host back; nothing acknowledged may be lost."""
        writer = Writer(self.entrance, str(self.ca), self.password(), f"{name}-{int(time.time())}-")
        writer.start()
        try:
            writer.wait_for(10, 60)
            self.lab.host(name).cut()
            writer.wait_for(20, seconds)
            self.lab.host(name).start()
            self.lab.host(name).wait()
            writer.wait_for(10, seconds)
        finally:
            writer.stop()
        if lost := writer.lost():
            raise RuntimeError(f"{len(lost)} of {len(writer.acknowledged)} acknowledged writes are lost: {lost[:5]}")
        return {"host": name, "gap": writer.longest_gap, "acknowledged": len(writer.acknowledged), "lost": 0}

    def settle(self, seconds: float) -> None:
        """Hosts that came back need a while."""
        until = time.monotonic() + seconds
        while True:
            try:
                self.portal.work(CLUSTER, "verify", 200)
                return
            except RuntimeError:
                if time.monotonic() > until:
                    raise
                time.sleep(5)

    def check_clean(self) -> None:
        for name in self.parts:
            lines = self.lab.host(name).console_run("ss", "-tlnH").splitlines()
            if others := [line.split()[3] for line in lines if not line.split()[3].endswith(":22")]:
                raise RuntimeError(f"{name} still listens at {', '.join(others)}.")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.e2e", description=__doc__)
    parser.add_argument("--topology", choices=sorted(TOPOLOGIES), default="ten")
    parser.add_argument("--release", default="trixie")
    parser.add_argument("--folder", type=Path, default=ROOT / "var" / "e2e")
    given = parser.parse_args()
    work = given.folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    report = Report(given.folder / "report.json", {"topology": given.topology, "release": given.release})
    names = TOPOLOGIES[given.topology].hosts
    lab = Lab.of(names, release=given.release, ordinary=[names[0]], prefix=os.environ.get("LAB_PREFIX") or "e2e")
    with report.phase("lab", must_pass=True):
        lab.__enter__()
    try:
        journey = Journey(given, lab, work, report)
        try:
            journey.go()
        finally:
            journey.portal.close()
    finally:
        with report.phase("down"):
            lab.__exit__(None, None, None)
    print(f"{given.folder / 'report.json'}: {'failed' if report.has_failed else 'passed'}")
    return 1 if report.has_failed else 0


if __name__ == "__main__":
    sys.exit(main())
