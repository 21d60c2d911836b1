"""The three drills: what each breaks, what that costs, which hosts bear it, and when one is refused. Pure functions of a layout."""

from __future__ import annotations

from collections.abc import Collection

from installs.models import Drill
from inventory.layout import Balancing, Host, Layout, Part

Kind = Drill.Kind
PART = {Kind.MANAGER: Part.MANAGER, Kind.LEADER: Part.DATABASE, Kind.QUEUE: Part.QUEUE}
NOUN = {Kind.MANAGER: "manager host", Kind.LEADER: "database host", Kind.QUEUE: "queue host"}
# What is done to the host, in the words of the plan and of the page.
DEEDS = {
    Kind.MANAGER: "Cut the power of a manager host: it restarts at once, without shutting down",
    Kind.LEADER: "Cut the power of the database host that leads: it restarts at once, without shutting down",
    Kind.QUEUE: "Cut a queue host off from all other hosts for 40 s; SSH goes on",
}
CUT_OFF_SECONDS = 40
# After so many seconds without a write a drill still passes, and is called slow.
EXPECTED = 15.0
EXPECTED_OF_DATABASE = {"fast": 32.0, "calm": 45.0}
_WORDS = {
    Part.ETCD: "etcd",
    Part.DATABASE: "PostgreSQL",
    Part.QUEUE: "RabbitMQ",
    Part.MANAGER: "the management service",
    Part.BALANCER: "the balancer",
}


def expected_seconds(kind: str, layout: Layout) -> float:
    """How long nobody may get a write acknowledged. Where such hosts also have the database, as long as that may take."""
    if any(host.has(Part.DATABASE) for host in layout.having(PART[Kind(kind)])):
        return EXPECTED_OF_DATABASE.get(layout.failover, EXPECTED_OF_DATABASE["calm"])
    return EXPECTED


def cost(kind: str, layout: Layout) -> str:
    """What users feel, in a sentence."""
    seconds = f"{expected_seconds(kind, layout):.0f} s"
    if kind == Kind.LEADER:
        return f"Writes wait up to {seconds}; what was begun at the database fails and is tried again."
    if kind == Kind.MANAGER:
        return f"Requests at that host fail; others go on at once, or wait up to {seconds}."
    return f"What goes through the queue waits up to {seconds}."


def taken_along(kind: str, layout: Layout) -> str:
    """What else stands on such hosts and is struck with them; "" where they have one part alone."""
    own = PART[Kind(kind)]
    others = [_WORDS[part] for part in Part if part != own and any(host.has(part) for host in layout.having(own))]
    return f"Such a host also has {', '.join(others)}: all of that is struck with it." if others else ""


def candidates(kind: str, layout: Layout) -> list[Host]:
    """Hosts of that kind that the cluster can do without."""
    return [host for host in layout.having(PART[Kind(kind)]) if not lacks_without(layout, host)]


def refusal(kind: str, layout: Layout, name: str = "") -> str:
    """Why this drill cannot be run on this layout, or on the host of that name; "" where it can."""
    part = PART[Kind(kind)]
    hosts = layout.having(part)
    if not hosts:
        return (
            f"This cluster has no {NOUN[Kind(kind)]} of its own: others run that service, and drills of it are theirs."
        )
    if name and name not in {host.name for host in hosts}:
        return f"{name} is no {NOUN[Kind(kind)]}: choose one of {', '.join(host.name for host in hosts)}."
    if len(layout.having(Part.MANAGER)) < 2 or layout.balancing is Balancing.NONE:
        return "With a single manager nothing takes over, and nobody could write while it is away. Add managers and a balancer first."
    if kind == Kind.LEADER and len(hosts) < 2:
        return "The database has a single host: nothing takes over. Add two more first."
    asked = [host for host in hosts if not name or host.name == name]
    whys = [lacks_without(layout, host) for host in asked]
    if all(whys):
        return whys[0]
    if kind == Kind.LEADER and any(whys):  # nobody knows now which of them leads then
        return next(why for why in whys if why)
    return ""


def lacks_without(layout: Layout, lost: Host) -> str:
    """What the cluster would lack while this host is away, in words; "" where it goes on serving."""
    left = {part: [host for host in layout.having(part) if host.name != lost.name] for part in Part}
    for part, word in ((Part.ETCD, "etcd"), (Part.QUEUE, "RabbitMQ")):
        members = len(layout.having(part))
        if lost.has(part) and len(left[part]) <= members // 2:
            return f"Without {lost.name} {word} has {len(left[part])} of {members} members, which is no majority. Three are needed."
    if lost.has(Part.DATABASE) and len(left[Part.DATABASE]) < (2 if layout.is_strict else 1):
        return f"Without {lost.name} the database takes no writes: it has too few hosts left. Three are needed."
    for part in (Part.MANAGER, Part.BALANCER):
        if lost.has(part) and not left[part]:
            return f"{lost.name} is the only host with {_WORDS[part]}: nobody would get in while it is away. Add another first."
    return ""


def choose_struck(kind: str, layout: Layout, *, asked: str, leader: str, in_step: Collection[str]) -> Host | None:
    """The host that is struck: the one that was asked for; else one that writes need least, unless the leader is the drill.

    `in_step`: the synchronous replicas, for which every write waits too. None where nobody leads, or the one that was asked
    for does not lead.
    """
    if kind == Kind.LEADER:
        return layout.host(leader) if leader and asked in ("", leader) else None
    found = [host for host in candidates(kind, layout) if asked in ("", host.name)]
    return min(
        found, key=lambda host: (host.name == leader, host.name in in_step, -layout.hosts.index(host)), default=None
    )


def choose_writer(layout: Layout, *, struck: str, leader: str) -> Host | None:
    """The manager host from which the counter is written: it must stay, and should have little else to do."""
    others = [host for host in layout.having(Part.MANAGER) if host.name != struck]
    return min(others, key=lambda host: (host.name == leader, layout.hosts.index(host)), default=None)
