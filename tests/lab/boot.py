"""What runs around one host: a supervisor that boots it again when it reboots, and what prepares its mounts before its systemd.

Standard library only, and no import of the lab: it is run as a file, by the interpreter alone. `run` and `init` take the
host's folder, whose host.json says everything else.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

RDONLY, NOSUID, NODEV, NOEXEC, REMOUNT, BIND, REC, PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
DETACH = 2
LIBC = ctypes.CDLL(None, use_errno=True)
REBOOT = (129, -1)  # what `unshare` ends with when the host's init died of SIGHUP: the kernel's word for "restart"
# Without these a host would set the machine's clock, load its modules, read its log.
DROPPED = "-sys_time,-sys_module,-sys_rawio,-syslog,-wake_alarm,-mac_admin,-mac_override"
DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2", "ptmx": "pts/ptmx"}


def mount(kind: str, source: str | Path, target: str | Path, flags: int = 0, options: str = "") -> None:
    words = (os.fsencode(source), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), options.encode())
    if LIBC.mount(*words):
        number = ctypes.get_errno()
        raise OSError(number, f"mount {kind} on {target}: {os.strerror(number)}")


def supervise(folder: Path) -> int:
    """Boots the host until it is powered off. Enters the host's cgroup first, so that a power cut ends it as well."""
    told = json.loads((folder / "host.json").read_text())
    (Path(told["cgroup"]) / "cgroup.procs").write_text(str(os.getpid()))
    namespaces = ("--mount", "--pid", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child=SIGKILL")
    init = (sys.executable, "-I", "-S", __file__, "init", str(folder))
    while True:
        # Not `ip netns exec`: it would mount /sys anew.
        status = subprocess.call(
            ["nsenter", f"--net=/run/netns/{told['netns']}", "--", "unshare", *namespaces, "--", *init]
        )
        print(f"--- init ended with {status} ({'reboot' if status in REBOOT else 'off'})", flush=True)
        if status not in REBOOT:
            return status
        restart(folder, told["netns"])


def restart(folder: Path, netns: str) -> None:
    """What a machine does between off and on: it is silent, for as long as `boot_seconds` says, and forgets its packet filter."""
    took = folder / "boot_seconds"
    inside = ("nsenter", f"--net=/run/netns/{netns}", "--")
    subprocess.call([*inside, "ip", "link", "set", "eth0", "down"])
    time.sleep(float(took.read_text()) if took.exists() else 0)
    subprocess.call([*inside, "nft", "flush", "ruleset"])
    subprocess.call([*inside, "ip", "link", "set", "eth0", "up"])


def prepare(folder: Path) -> None:
    """Mounts the host's disk and kernel file systems and becomes its systemd. All mounts go with the host: they are its own."""
    told = json.loads((folder / "host.json").read_text())
    root, work = folder / "root", folder / "work"
    mount("", "", "/", REC | PRIVATE)
    shutil.rmtree(work, ignore_errors=True)  # also takes away the mark of a "volatile" overlay that was cut off
    work.mkdir()
    layers = f"lowerdir={':'.join(told['lower'])},upperdir={folder / 'up'},workdir={work},volatile"
    mount("overlay", "overlay", root, 0, layers)
    mount_kernel(root)
    mount_devices(root / "dev")
    mount("tmpfs", "run", root / "run", NOSUID | NODEV, "mode=755")
    mount("tmpfs", "tmp", root / "tmp", NOSUID | NODEV, "mode=1777")
    socket.sethostname(told["name"])
    os.chdir(root)
    if LIBC.pivot_root(b".", b"mnt") or LIBC.umount2(b"/mnt", DETACH):
        raise OSError(ctypes.get_errno(), "cannot leave the machine's file system")
    os.chdir("/")
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    words = ["setpriv", f"--bounding-set={DROPPED}", "/sbin/init"]
    os.execve("/usr/bin/setpriv", words, {"container": "lab", "PATH": path})


def mount_kernel(root: Path) -> None:
    """proc, sys and the host's own cgroups. Of /proc/sys only the part of the network is the host's to change."""
    safe = NOSUID | NODEV | NOEXEC
    mount("proc", "proc", root / "proc", safe)
    settings = root / "proc/sys"
    mount("", settings, settings, BIND)
    mount("", "", settings, BIND | REMOUNT | RDONLY | safe)
    mount("", settings / "net", settings / "net", BIND)
    mount("", "", settings / "net", BIND | REMOUNT | safe)
    for name in ("sysrq-trigger", "kcore", "kmsg"):
        if (root / "proc" / name).exists():
            mount("", "/dev/null", root / "proc" / name, BIND)
    mount("sysfs", "sysfs", root / "sys", RDONLY | safe)  # read-only also tells systemd to leave udev out
    mount("cgroup2", "cgroup2", root / "sys/fs/cgroup", safe)


def mount_devices(dev: Path) -> None:
    mount("tmpfs", "dev", dev, NOSUID, "mode=755,size=4m")
    os.umask(0)
    for name, (major, minor) in DEVICES.items():
        os.mknod(dev / name, stat.S_IFCHR | 0o666, os.makedev(major, minor))
    os.umask(0o022)
    for name, target in LINKS.items():
        (dev / name).symlink_to(target)
    for name in ("pts", "shm", "mqueue"):
        (dev / name).mkdir()
    mount("devpts", "devpts", dev / "pts", NOSUID | NOEXEC, "newinstance,ptmxmode=0666,mode=620,gid=5")
    mount("tmpfs", "shm", dev / "shm", NOSUID | NODEV, "mode=1777")
    mount("mqueue", "mqueue", dev / "mqueue")


if __name__ == "__main__":
    sys.exit({"run": supervise, "init": prepare}[sys.argv[1]](Path(sys.argv[2])))
