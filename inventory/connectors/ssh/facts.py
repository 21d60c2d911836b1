"""What a host is: system, size, clock, addresses, as it says itself in one answer."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inventory.connectors.ssh.commands import Command
from inventory.connectors.ssh.values import HostError, HostErrorKind

if TYPE_CHECKING:
    from inventory.connectors.ssh.session import Host

ASK = """
value() { sed -n "s/^$1=//p" /etc/os-release | tr -d '"' | head -n 1; }
echo "os $(value ID)"
echo "version $(value VERSION_ID)"
echo "codename $(value VERSION_CODENAME)"
echo "architecture $(dpkg --print-architecture 2>/dev/null || uname -m)"
echo "cpus $(nproc)"
echo "memory $(sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo)"
echo "disk $(df -Pk / | tail -n 1 | tr -s ' ' | cut -d' ' -f2)"
echo "free $(df -Pk /var | tail -n 1 | tr -s ' ' | cut -d' ' -f4)"
echo "hostname $(hostname)"
echo "addresses $(hostname -I)"
echo "python $(python3 -c 'import platform; print(platform.python_version())' 2>/dev/null || :)"
echo "systemd $([ -d /run/systemd/system ] && echo yes || :)"
echo "boot $(cat /proc/sys/kernel/random/boot_id)-$(cut -d' ' -f22 /proc/1/stat)"
echo "clock $(date +%s.%N)"
"""


@dataclass(frozen=True)
class Facts:
    """One look at a host. Sizes are in MiB, `clock_offset` in seconds: how far the host's clock is ahead of ours."""

    os_id: str  # "debian"
    os_version: str  # "13"
    os_codename: str  # "trixie"
    architecture: str  # "amd64"
    cpus: int
    memory: int
    disk: int  # size of the root file system
    disk_free: int  # what is free where /var lies
    clock_offset: float
    clock_error: float  # the true offset lies within this many seconds
    addresses: tuple[str, ...]
    hostname: str
    python_version: str  # "" where there is none
    is_systemd: bool
    boot_id: str  # another one after each start of the host, a container among them


def ask(host: Host) -> Facts:
    """Looks; changes nothing and needs no root."""
    sent_at = time.time()
    text = host.run(Command.shell(ASK), is_root=False).stdout
    got_at = time.time()
    said = dict(line.partition(" ")[::2] for line in text.splitlines())
    try:
        return Facts(
            os_id=said["os"],
            os_version=said["version"],
            os_codename=said["codename"],
            architecture=said["architecture"],
            cpus=int(said["cpus"]),
            memory=int(said["memory"]) // 1024,
            disk=int(said["disk"]) // 1024,
            disk_free=int(said["free"]) // 1024,
            # The clock is read last, just before the answer comes back.
            clock_offset=float(said["clock"]) - got_at,
            clock_error=got_at - sent_at,
            addresses=tuple(said["addresses"].split()),
            hostname=said["hostname"],
            python_version=said["python"],
            is_systemd=said["systemd"] == "yes",
            boot_id=said["boot"],
        )
    except (KeyError, ValueError):
        raise HostError(
            HostErrorKind.FAILED,
            f"{host.address} does not answer as a Debian host does: {text.strip()[:200] or 'it said nothing'}. "
            "Check that its user has an ordinary shell, and that it runs Debian 12 or 13.",
        ) from None
