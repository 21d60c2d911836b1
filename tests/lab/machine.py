"""What the lab asks of the machine below it: commands with a limit of time, and a sentence for everything that is missing."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Command: the Debian package that brings it.
COMMANDS = {
    "ip": "iproute2",
    "nft": "nftables",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "setsid": "util-linux",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "openssl": "openssl",
    "mmdebstrap": "mmdebstrap",
}
# A systemd holds seven or more of root's inotify instances, and 128 in all are the kernel's default: it would hang half booted.
INOTIFY, INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances"), 4096
KERNEL = (5, 14)  # the first with cgroup.kill, the power cut


class LabError(Exception):
    """The lab cannot do what was asked; the message says what is wrong and what to do."""


def folder() -> Path:
    """Where bases, golden layers and hosts lie: LAB_DIR, else var/lab of the repository."""
    return Path(os.environ.get("LAB_DIR") or ROOT / "var" / "lab").resolve()


def run(*command: str | Path, seconds: float = 30, given: str = "", check: bool = True) -> str:
    """Standard output of a command. LabError with what it said where it fails and `check` is set, or takes too long."""
    line = " ".join(str(word) for word in command)
    try:
        done = subprocess.run(
            [str(word) for word in command], input=given, capture_output=True, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        raise LabError(f"`{line}` had not ended after {seconds:g} s.") from None
    except FileNotFoundError:
        raise LabError(f"The command {command[0]} is not installed: {missing_command(str(command[0]))}") from None
    if check and done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise LabError(f"`{line}` failed with status {done.returncode}: {said[-800:]}")
    return done.stdout


def missing_command(command: str) -> str:
    return f"apt-get install --no-install-recommends {COMMANDS.get(command, command)}"


def cgroup_root() -> Path | None:
    """Where the machine has cgroup v2 mounted; beside v1 it is empty, and just as good."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        if kind == "cgroup2" and "rw" in options.split(","):
            return Path(place)
    return None


def lacks(place: Path | None = None) -> list[str]:
    """One sentence for each thing that keeps this machine from being a lab; empty where it can be one."""
    if sys.platform != "linux":
        return ["The lab needs Linux: its hosts are namespaces and control groups of the kernel."]
    if os.geteuid() != 0:
        return ["The lab needs root, for namespaces, mounts and a bridge. Run the same command with sudo."]
    found = []
    release = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])
    if release < KERNEL:
        found.append(
            f"The kernel is {os.uname().release}; the lab needs 5.14 or newer, for the power cut (cgroup.kill)."
        )
    if cgroup_root() is None:
        found.append(
            "cgroup v2 is not mounted for writing: mount -t cgroup2 none /sys/fs/cgroup/unified (make the folder first)."
        )
    packages = sorted({package for command, package in COMMANDS.items() if not shutil.which(command)})
    if packages:
        found.append(f"Packages are missing: apt-get install --no-install-recommends {' '.join(packages)}")
    else:
        found += lacks_of_the_kernel(place or folder())
    return found


def lacks_of_the_kernel(place: Path) -> list[str]:
    """What only a try can show, each in namespaces of its own, so that nothing stays behind."""
    table = (
        "table bridge probe { set cut { type ifname . ifname; }; chain c { type filter hook forward priority 0; }; }"
    )
    place.mkdir(parents=True, exist_ok=True)
    probe = Path(tempfile.mkdtemp(prefix=".probe-", dir=place))  # of its own: several commands may ask at once
    for name in ("lower", "upper", "work", "merged"):
        (probe / name).mkdir()
    overlay = ",".join(f"{name}dir={probe / name}" for name in ("lower", "upper", "work"))
    tries = {
        "The kernel makes no bridge: modprobe bridge, or allow this container CAP_NET_ADMIN.": [
            *("unshare", "--net", "ip", "link", "add", "probe0", "type", "bridge"),
        ],
        "The kernel makes no veth pair: modprobe veth, or allow this container CAP_NET_ADMIN.": [
            *("unshare", "--net", "ip", "link", "add", "probe0", "type", "veth", "peer", "name", "probe1"),
        ],
        "nftables cannot filter on a bridge: modprobe nft_meta_bridge nf_tables.": [
            *("unshare", "--net", "nft", table),
        ],
        f"{place} cannot carry an overlay file system; name another folder in LAB_DIR, on ext4 or xfs.": [
            *(
                "unshare",
                "--mount",
                "mount",
                "-t",
                "overlay",
                "-o",
                overlay,
                "overlay",
                str(probe / "merged"),
            ),
        ],
    }
    found = []
    for sentence, command in tries.items():
        try:
            run(*command, seconds=10)
        except LabError as error:
            found.append(f"{sentence} ({error})")
    shutil.rmtree(probe, ignore_errors=True)
    return found


def make_room() -> None:
    """Raises the one limit of the machine that two labs reach; it stays raised until the machine restarts."""
    if int(INOTIFY.read_text()) < INSTANCES:
        try:
            INOTIFY.write_text(str(INSTANCES))
        except OSError as error:
            raise LabError(
                f"Hosts need more inotify instances: sysctl fs.inotify.max_user_instances={INSTANCES} ({error})"
            ) from None


def require(place: Path | None = None) -> None:
    if found := lacks(place):
        raise LabError("\n".join(found))


@contextlib.contextmanager
def locked(path: Path, *, wait: bool, why: str) -> Iterator[None]:
    """Holds the lock file; it ends with the process that holds it. Without `wait`, LabError(why) where another has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise LabError(why) from None
        yield
