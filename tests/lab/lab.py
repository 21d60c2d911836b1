"""A lab: hosts on one bridge, made, found again, and taken away so that nothing is left."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import secrets
import shutil
import time
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.lab import base, identity, saving
from tests.lab import host as hosts
from tests.lab.host import Host
from tests.lab.machine import LabError, cgroup_root, folder, locked, require, run
from tests.lab.network import Network, free_subnet

FIRST = 11  # the last part of the first host's address


class Lab:
    """One lab, by its prefix. Two side by side differ in prefix and subnet, and share bases and golden layers.

    with Lab.of(["db1", "db2"], release="trixie") as lab:
        lab.host("db1").cut()
    """

    def __init__(self, prefix: str | None = None, subnet: str | None = None, place: Path | None = None) -> None:
        self.place = place or folder()
        self.prefix = prefix or os.environ.get("LAB_PREFIX") or "lab"
        self.folder = self.place / "labs" / self.prefix
        remembered = self.folder / "subnet"
        subnet = subnet or (remembered.read_text().strip() if remembered.exists() else None)
        self.network = Network(self.prefix, subnet or os.environ.get("LAB_SUBNET") or "10.77.0.0/24")
        self.wanted: dict[str, Any] = {}
        self.held = contextlib.ExitStack()

    @classmethod
    def of(
        cls,
        names: Iterable[str],
        *,
        release: str = "trixie",
        golden: str | None = None,
        ordinary: Iterable[str] = (),
        apt_daily: Iterable[str] = (),
        prefix: str | None = None,
        subnet: str | None = None,
    ) -> Lab:
        """A lab to enter with `with`: makes and boots `names`, and leaves nothing behind. What had this prefix before goes first.

        `ordinary` log in as a user with sudo and a password, not as root; `apt_daily` keep their apt timers. Without `subnet`
        and LAB_SUBNET the first free one is taken.
        """
        prefix = prefix or os.environ.get("LAB_PREFIX") or "lab"
        subnet, mark = subnet or os.environ.get("LAB_SUBNET"), None
        if not subnet:
            subnet, mark = free_subnet(prefix)
        lab = cls(prefix, subnet)
        if mark is not None:
            lab.held.callback(mark.close)
            weakref.finalize(lab, mark.close)
        lab.wanted = {
            "names": list(names),
            "release": release,
            "golden": golden,
            "ordinary": tuple(ordinary),
            "apt_daily": tuple(apt_daily),
        }
        return lab

    @classmethod
    def of_saved(cls, name: str, *, prefix: str | None = None) -> Lab:
        """The same for a whole lab that `saving.save` kept: its hosts with their identities, at the addresses that they had."""
        prefix = prefix or os.environ.get("LAB_PREFIX") or "lab"
        lab = cls(prefix, saving.told_of(folder(), name)["subnet"])
        lab.wanted = {"saved": name}
        return lab

    def __enter__(self) -> Lab:
        require(self.place)
        why = (
            f"The lab {self.prefix!r} is in use by another process. Name a prefix of your own in LAB_PREFIX "
            "(and a subnet in LAB_SUBNET, if you name one)."
        )
        self.held.enter_context(locked(self.place / f"{self.prefix}.lock", wait=False, why=why))
        try:
            self.down()
            if saved := self.wanted.get("saved"):
                saving.restore(self, saved)
            else:
                self.create(*self.wanted.pop("names"), **self.wanted)
            self.start()
            self.wait()
        except BaseException:
            with contextlib.suppress(LabError):
                self.down()
            self.held.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with self.held:
            self.down()

    # Making

    @property
    def key(self) -> Path:
        """The private key that logs in to every host."""
        key = self.place / "id"
        if not key.exists():
            with locked(self.place / "id.lock", wait=True, why=""):
                if not key.exists():
                    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", key)
        return key

    def create(
        self,
        *names: str,
        release: str = "trixie",
        golden: str | None = None,
        ordinary: Iterable[str] = (),
        apt_daily: Iterable[str] = (),
    ) -> list[Host]:
        """Hosts that are off, with the next free addresses from .11 on; a host that is there is left as it is."""
        require(self.place)
        for name in (*ordinary, *apt_daily):
            if name not in names:
                raise LabError(f"{name} is not among the hosts to create: {', '.join(names)}.")
        if golden is not None:
            release, lower = self.golden_layers(golden)
        else:
            lower = [base.make(release, self.place)]
        self.claim()
        for name in names:
            if name in self.names():
                continue
            self.network.link_of(name)
            hosts.create(
                self.folder / name,
                self.network,
                self.key,
                address=self.free_address(),
                release=release,
                lower=lower,
                cgroup=self.cgroup / name,
                user=identity.ORDINARY if name in ordinary else "root",
                password=secrets.token_urlsafe(9) if name in ordinary else "",
                apt_daily=name in apt_daily,
            )
        return [self.host(name) for name in names]

    def claim(self) -> None:
        """Makes the lab's folder, which remembers its subnet."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "subnet").write_text(str(self.network.subnet))

    def free_address(self) -> str:
        taken = {host.address for host in self.hosts()}
        for address in list(self.network.subnet)[FIRST:-1]:
            if str(address) not in taken:
                return str(ipaddress.IPv4Address(address))
        raise LabError(f"{self.network.subnet} has no address left.")

    def save(self, name: str, golden: str) -> Path:
        """Keeps what a stopped host has beyond its base as a layer that other hosts can be laid over, without its identity."""
        source = self.host(name)
        if source.is_up:
            raise LabError(f"{name} is running: `stop {name}` first, a layer is made of a host at rest.")
        layer = self.place / "golden" / golden
        shutil.rmtree(layer, ignore_errors=True)
        layer.mkdir(parents=True)
        run("cp", "-a", "--reflink=auto", source.files, layer / "up", seconds=300)
        identity.forget(layer / "up")
        told = {"release": source.release, "lower": source.told["lower"]}
        (layer / "golden.json").write_text(json.dumps(told, indent=1))
        return layer

    def golden_layers(self, golden: str) -> tuple[str, list[Path]]:
        layer = self.place / "golden" / golden
        if not (layer / "golden.json").exists():
            present = sorted(path.parent.name for path in (self.place / "golden").glob("*/golden.json"))
            raise LabError(
                f"There is no golden layer {golden}; there are: {', '.join(present) or 'none'}. `save HOST {golden}` makes it."
            )
        told = json.loads((layer / "golden.json").read_text())
        lower = [Path(path) for path in told["lower"]]
        if gone := [path for path in lower if not path.exists()]:
            raise LabError(
                f"The golden layer {golden} lies on {gone[0].name}, which is gone. Make it anew, from a fresh host."
            )
        return told["release"], [layer / "up", *lower]

    # Finding

    @property
    def cgroup(self) -> Path:
        root = cgroup_root()
        if root is None:
            require(self.place)
            raise LabError("cgroup v2 is not mounted.")
        return root / self.prefix

    def names(self) -> list[str]:
        return sorted(path.parent.name for path in self.folder.glob("*/host.json"))

    def hosts(self) -> list[Host]:
        """In the order of their addresses."""
        found = [Host(self.folder / name, self.network, self.place / "id") for name in self.names()]
        return sorted(found, key=lambda host: ipaddress.ip_address(host.address))

    def host(self, name: str) -> Host:
        found = Host(self.folder / name, self.network, self.place / "id")
        assert found.told
        return found

    def chosen(self, names: Iterable[str]) -> list[Host]:
        """The hosts of these names, of none: all."""
        return [self.host(name) for name in names] or self.hosts()

    # All at once

    def start(self, *names: str) -> None:
        for host in self.chosen(names):
            host.start()

    def wait(self, *names: str, seconds: float = 30) -> None:
        for host in self.chosen(names):
            host.wait(seconds)

    def stop(self, *names: str, seconds: float = 60) -> None:
        chosen = self.chosen(names)
        for host in chosen:
            host.ask_to_stop()
        for host in chosen:
            host.wait_until_off(seconds)

    def heal(self) -> None:
        """Takes back every cut between hosts."""
        self.network.join(self.network.cuts())

    def down(self) -> None:
        """Takes everything away but bases and golden layers; LabError if something is left nevertheless. Can be repeated."""
        for host in self.hosts():
            host.cut()
        self.network.close()
        if self.cgroup.exists():
            (self.cgroup / "cgroup.kill").write_text("1")  # hosts whose folders somebody has removed
            until = time.monotonic() + 20
            while "populated 1" in (self.cgroup / "cgroup.events").read_text() and time.monotonic() < until:
                time.sleep(0.01)
            for group in sorted((path for path in self.cgroup.rglob("*") if path.is_dir()), reverse=True):
                with contextlib.suppress(OSError):
                    group.rmdir()
            with contextlib.suppress(OSError):
                self.cgroup.rmdir()
        shutil.rmtree(self.folder, ignore_errors=True)
        if found := self.remains():
            raise LabError(f"The lab {self.prefix} is not gone: {'; '.join(found)}.")

    def remains(self) -> list[str]:
        """What is still there of this lab: network, cgroups, processes, mounts, files."""
        found = self.network.remains()
        if self.cgroup.exists():
            found.append(f"cgroup {self.cgroup}")
        where = f"{self.folder}/"
        for line in Path("/proc/self/mounts").read_text().splitlines():
            if where in line:
                found.append(f"mount {line.split()[1]}")
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if where.encode() in path.read_bytes():
                    found.append(f"process {path.parent.name}")
        if self.folder.exists():
            found.append(f"folder {self.folder}")
        return found
