"""Run on a host, as root: looks at names, addresses, listeners, packages and leftovers, and prints JSON. Changes nothing."""

from __future__ import annotations

import ctypes
import fcntl
import glob
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
from typing import Any

LOCKS = ("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/lib/apt/lists/lock")
LISTEN = "0A"
UNCACHED = ("-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=")  # else apt-cache writes
UNSYNCHRONISED = 5  # what adjtimex answers where nothing keeps the clock


def run(*command: str) -> str:
    """What it prints; "" where it is not there or fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def resolve(name: str) -> list[str]:
    """The addresses of a name as programs on this host see them."""
    try:
        return sorted({str(found[4][0]) for found in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)})
    except OSError:
        return []


def reverse(address: str) -> str:
    """The name of an address, "" where there is none."""
    try:
        return socket.gethostbyaddr(address)[0]
    except OSError:
        return ""


def owners() -> dict[str, str]:
    """Inode of a socket -> name of the process that holds it."""
    found = {}
    for link in glob.glob("/proc/[0-9]*/fd/*"):
        try:
            target = os.readlink(link)
            if target.startswith("socket:["):
                with open(f"/proc/{link.split('/')[2]}/comm") as file:
                    found[target[8:-1]] = file.read().strip()
        except OSError:
            continue
    return found


def address_of(text: str) -> str:
    """An address of /proc/net/tcp or tcp6, as usual."""
    raw = bytes.fromhex(text)
    words = struct.unpack(f"<{len(raw) // 4}I", raw)
    packed = struct.pack(f">{len(words)}I", *words)
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def listening(ports: list[int]) -> list[list[Any]]:
    """[port, address, process] of everything that listens on one of the ports."""
    found, names = [], owners()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table) as file:
                rows = [line.split() for line in file.readlines()[1:]]
        except OSError:
            continue
        for row in rows:
            address, _, port = row[1].partition(":")
            if row[3] == LISTEN and int(port, 16) in ports:
                found.append([int(port, 16), address_of(address), names.get(row[9], "")])
    return found


def lock_holder() -> str:
    """Who holds a lock of apt or dpkg: the process's name, "" where nobody does."""
    for path in LOCKS:
        try:
            with open(path, "rb") as file:
                # struct flock: type, whence, start, length, pid; asked only, never taken.
                asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
                kind, _, _, _, pid = struct.unpack("hhqqi4x", fcntl.fcntl(file, fcntl.F_GETLK, asked))
        except OSError:
            continue
        if kind != fcntl.F_UNLCK:
            try:
                with open(f"/proc/{pid}/comm") as file:
                    return f"{file.read().strip()} (process {pid})"
            except OSError:
                return f"process {pid}"
    return ""


def packages(names: list[str]) -> dict[str, list[str]]:
    """Name -> [version that apt would install, version that is installed]; "" for none."""
    found: dict[str, list[str]] = {name: ["", ""] for name in names}
    name = ""
    for line in run("apt-cache", *UNCACHED, "policy", *names).splitlines() if names else []:
        if not line.startswith(" "):
            name = line.rstrip(":").strip()
        word, _, version = line.strip().partition(": ")
        if name in found and word in ("Candidate", "Installed") and version != "(none)":
            found[name][word == "Installed"] = version
    return found


def disk(path: str) -> dict[str, Any]:
    """MiB of size and free space, free inodes in percent, and whether it may be written to, of the file system below a path."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    told, usage = os.statvfs(path), shutil.disk_usage(path)
    inodes = 100 * told.f_favail // told.f_files if told.f_files else 100
    is_read_only = bool(told.f_flag & os.ST_RDONLY)
    return {"size": usage.total >> 20, "free": usage.free >> 20, "inodes": inodes, "is_read_only": is_read_only}


def swap() -> int:
    with open("/proc/meminfo") as file:
        return next((int(line.split()[1]) // 1024 for line in file if line.startswith("SwapTotal:")), 0)


def machine_id() -> str:
    try:
        with open("/etc/machine-id") as file:
            return file.read().strip()
    except OSError:
        return ""


def is_synchronised() -> str:
    """The kernel's own word; timedatectl would start a service for it."""
    return "no" if ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(256)) == UNSYNCHRONISED else "yes"


def main() -> None:
    asked = json.loads(sys.argv[1])
    timers = run("systemctl", "is-active", "apt-daily.timer", "apt-daily-upgrade.timer", "unattended-upgrades.service")
    answer = {
        "names": {name: resolve(name) for name in asked["names"]},
        "reverse": {address: reverse(address) for address in asked["addresses"]},
        "listening": listening(asked["ports"]),
        "packages": packages(asked["packages"]),
        "leftovers": [path for path in asked["paths"] if os.path.isdir(path) and os.listdir(path)],
        "lock": lock_holder(),
        "broken": run("dpkg", "--audit").strip()[:500],
        "disks": {path: disk(path) for path in asked["disks"]},
        "swap": swap(),
        "machine_id": machine_id(),
        "locales": [line.strip().lower() for line in run("locale", "-a").splitlines()],
        "is_synchronised": is_synchronised(),
        "has_updates": "active" in timers.split(),
        "failed": [
            line.split()[0]
            for line in run("systemctl", "list-units", "--failed", "--plain", "--no-legend").splitlines()
        ],
    }
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
