"""Preflight: is each host large enough, of the right system, on time, and a machine of its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from installs.findings import Finding, error, warning
from installs.preflight.survey import Seen, Survey
from installs.rendering.values import RELEASES
from inventory.layout import Part

ARCHITECTURES = ("amd64", "arm64")
LEAST_ROOM, LEAST_INODES = 512, 5  # MiB and percent that any file system must have left
BEARABLE_OFFSET, WORST_OFFSET = 1.0, 10.0  # seconds: of clocks that are told about, and that are refused


@dataclass(frozen=True)
class Size:
    """Processors; memory and room on disk in MiB."""

    cpus: int
    memory: int
    disk: int


# Below this an install fails or dies of it; and what is recommended. A VM of n GB shows somewhat less.
FLOORS = {
    Part.ETCD: Size(1, 480, 1000), Part.DATABASE: Size(1, 900, 3000), Part.QUEUE: Size(1, 900, 2000),
    Part.MANAGER: Size(1, 1800, 3000), Part.BALANCER: Size(1, 400, 1000),
}  # fmt: skip
RECOMMENDED = {
    Part.ETCD: Size(2, 2000, 10_000), Part.DATABASE: Size(2, 15_000, 60_000), Part.QUEUE: Size(4, 7500, 30_000),
    Part.MANAGER: Size(4, 7500, 30_000), Part.BALANCER: Size(2, 1900, 5000),
}  # fmt: skip


def systems(survey: Survey) -> Iterator[Finding]:
    wanted = RELEASES[survey.layout.release]
    for seen in survey.known:
        assert seen.facts is not None
        name, facts = seen.wanted.name, seen.facts
        if (facts.os_id, facts.os_version) != ("debian", wanted.debian):
            yield error(
                "system.release",
                f"It runs {facts.os_id} {facts.os_version or facts.os_codename}; this cluster is for Debian {wanted.debian}.",
                f"Install Debian {wanted.debian} there, or change the release of the cluster.",
                host=name,
            )
        if facts.architecture not in ARCHITECTURES:
            yield error(
                "system.architecture", f"Its processor is {facts.architecture}.",
                f"Use hosts of one of: {', '.join(ARCHITECTURES)}.", host=name,
            )  # fmt: skip
        if not facts.is_systemd:
            yield error(
                "system.systemd", "It does not run systemd, which keeps the services of a cluster at work.",
                "Install Debian with its ordinary init; a bare container will not do.", host=name,
            )  # fmt: skip
        if not facts.python_version:
            yield error(
                "system.python", "It has no python3, with which most of these checks are done; they were left out.",
                "Install it there: apt-get install python3-minimal", host=name,
            )  # fmt: skip


def sizes(survey: Survey) -> Iterator[Finding]:
    for seen in survey.known:
        parts = [part for part in Part if seen.wanted.has(part)]
        assert seen.facts is not None
        has = Size(seen.facts.cpus, seen.facts.memory, seen.facts.disk_free)
        floor = _sum([FLOORS[part] for part in parts])
        # Several parts on one host share what is recommended for the largest of them, as in the compact topology.
        advised = _largest([RECOMMENDED[part] for part in parts])
        yield from _too_small(seen, has, floor, advised)


def _too_small(seen: Seen, has: Size, floor: Size, advised: Size) -> Iterator[Finding]:
    parts = ", ".join(part for part in Part if seen.wanted.has(part))
    for field, what, unit in (
        ("cpus", "processors", ""), ("memory", "of memory", " MB"), ("disk", "of free disk below /var", " MB"),
    ):  # fmt: skip
        there, least, better = getattr(has, field), getattr(floor, field), getattr(advised, field)
        if there < least:
            yield error(
                f"size.{field}", f"It has {there}{unit} {what}; {parts} need {least}{unit}.",
                f"Give it {better}{unit}.", host=seen.wanted.name,
            )  # fmt: skip
        elif there < better:
            yield warning(
                f"size.{field}", f"It has {there}{unit} {what}; {better}{unit} are recommended for {parts}.",
                "It will do for trials; give it more before much depends on it.", host=seen.wanted.name,
            )  # fmt: skip


def _sum(given: list[Size]) -> Size:
    """Memory and disk add up; a processor is shared."""
    return Size(1, sum(size.memory for size in given), sum(size.disk for size in given))


def _largest(given: list[Size]) -> Size:
    columns = zip(*((size.cpus, size.memory, size.disk) for size in given), strict=True)
    return Size(*(max(column) for column in columns)) if given else Size(1, 0, 0)


def disks(survey: Survey) -> Iterator[Finding]:
    for seen in survey.asked:
        for path, disk in seen.told["disks"].items():
            if disk["is_read_only"]:
                yield error(
                    "disk.read_only", f"The file system of {path} is mounted read-only.",
                    "Look at its kernel log for a failing disk; mount it for writing.", host=seen.wanted.name,
                )  # fmt: skip
            elif disk["free"] < LEAST_ROOM:
                yield error(
                    "disk.full", f"The file system of {path} has {disk['free']} MB left.",
                    f"Make room there: at least {LEAST_ROOM} MB.", host=seen.wanted.name,
                )  # fmt: skip
            elif disk["inodes"] < LEAST_INODES:
                yield error(
                    "disk.inodes", f"The file system of {path} has {disk['inodes']} % of its inodes left.",
                    "Remove small files there, or make the file system anew with more inodes.", host=seen.wanted.name,
                )  # fmt: skip


def clocks(survey: Survey) -> Iterator[Finding]:
    """Against the portal, which stands for the others: certificates, leases and tokens all compare times."""
    for seen in survey.known:
        assert seen.facts is not None
        offset = abs(seen.facts.clock_offset) - seen.facts.clock_error  # at least that much
        if offset > BEARABLE_OFFSET:
            words = f"Its clock is {_duration(abs(seen.facts.clock_offset))} {'ahead of' if seen.facts.clock_offset > 0 else 'behind'} the portal's."
            remedy = "Have it keep time: apt-get install systemd-timesyncd, and name a time server that it reaches."
            make = error if offset > WORST_OFFSET else warning
            yield make("clock.offset", words, remedy, host=seen.wanted.name)
    offsets = [seen.facts.clock_offset for seen in survey.known if seen.facts]
    errors = [seen.facts.clock_error for seen in survey.known if seen.facts]
    if len(offsets) > 1 and (apart := max(offsets) - min(offsets) - 2 * max(errors)) > BEARABLE_OFFSET:
        make = error if apart > WORST_OFFSET else warning
        yield make(
            "clock.apart", f"The clocks of the hosts are up to {_duration(apart)} apart.",
            "Have all of them keep time by the same time servers.",
        )  # fmt: skip
    for seen in survey.asked:
        if seen.told["is_synchronised"] == "no":
            yield warning(
                "clock.free", "Nothing keeps its clock on time.",
                "Install a time client (systemd-timesyncd or chrony), unless its hypervisor sets the clock.",
                host=seen.wanted.name,
            )  # fmt: skip


def _duration(seconds: float) -> str:
    return (
        f"{seconds / 3600:.1f} h"
        if seconds > 3600
        else f"{seconds / 60:.1f} min"
        if seconds > 90
        else f"{seconds:.1f} s"
    )


def machines(survey: Survey) -> Iterator[Finding]:
    by_machine: dict[str, list[Seen]] = defaultdict(list)
    for seen in survey.asked:
        if seen.told["machine_id"]:
            by_machine[seen.told["machine_id"]].append(seen)
    for twins in by_machine.values():
        names = ", ".join(seen.wanted.name for seen in twins)
        if len(twins) > 1 and _are_one(twins):
            yield error(
                "machine.twice",
                f"{names} are one and the same machine.",
                "Correct the addresses: each host is one machine.",
            )
        elif len(twins) > 1:
            yield warning(
                "machine.cloned", f"{names} have the same machine id: they were cloned.",
                "On all but one: rm /etc/machine-id && systemd-machine-id-setup, then reboot.",
            )  # fmt: skip


def _are_one(twins: list[Seen]) -> bool:
    boots = [seen.facts.boot_id for seen in twins if seen.facts]
    return len(set(boots)) < len(boots)
