"""One host of a lab, and all that can be done to it: from an orderly reboot to a power cut."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import time
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.lab import boot, identity
from tests.lab.machine import LabError, make_room, run
from tests.lab.network import Network

POWEROFF = "RTMIN+4"  # systemd's signal for poweroff.target


class Host:
    """A host by its folder: what is in host.json never changes, what is in the kernel is asked for."""

    def __init__(self, folder: Path, network: Network, key: Path) -> None:
        self.folder, self.network, self.key = folder, network, key
        self.name = folder.name

    def __repr__(self) -> str:
        return f"<Host {self.name} {self.address}>"

    @cached_property
    def told(self) -> dict[str, Any]:
        try:
            return json.loads((self.folder / "host.json").read_text())
        except FileNotFoundError:
            raise LabError(
                f"There is no host {self.name}: `create {self.name}` makes it, `status` lists them."
            ) from None

    @property
    def address(self) -> str:
        return self.told["address"]

    @property
    def release(self) -> str:
        return self.told["release"]

    @property
    def user(self) -> str:
        """Who logs in by SSH: root, or the ordinary user, whose sudo asks for `password`."""
        return self.told["user"]

    @property
    def password(self) -> str:
        return self.told["password"]

    @property
    def host_key(self) -> str:
        """The public host key, `ssh-ed25519 AAAA...`: what somebody would compare before trusting the host."""
        layers = [Path(path) for path in self.told["lower"]]
        return " ".join(identity.layered(layers, "etc/ssh/ssh_host_ed25519_key.pub", self.files).split()[:2])

    @property
    def cgroup(self) -> Path:
        return Path(self.told["cgroup"])

    @property
    def console(self) -> str:
        path = self.folder / "console.log"
        return path.read_text(errors="replace") if path.exists() else ""

    # State

    def events(self) -> dict[str, str]:
        with contextlib.suppress(FileNotFoundError, OSError):
            return dict(line.split() for line in (self.cgroup / "cgroup.events").read_text().splitlines())
        return {}

    @property
    def is_up(self) -> bool:
        return self.events().get("populated") == "1"

    @property
    def state(self) -> str:
        """down, up or frozen."""
        if not self.is_up:
            return "down"
        return "frozen" if self.events().get("frozen") == "1" else "up"

    def init_pid(self) -> int:
        """The host's systemd, by the machine's number."""
        with contextlib.suppress(OSError):
            for pid in (self.cgroup / "init.scope/cgroup.procs").read_text().split():
                status = Path(f"/proc/{pid}/status").read_text()
                if next(line for line in status.splitlines() if line.startswith("NSpid")).split()[-1] == "1":
                    return int(pid)
        raise LabError(f"{self.name} is not running: `start {self.name}` boots it.")

    # From off to on and back

    def start(self) -> Host:
        """Boots the host, where it is off, and returns at once; `wait` says when it answers."""
        if self.is_up:
            return self
        make_room()
        self.network.open()
        self.network.plug_in(self.name, self.address)
        self.cgroup.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "console.log", "a") as console:
            command = ["setsid", "-f", sys.executable, "-I", "-S", boot.__file__, "run", str(self.folder)]
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, timeout=10, check=True)
        return self

    def wait(self, seconds: float = 30) -> Host:
        """Until sshd answers."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                with socket.create_connection((self.address, 22), timeout=1) as connection:
                    connection.settimeout(1)
                    if connection.recv(4) == b"SSH-":
                        return self
            time.sleep(0.05)
        last = self.console.strip().splitlines()[-3:]
        raise LabError(f"{self.name} ({self.address}): no sshd after {seconds:g} s. Its console ends with: {last}")

    def settle(self, seconds: float = 60) -> str:
        """Until systemd has started all it wants to; `running`, or `degraded` where a unit failed."""
        return self.console_run("systemctl", "is-system-running", "--wait", seconds=seconds, check=False).strip()

    def stop(self, seconds: float = 60) -> Host:
        """An orderly shutdown; after `seconds` a power cut."""
        self.ask_to_stop()
        return self.wait_until_off(seconds)

    def ask_to_stop(self) -> None:
        with contextlib.suppress(LabError):
            self.thaw()
            run("kill", "-s", POWEROFF, str(self.init_pid()))

    def wait_until_off(self, seconds: float) -> Host:
        until = time.monotonic() + seconds
        while self.is_up and time.monotonic() < until:
            time.sleep(0.05)
        return self.cut()

    def reboot(self, seconds: float = 60) -> Host:
        """An orderly reboot, until sshd answers again."""
        before = self.init_pid()
        self.console_run("systemctl", "reboot", check=False)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with contextlib.suppress(LabError, StopIteration):
                if self.init_pid() != before:
                    return self.wait(max(1, until - time.monotonic()))
            time.sleep(0.05)
        raise LabError(f"{self.name} has not rebooted within {seconds:g} s.")

    def cut(self) -> Host:
        """Power cut: everything ends at once and nobody is told. Files that were written stay. Of a host that is off, the remains."""
        if self.network.link_of(self.name) in run("ip", "-brief", "link", "show"):
            # First the wire: the connections of dying processes would say farewell, and no power cut does.
            self.network.set_cable(self.name, "down")
        if self.cgroup.exists():
            (self.cgroup / "cgroup.kill").write_text("1")
            until = time.monotonic() + 20
            while self.is_up:
                if time.monotonic() > until:
                    raise LabError(f"{self.name} still has processes 20 s after they were killed: see {self.cgroup}.")
                time.sleep(0.01)
            for group in sorted((path for path in self.cgroup.rglob("*") if path.is_dir()), reverse=True):
                group.rmdir()
            self.cgroup.rmdir()
        self.network.pull_out(self.name)
        return self

    def destroy(self) -> None:
        self.cut()
        self.heal()
        shutil.rmtree(self.folder)

    # Faults

    def freeze(self) -> Host:
        """As a virtual machine that is paused: no process runs, the clock goes on."""
        return self.set_frozen("1")

    def thaw(self) -> Host:
        return self.set_frozen("0")

    def set_frozen(self, wanted: str) -> Host:
        if not self.is_up:
            raise LabError(f"{self.name} is not running: `start {self.name}` boots it.")
        (self.cgroup / "cgroup.freeze").write_text(wanted)
        until = time.monotonic() + 10
        while self.events().get("frozen") != wanted:
            if time.monotonic() > until:
                raise LabError(f"{self.name} is not {'frozen' if wanted == '1' else 'thawed'} after 10 s.")
            time.sleep(0.005)
        return self

    def unplug(self) -> Host:
        """Cable out: nobody reaches the host, the machine included."""
        self.network.set_cable(self.name, "down")
        return self

    def plug(self) -> Host:
        self.network.set_cable(self.name, "up")
        return self

    def others(self) -> list[str]:
        return [path.parent.name for path in self.folder.parent.glob("*/host.json") if path.parent != self.folder]

    def partition(self, *names: str) -> Host:
        """Cuts the host from these others, without names from all; the machine still reaches it."""
        self.network.cut((self.name, other) for other in names or self.others())
        return self

    def heal(self) -> Host:
        self.network.join((self.name, other) for other in self.others())
        return self

    # Ways in

    def ssh_command(self, *words: str) -> list[str]:
        """The command line of `ssh`, with the lab's key, and the host's key known beforehand."""
        known = self.folder / "known_hosts"
        known.write_text(f"{self.address} {self.host_key}\n")
        options = {
            "IdentitiesOnly": "yes",
            "BatchMode": "yes",
            "ConnectTimeout": "5",
            "ServerAliveInterval": "5",
            "UserKnownHostsFile": str(known),
            "HostKeyAlgorithms": "ssh-ed25519",
            "LogLevel": "ERROR",
        }
        given = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        return ["ssh", "-F", "none", "-i", str(self.key), *given, f"{self.user}@{self.address}", *words]

    def ssh(self, command: str, *, seconds: float = 60, given: str = "", check: bool = True) -> str:
        """Standard output of a shell command, run over SSH as `user`."""
        return run(*self.ssh_command("--", command), seconds=seconds, given=given, check=check)

    def console_run(self, *command: str, seconds: float = 30, given: str = "", check: bool = True) -> str:
        """Standard output of a command run as the host's root without its network: what a console would give."""
        inside = ("nsenter", "-t", str(self.init_pid()), "-a", "--", "env", "-i", "PATH=/usr/sbin:/usr/bin", *command)
        return run(*inside, seconds=seconds, given=given, check=check)

    @property
    def files(self) -> Path:
        """The upper layer: what differs from the base. To be written to only while the host is off."""
        return self.folder / "up"


