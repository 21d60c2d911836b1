"""The bases: a Debian 13 or 12 that hosts are laid over, made once from the machine's own package sources and kept."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.lab.machine import LabError, locked, run

RELEASES = ("trixie", "bookworm")  # Debian 13, the default, and 12
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
PACKAGES = (
    "systemd-sysv,dbus,libpam-systemd,openssh-server,sudo,python3,iproute2,iputils-ping,nftables,ca-certificates,curl,"
    "gnupg,procps,netbase,less,cron,logrotate,tzdata,locales"
)
# What a namespace on a shared kernel cannot have or must not touch, and timers that would reach for the package archive.
MASKED = (
    "systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udev-trigger.service "
    "sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount sys-fs-fuse-connections.mount "
    "dev-hugepages.mount proc-sys-fs-binfmt_misc.automount tmp.mount systemd-timesyncd.service "
    "systemd-networkd.service systemd-networkd.socket systemd-resolved.service systemd-firstboot.service "
    "getty.target console-getty.service apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer"
).split()
LEFT_OUT = ("etc/hostname", "etc/resolv.conf", "etc/machine-id", "var/lib/dbus/machine-id")


@dataclass(frozen=True)
class Source:
    """One entry of the machine's package sources."""

    address: str
    suite: str
    keyring: str


def sources_of_the_machine(folder: Path = Path("/etc/apt")) -> list[Source]:
    """Debian's own archives in the machine's package sources, of either format; foreign archives are left out."""
    found = []
    for path in sorted(folder.glob("sources.list.d/*.sources")):
        for stanza in re.split(r"\n\s*\n", re.sub(r"(?m)^#.*\n?", "", path.read_text())):
            fields = {name.lower(): value for name, value in re.findall(r"(?m)^([\w-]+):\s*(.*)$", stanza)}
            if "deb" in fields.get("types", "").split() and fields.get("enabled", "yes").lower() != "no":
                found += [
                    (address, suite, fields.get("components", ""), fields.get("signed-by", ""))
                    for address in fields.get("uris", "").split()
                    for suite in fields.get("suites", "").split()
                ]
    for path in [folder / "sources.list", *sorted(folder.glob("sources.list.d/*.list"))]:
        lines = path.read_text() if path.exists() else ""
        for options, address, suite, components in re.findall(
            r"(?m)^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+(.*)$", lines
        ):
            signed = re.search(r"signed-by=(\S+)", options)
            found.append((address, suite, components, signed[1] if signed else ""))
    return [
        Source(address, suite, keyring if keyring.startswith("/") else "")
        for address, suite, components, keyring in found
        if "main" in components.split() and re.search(r"/debian(-security)?/?$", address)
    ]


def sources_for(release: str, machine: list[Source]) -> str:
    """The machine's sources, in deb822 form, with the release's name for its own: same mirror, same keyring."""
    stanzas = {}
    for source in machine:
        suite = re.fullmatch(r"[a-z]+((?:-updates|-security|/updates)?)", source.suite)
        if suite is None:
            continue
        ending = "-security" if "security" in source.address or suite[1] == "/updates" else suite[1]
        stanzas[source.address, release + ending] = (
            f"Types: deb\nURIs: {source.address}\nSuites: {release}{ending}\nComponents: main\n"
            f"Signed-By: {source.keyring or KEYRING}\n"
        )
    if not any(suite == release for _, suite in stanzas):
        raise LabError(
            "The machine's package sources name no archive of Debian (a `deb` entry with the component main, at an "
            f"address that ends in /debian). Add one under /etc/apt/sources.list.d, of any release: {release} is taken from it."
        )
    return "\n".join(stanzas.values())


def recipe() -> str:
    """A digest of what makes a base: a changed recipe makes a new one, beside that which hosts may be laid over."""
    text = "|".join([PACKAGES, *MASKED, *LEFT_OUT, Path(__file__).read_text().rpartition("def finish(")[2]])
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def path_of(release: str, folder: Path) -> Path:
    if release not in RELEASES:
        raise LabError(f"There is no base {release}: the lab has {' and '.join(RELEASES)}.")
    return folder / "bases" / f"{release}-{recipe()}"


def make(release: str, folder: Path, *, again: bool = False) -> Path:
    """The base's folder, built where it is not there yet (about 30 s). A build that is broken off leaves none."""
    base = path_of(release, folder)
    with locked(folder / "bases.lock", wait=True, why=""):
        if again and base.exists():
            shutil.rmtree(base)
        if not base.exists():
            for remains in base.parent.glob(".new-*"):
                shutil.rmtree(remains)
            base.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".new-", dir=base.parent) as place:
                new = Path(place) / release
                build(release, new)
                finish(new)
                new.rename(base)
    return base


def build(release: str, place: Path) -> None:
    sources = place.with_suffix(".sources")
    sources.write_text(sources_for(release, sources_of_the_machine()))
    command = ("mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", f"--include={PACKAGES}")
    run(*command, release, place, sources, seconds=900)


def finish(place: Path) -> None:
    """What makes a fresh Debian one that many hosts can share: no identity, and no service that is not for a namespace."""
    for name in [*LEFT_OUT, *host_keys(place)]:
        (place / name).unlink(missing_ok=True)
    (place / "etc/machine-id").touch()
    (place / "etc/resolv.conf").touch()
    for unit in MASKED:
        link = place / "etc/systemd/system" / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    (place / "mnt").mkdir(exist_ok=True)
    place.chmod(0o755)


def host_keys(place: Path) -> Iterator[str]:
    return (str(path.relative_to(place)) for path in (place / "etc/ssh").glob("ssh_host_*"))
