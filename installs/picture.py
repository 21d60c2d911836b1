"""Where everything stands in the picture of a layout: boxes, hosts and arrows with their ports, for templates/installs/picture.html."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from installs.findings import Finding
from installs.ports import USERS, between
from inventory.layout import Balancing, External, Host, Layout, Part

WORDS = {
    Part.BALANCER: "Load balancer",
    Part.MANAGER: "Management",
    Part.DATABASE: "Database",
    Part.QUEUE: "Queue",
    Part.ETCD: "etcd",
}
ORDER = tuple(WORDS)
HOST_WIDTH, HOST_HEIGHT, HOST_GAP, PAD, HEAD, FOOT = 128, 46, 10, 12, 32, 22
GROUP_GAP, ROW_GAP, TOP, LEAST_WIDTH = 48, 46, 78, 560
TITLE_LETTER, PORT_LETTER = 7.2, 6.3  # widths of a letter, for boxes that must hold their words
MOST_IN_ROW = 4  # hosts beside each other in one box


@dataclass(frozen=True)
class HostBox:
    """One host."""

    host: Host
    x: float
    y: float
    look: str = ""  # "bad" or "warn" where something is wrong with it
    note: str = ""  # what it does that not all beside it do


@dataclass
class Group:
    """Hosts that do the same, or a service of somebody else."""

    title: str
    parts: frozenset[Part]
    hosts: Sequence[Host] = ()
    external: str = ""
    tier: int = 0
    x: float = 0
    y: float = 0
    boxes: list[HostBox] = field(default_factory=list)

    @property
    def among(self) -> str:
        """Ports between its own hosts, in words."""
        if len(self.hosts) < 2:
            return ""
        pairs = [
            (one, other) for one in self.parts for other in self.parts if (one, other) != (Part.BALANCER, Part.MANAGER)
        ]
        return _label(sorted({port for pair in pairs for port in between(*pair)}))

    @property
    def columns(self) -> int:
        return max(1, min(len(self.hosts), MOST_IN_ROW))

    @property
    def width(self) -> float:
        words = max(TITLE_LETTER * len(self.title), PORT_LETTER * len(f"among them {self.among}" if self.among else ""))
        return 2 * PAD + max(self.columns * HOST_WIDTH + (self.columns - 1) * HOST_GAP, words, 190)

    @property
    def height(self) -> float:
        rows = -(-len(self.hosts) // self.columns) if self.hosts else 1
        return HEAD + rows * HOST_HEIGHT + (rows - 1) * HOST_GAP + (FOOT if self.among else PAD)

    @property
    def middle(self) -> float:
        return self.x + self.width / 2

    @property
    def bottom(self) -> float:
        return self.y + self.height


@dataclass(frozen=True)
class Arrow:
    """Who talks to whom by which ports."""

    path: str
    label: str
    x: float
    y: float
    words: str  # for those who do not see the picture


@dataclass(frozen=True)
class Picture:
    """All of it, in units of the drawing."""

    layout: Layout
    width: float
    height: float
    groups: tuple[Group, ...]
    arrows: tuple[Arrow, ...]
    entrance: str
    middle: float

    @property
    def words(self) -> str:
        """The same in sentences."""
        groups = [
            f"{group.title}: {', '.join(host.name for host in group.hosts) or group.external}." for group in self.groups
        ]
        return " ".join([*groups, *(arrow.words for arrow in self.arrows)])


def draw(layout: Layout, found: Iterable[Finding] = ()) -> Picture:
    """The picture of a layout; hosts that findings name are marked."""
    groups = _groups(layout)
    looks = _looks(found)
    width = _place(groups, looks)
    height = max((group.bottom for group in groups), default=TOP) + PAD
    return Picture(layout, width, height, tuple(groups), tuple(_arrows(layout, groups)), _entrance(layout), width / 2)


def _groups(layout: Layout) -> list[Group]:
    by_parts: dict[frozenset[Part], list[Host]] = {}
    for host in layout.hosts:  # hosts that hold the virtual address beside their work stand with those that only work
        by_parts.setdefault(host.parts - {Part.BALANCER} or host.parts, []).append(host)
    groups = []
    for hosts in by_parts.values():
        parts = frozenset(part for host in hosts for part in host.parts)
        groups.append(Group(_title(parts), parts, hosts, tier=_tier(parts)))
    groups.sort(key=lambda group: (group.tier, min((ORDER.index(part) for part in group.parts), default=9)))
    for external, part, name in (
        (layout.external_database, Part.DATABASE, "PostgreSQL, external"),
        (layout.external_queue, Part.QUEUE, "RabbitMQ, external"),
    ):
        if external is not None:
            groups.append(Group(name, frozenset({part}), external=_place_of(external), tier=2))
    tiers = sorted({group.tier for group in groups})
    for group in groups:
        group.tier = tiers.index(group.tier)
    return groups


def _title(parts: frozenset[Part]) -> str:
    words = ", ".join(WORDS[part] for part in ORDER if part in parts) or "No part"
    return words[0] + words[1:].lower()


def _tier(parts: frozenset[Part]) -> int:
    """Users above, data below; hosts that are managers and more stand with the managers."""
    if Part.MANAGER in parts:
        return 1
    return 0 if Part.BALANCER in parts else 2


def _place_of(external: External) -> str:
    return f"{', '.join(external.addresses)}:{external.port}"


def _place(groups: list[Group], looks: Mapping[str, str]) -> float:
    """Set x and y of groups and hosts, tier by tier, each in the middle; returns the width of the whole."""
    tiers = [[group for group in groups if group.tier == tier] for tier in sorted({group.tier for group in groups})]
    widths = [sum(group.width for group in row) + GROUP_GAP * (len(row) - 1) for row in tiers]
    whole = max([*widths, LEAST_WIDTH]) + 2 * PAD
    y: float = TOP
    for row, width in zip(tiers, widths, strict=True):
        x = (whole - width) / 2
        for group in row:
            group.x, group.y = x, y
            group.boxes = [
                HostBox(
                    host,
                    x + PAD + (number % group.columns) * (HOST_WIDTH + HOST_GAP),
                    y + HEAD + (number // group.columns) * (HOST_HEIGHT + HOST_GAP),
                    looks.get(host.name, ""),
                    "balancer" if host.has(Part.BALANCER) and len(host.parts) > 1 else "",
                )
                for number, host in enumerate(group.hosts)
            ]
            x += group.width + GROUP_GAP
        y += max(group.height for group in row) + ROW_GAP
    return whole


def _arrows(layout: Layout, groups: list[Group]) -> Iterable[Arrow]:
    doors = [group for group in groups if (Part.BALANCER if _has_ours(layout) else Part.MANAGER) in group.parts]
    for door in doors:
        ports = between(USERS, Part.BALANCER)
        yield Arrow(
            f"M{door.middle:g} 40V{door.y - 3:g}", _label(ports), door.middle + 9, (40 + door.y) / 2 + 4,
            f"Users reach {door.title} by {_label(ports)}.",
        )  # fmt: skip
    for source in groups:
        for target in groups:
            ports = _ports(source, target)
            if source is not target and ports:
                yield _arrow(source, target, ports)


def _ports(source: Group, target: Group) -> tuple[int, ...]:
    """What flows between two groups: parts that the source has itself it does not fetch elsewhere, as far as the picture goes."""
    found: list[int] = []
    for one in source.parts:
        for other in target.parts - source.parts:
            if one is Part.BALANCER and other is not Part.MANAGER:
                continue  # its entrances to database and queue are in the table of ports, and would clutter here
            found += between(one, other)
    return tuple(dict.fromkeys(sorted(found)))


def _arrow(source: Group, target: Group, ports: tuple[int, ...]) -> Arrow:
    words = f"{source.title} talks to {target.title} by {_label(ports)}."
    if source.tier == target.tier:
        left, right = sorted((source, target), key=lambda group: group.x)
        y = left.y + HEAD + HOST_HEIGHT / 2
        begin, end = (left.x + left.width, right.x - 3) if left is source else (right.x, left.x + left.width + 3)
        return Arrow(f"M{begin:g} {y:g}H{end:g}", _label(ports), min(begin, end) + 4, y - 6, words)
    upper, lower = sorted((source, target), key=lambda group: group.tier)
    x = min(max(lower.middle, upper.x + 24), upper.x + upper.width - 24)
    if lower.x + 12 <= x <= lower.x + lower.width - 12:
        path = f"M{x:g} {upper.bottom:g}V{lower.y - 3:g}"
    else:
        half = (upper.bottom + lower.y) / 2
        path = f"M{x:g} {upper.bottom:g}V{half:g}H{lower.middle:g}V{lower.y - 3:g}"
        x = lower.middle
    return Arrow(path, _label(ports), x + 9, lower.y - 12, words)


def _label(ports: Iterable[int]) -> str:
    return ", ".join(str(port) for port in ports)


def _has_ours(layout: Layout) -> bool:
    return layout.balancing is Balancing.OURS and bool(layout.having(Part.BALANCER))


def _entrance(layout: Layout) -> str:
    if layout.balancing is Balancing.THEIRS:
        return f"Users, through your balancer {layout.entrance}".strip()
    return f"Users, at {layout.entrance}" if layout.entrance else "Users"


def _looks(found: Iterable[Finding]) -> dict[str, str]:
    looks: dict[str, str] = {}
    for finding in found:
        if finding.host and looks.get(finding.host) != "bad":
            looks[finding.host] = "bad" if finding.is_error else "warn"
    return looks
