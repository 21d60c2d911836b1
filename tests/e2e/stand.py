"""A lab, the portal beside it, and the cluster that the portal builds there: what every journey, drill and measure stands on.

with restored("west") as stand:                 # `python -m tests.e2e --topology compact --save west` built it
    stand.lab.host(stand.leader()).cut()
    stand.portal.call("GET", f"clusters/{CLUSTER}/")
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests

from tests.e2e.others import build_balancer, build_others
from tests.e2e.portal import Portal
from tests.e2e.topologies import TOPOLOGIES, VIRTUAL
from tests.e2e.writer import Writer
from tests.lab import Lab, saving
from tests.lab.machine import folder as lab_folder
from tests.lab.machine import run
from tests.services.portal import ROOT

CLUSTER = "e2e"
FOLDER = ROOT / "var" / "e2e"
OPEN_PASSWORD = """
import django; django.setup()
from inventory.models import Cluster
from installs.wanted import Wanted
print(Wanted.load(Cluster.objects.get(name="e2e").pk).admin_password)
"""


class Stand:
    """One topology in one lab, with a portal of its own in `folder`."""

    def __init__(self, lab: Lab, topology: str, release: str, folder: Path, *, portal: Portal | None = None) -> None:
        self.lab, self.name, self.release, self.folder = lab, topology, release, folder
        self.topology = TOPOLOGIES[topology]
        self.parts = self.topology.parts
        self.portal = portal or Portal(folder / "portal", str(lab.network.subnet))
        self.ca = folder / "ca.pem"
        self._password = self.said_by_bundle = ""
        self.externals: dict[str, Any] = {}  # as a description tells them

    @property
    def entrance(self) -> str:
        """The address at which users come in."""
        if self.topology.entrance == VIRTUAL:
            return str(self.lab.network.subnet[200])  # hosts have those from .11 on
        return self.lab.host(self.topology.entrance).address

    def hosts_with(self, part: str) -> list[str]:
        return self.topology.having(part)

    # The bundle

    def make_bundle(self) -> None:
        """Into the folder of earlier runs, which begins with what the lab's folder keeps: what lies there whole is not fetched again."""
        kept, common = FOLDER / "bundles", self.lab.place / "bundles" / self.release
        kept.mkdir(parents=True, exist_ok=True)
        if common.exists() and not (kept / self.release).exists():
            run("cp", "-a", common, kept / self.release, seconds=300)
        link = self.portal.process.data_dir / "bundles"
        if not link.is_symlink():
            link.symlink_to(kept.resolve())
        if not (self.run_bundle("--product") or self.run_bundle()):
            raise RuntimeError(f"The bundle could not be made: {self.said_by_bundle}")
        if stamps(common) != stamps(kept / self.release):
            common.parent.mkdir(exist_ok=True)
            draft = common.with_name(f".{common.name}.{os.getpid()}")
            run("cp", "-a", kept / self.release, draft, seconds=300)
            shutil.rmtree(common, ignore_errors=True)
            draft.rename(common)

    def run_bundle(self, *options: str) -> bool:
        """`--product` fetches nothing: it is enough where packages and wheels are those that are needed."""
        command = [sys.executable, str(ROOT / "manage.py"), "bundle", "--release", self.release, *options]
        done = subprocess.run(command, env=self.portal.process.env, capture_output=True, text=True, timeout=1500)
        self.said_by_bundle = done.stderr[-600:]
        return done.returncode == 0

    def build_others(self) -> None:
        """What others run on the hosts that are none of the cluster's; services are described as external from then on."""
        bundle = FOLDER / "bundles" / self.release
        for name in self.topology.others:
            if name == self.topology.entrance:
                addresses = [self.lab.host(each).address for each in self.hosts_with("manager")]
                build_balancer(self.lab.host(name), bundle, addresses)
            else:
                self.externals = build_others(self.lab.host(name), bundle)

    # The cluster

    def describe(self) -> list[str]:
        """Tells the portal of the hosts; what it finds about them."""
        hosts = []
        for name, parts in self.parts.items():
            host = self.lab.host(name)
            access: dict[str, Any] = {"ssh_user": host.user, "private_key": self.lab.key.read_text()}
            if host.user != "root":
                access["sudo_password"] = host.password
            hosts.append(
                {"name": name, "private_address": host.address, "parts": parts, "host_key": host.host_key, **access}
            )
        body: dict[str, Any] = {
            "name": CLUSTER,
            "release": self.release,
            "hosts": hosts,
            "balancing": self.topology.balancing,
        }
        if self.topology.balancing != "none":
            body["entrance"] = self.entrance
        told = self.portal.call("POST", "clusters/", json=body | self.externals)
        return [finding["message"] for finding in told["findings"]]

    def work(self, kind: str, seconds: float) -> dict[str, Any]:
        return self.portal.work(CLUSTER, kind, seconds)

    def password(self) -> str:
        """Of the cluster's administrator. Nobody reads it back through the API, so it is opened as an operation does."""
        if not self._password:
            env = self.portal.process.env | {"DJANGO_SETTINGS_MODULE": "portal.settings"}
            command = [sys.executable, "-c", OPEN_PASSWORD]
            self._password = subprocess.run(
                command, env=env, capture_output=True, text=True, timeout=60, check=True, cwd=ROOT
            ).stdout.strip()
        return self._password

    def fetch_ca(self) -> None:
        rows = self.portal.call("GET", f"clusters/{CLUSTER}/certificates/")
        self.ca.write_text(next(row["pem"] for row in rows if row["kind"] == "authority"))

    def ask(self, path: str, port: int = 443, **more: Any) -> requests.Response:
        """GET at the entrance, as the administrator whom the install made."""
        with requests.Session() as session:
            session.trust_env = False
            session.verify = str(self.ca)
            url, auth = f"https://{self.entrance}:{port}{path}", ("admin", self.password())
            return session.get(url, headers={"Tenant": "default_tenant"}, timeout=15, auth=auth, **more)

    def writer(self, name: str) -> Writer:
        """One that counts through the entrance; not started yet."""
        return Writer(self.entrance, str(self.ca), self.password(), f"{name}-{int(time.time())}-")

    def members(self) -> list[dict[str, Any]]:
        """The database as Patroni sees it, asked at the first host that answers."""
        command = ("timeout", "25", "patronictl", "-c", "/etc/patroni/config.yml", "list", "-f", "json")
        for name in self.hosts_with("database"):
            if self.lab.host(name).state == "up":
                with contextlib.suppress(Exception):
                    found: list[dict[str, Any]] = json.loads(self.lab.host(name).console_run(*command))
                    return found
        raise RuntimeError("Patroni answers at no database host.")

    def leader(self) -> str:
        """The database host that leads now; a busy machine is asked a second time."""
        for _ in range(2):
            with contextlib.suppress(RuntimeError):
                for member in self.members():
                    if member["Role"] == "Leader":
                        return str(member["Member"])
            time.sleep(1)
        raise RuntimeError("No database host leads.")

    def follower(self) -> str:
        """A database host that does not lead."""
        return next(str(member["Member"]) for member in self.members() if member["Role"] != "Leader")

    def is_whole(self) -> bool:
        """Whether every database host is at work, one leads, one is synchronous, and the entrance answers."""
        try:
            members = self.members()
            roles = sorted(str(each["Role"]) for each in members if each["State"] in ("running", "streaming"))
            expected = ["Leader"] + ["Replica"] * max(0, len(self.hosts_with("database")) - 2)
            expected += ["Sync Standby"] if len(self.hosts_with("database")) > 1 else []
            return roles == expected and self.ask("/api/v3.1/status").status_code == 200
        except (RuntimeError, requests.RequestException):
            return False

    def wait_until_whole(self, seconds: float = 120) -> None:
        until = time.monotonic() + seconds
        while not self.is_whole():
            if time.monotonic() > until:
                raise RuntimeError(f"The cluster is not whole after {seconds:.0f} s.")
            time.sleep(0.5)

    def settle(self, seconds: float) -> None:
        """Until a verify finds everything as wanted: hosts that came back need a while."""
        until = time.monotonic() + seconds
        while True:
            try:
                self.work("verify", 200)
                return
            except RuntimeError:
                if time.monotonic() > until:
                    raise
                time.sleep(5)

    # Kept and had again

    def save(self, name: str, **more: Any) -> None:
        """Ends the portal, stops the hosts, keeps both; `more` is found again in `about`."""
        self.portal.close()
        (self.portal.process.data_dir / "bundles").unlink(missing_ok=True)
        about = {"topology": self.name, "release": self.release, **more}
        folders = {"portal": self.portal.process.data_dir} | ({"ca.pem": self.ca} if self.ca.exists() else {})
        saving.save(self.lab, name, folders=folders, about=about)

    def take_over(self, name: str) -> None:
        """The kept portal's data, before it starts."""
        kept = saving.place_of(self.lab.place, name)
        shutil.rmtree(self.portal.process.data_dir, ignore_errors=True)
        run("cp", "-a", kept / "portal", self.portal.process.data_dir, seconds=300)
        if (kept / "ca.pem").exists():
            shutil.copy2(kept / "ca.pem", self.ca)


def stamps(bundle: Path) -> dict[str, str]:
    """For which locks each part of a bundle was fetched."""
    return {path.name: path.read_text() for path in (bundle / ".work").glob("wheels-*")}


def about(name: str) -> dict[str, Any]:
    """Topology and release of what was kept as `name`."""
    found: dict[str, Any] = saving.told_of(lab_folder(), name)["about"]
    return found


@contextlib.contextmanager
def restored(name: str, folder: Path | None = None, *, with_bundle: bool = True) -> Iterator[Stand]:
    """What was kept as `name`: hosts booted, portal at work on a copy of its data, cluster whole. Nothing is left in the end."""
    folder = folder or FOLDER / f"work-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    known = about(name)
    with Lab.of_saved(name) as lab:
        stand = Stand(lab, known["topology"], known["release"], folder)
        try:
            stand.take_over(name)
            stand.portal.start(is_new=False)
            if with_bundle:
                stand.make_bundle()
            stand.wait_until_whole()
            yield stand
        finally:
            stand.portal.close()
