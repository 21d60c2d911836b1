"""Rules of counts and votes: how many of each part, which majority survives what, and what one machine would take along."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from installs.findings import Finding, error, warning
from installs.topology.placement import LOSES_WRITES
from inventory.layout import Layout, Part

MOST_MANAGERS = 10
MOST_VOTES = 7  # more members make every write slower and survive little more
WHO_VOTES = {Part.ETCD: "etcd", Part.QUEUE: "RabbitMQ"}


def findings(layout: Layout) -> Iterator[Finding]:
    """Of managers, databases, etcd, queue and the machines below them."""
    if not layout.hosts:
        return
    yield from _managers(layout)
    yield from _databases(layout)
    yield from _etcd(layout)
    yield from _queues(layout)
    yield from _machines(layout)
    if len(layout.hosts) == 1:
        yield warning(
            "one-host",
            "One host is not highly available: while it is down, so is the service.",
            "Fine for a trial or a small sub-manager; use three compact hosts where it must stay up.",
        )


def _managers(layout: Layout) -> Iterator[Finding]:
    count = len(layout.having(Part.MANAGER))
    if count == 0:
        yield error("no-manager", "No host is a manager.", "Give the part manager to 1 to 10 hosts.", field="parts")
    elif count > MOST_MANAGERS:
        yield error(
            "too-many-managers",
            f"{count} managers are more than the {MOST_MANAGERS} that work together.",
            "Take the part away from some, or build a second cluster.",
            field="parts",
        )
    elif count == 1 and len(layout.hosts) > 1:
        yield warning(
            "one-manager",
            "With a single manager the service is down while that host is.",
            "Use two or three managers.",
            field="parts",
        )


def _databases(layout: Layout) -> Iterator[Finding]:
    count = len(layout.having(Part.DATABASE))
    if layout.external_database:
        return  # installs.topology.externals has its rules
    if count == 0:
        yield error(
            "no-database",
            "Nothing keeps the data: no host has the part database, and there is no external PostgreSQL.",
            "Give the part to three hosts, or describe the external one.",
            field="parts",
        )
    elif count == 1 and len(layout.hosts) > 1:
        yield warning(
            "one-database",
            "A single database host has nobody to take over: its loss stops the service and may lose data.",
            "Use three database hosts.",
            field="parts",
        )
    elif count == 2:
        yield warning(
            "two-databases",
            "Of two database hosts, the one that remains after a loss has no synchronous copy any more.",
            "Use three database hosts.",
            field="parts",
        )
    if count > 1 and layout.release in LOSES_WRITES:
        yield error(
            "loses-writes",
            f"Several database hosts may lose acknowledged writes here: {LOSES_WRITES[layout.release]}.",
            "Use Debian 13 (trixie), an external PostgreSQL, or a single database host.",
            field="release",
        )
    if layout.is_strict and 0 < count < 3:
        yield warning(
            "strict",
            f"Strict synchronous mode with {count} database host{'s' if count > 1 else ''}: "
            f"{'the loss of one' if count > 1 else 'it'} stops all writes.",
            "Use three database hosts, or leave strict mode off.",
            field="is_strict",
        )


def _etcd(layout: Layout) -> Iterator[Finding]:
    members, databases = layout.having(Part.ETCD), layout.having(Part.DATABASE)
    if not databases:
        if members:
            yield warning(
                "needless-etcd",
                "etcd elects the leader of the database, and there is none here.",
                "Take the part etcd away.",
                field="parts",
            )
        return
    if not members:
        yield error(
            "no-etcd",
            "No host has the part etcd: the database could not elect a leader.",
            "Give it to the hosts of the database, or to three others.",
            field="parts",
        )
        return
    if len(members) == 1 and len(databases) > 1:
        yield error(
            "no-quorum",
            f"One etcd member carries {len(databases)} database hosts: when it is gone, none may write.",
            "Give the part etcd to three hosts.",
            field="parts",
        )
    yield from _majority(Part.ETCD, len(members))


def _queues(layout: Layout) -> Iterator[Finding]:
    count = len(layout.having(Part.QUEUE))
    if layout.external_queue:
        return
    if count == 0:
        yield error(
            "no-queue",
            "No host has the part queue, and there is no external RabbitMQ.",
            "Give the part to three hosts, or describe the external one.",
            field="parts",
        )
    elif count == 1 and len(layout.hosts) > 1:
        yield warning(
            "one-queue",
            "A single queue host: while it is down, nothing new is begun.",
            "Use three queue hosts.",
            field="parts",
        )
    yield from _majority(Part.QUEUE, count)


def _majority(part: Part, count: int) -> Iterator[Finding]:
    """Even counts survive no more than one less, and two survive nothing."""
    who = WHO_VOTES[part]
    if count == 2:
        # A queue of two still works when nothing is lost; etcd of two makes the database less available than one host would be.
        make = error if part is Part.ETCD else warning
        yield make(
            f"even-{part}",
            f"Two {who} members survive no loss: one alone is no majority and stops.",
            "Use three, or one.",
            field="parts",
        )
    elif count and count % 2 == 0:
        yield warning(
            f"even-{part}",
            f"{count} {who} members survive {(count - 1) // 2} losses, as {count - 1} would, and vote more slowly.",
            f"Use {count - 1} or {count + 1}.",
            field="parts",
        )
    elif count > MOST_VOTES:
        yield warning(
            f"many-{part}",
            f"{count} {who} members have to agree on every write.",
            "Use three or five.",
            field="parts",
        )


def _machines(layout: Layout) -> Iterator[Finding]:
    """What is lost together with one physical machine, where it is known which host runs on which."""
    for part, who in WHO_VOTES.items():
        members = layout.having(part)
        spare = (len(members) - 1) // 2  # so many may be lost
        for machine, count in Counter(host.machine for host in members if host.machine).items():
            names = " and ".join(host.name for host in members if host.machine == machine)
            if count > 1 and len(members) > 2 and count > spare:
                yield error(
                    "votes-together",
                    f"Machine {machine} carries {count} of {len(members)} {who} members ({names}): with it the majority is gone.",
                    "Move hosts so that no machine carries more than one vote.",
                    field="machine",
                )
            elif count > 1:
                yield warning(
                    "votes-together",
                    f"Machine {machine} carries {count} {who} members ({names}): its loss costs {count} votes at once.",
                    "Move hosts so that no machine carries more than one vote.",
                    field="machine",
                )
    for part in (Part.DATABASE, Part.MANAGER, Part.BALANCER):
        hosts = layout.having(part)
        if len(hosts) > 1 and hosts[0].machine and len({host.machine for host in hosts}) == 1:
            yield warning(
                "all-together",
                f"All {part} hosts run on machine {hosts[0].machine}.",
                "Spread them over machines.",
                field="machine",
            )