def create(
    folder: Path,
    network: Network,
    key: Path,
    *,
    address: str,
    release: str,
    lower: list[Path],
    cgroup: Path,
    user: str,
    password: str,
    apt_daily: bool,
) -> Host:
    """Makes the folder of a host that is off, with an identity of its own."""
    make_folders(folder)
    identity.give(folder / "up", folder.name, lower)
    identity.admit(folder / "up", lower, user, key.with_suffix(".pub").read_text(), password)
    if apt_daily:
        identity.unmask(folder / "up", ("apt-daily.timer", "apt-daily-upgrade.timer"))
    told = {"address": address, "release": release, "user": user, "password": password}
    return tell(folder, network, key, lower=lower, cgroup=cgroup, **told)


def make_folders(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("up", "work", "root"):
        (folder / name).mkdir(parents=True)
    (folder / "up").chmod(0o755)


def tell(folder: Path, network: Network, key: Path, *, lower: list[Path], cgroup: Path, **told: str) -> Host:
    """Writes host.json, with which a host is there: it comes last."""
    whole = {
        **told,
        "name": folder.name,
        "lower": [str(layer) for layer in lower],
        "netns": network.link_of(folder.name),
        "cgroup": str(cgroup),
    }
    (folder / "host.json").touch(mode=0o600)
    (folder / "host.json").write_text(json.dumps(whole, indent=1))
    return Host(folder, network, key)
