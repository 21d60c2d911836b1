"""Who uses whom, read both ways: parents and what stands on them, capabilities, components and shared resources."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from django.db.models import Q

from accounts.models import Tenant, User
from inventory.models import Deployment
from inventory.querysets import DeploymentQuerySet
from orchestration import dependencies
from orchestration.dependency_models import Dependency

USES, USED_BY = "uses", "used_by"
PARENT, CAPABILITY, COMPONENT, SHARED = "parent", "capability", "component", "shared_resource"
WORDS = {
    (USES, PARENT): "Stands on",
    (USES, CAPABILITY): "Uses capabilities of",
    (USES, COMPONENT): "Has as a component",
    (USES, SHARED): "Shares",
    (USED_BY, PARENT): "Stand on it",
    (USED_BY, CAPABILITY): "Use its capabilities",
    (USED_BY, COMPONENT): "Have it as a component",
    (USED_BY, SHARED): "Share it",
}
DEEPEST = 50  # levels that are followed


@dataclasses.dataclass(frozen=True)
class Edge:
    """One deployment beside this one, and what makes them depend on each other."""

    direction: str
    kind: str
    name: str  # its id
    deployment: Deployment | None = None  # None: it is at a remote manager
    creators: tuple[str, ...] = ()  # what in a blueprint makes it: nodes.app.properties.url
    host: str = ""  # of the remote manager that has it
    tenant: str = ""


@dataclasses.dataclass(frozen=True)
class Neighbours:
    """All edges of one deployment that somebody may see, and how many more there are."""

    edges: list[Edge]
    hidden: int

    def of(self, direction: str) -> list[tuple[str, list[Edge]]]:
        """(words, edges) by kind, in the order of WORDS."""
        kinds = [(kind, words) for (way, kind), words in WORDS.items() if way == direction]
        mine = [one for one in self.edges if one.direction == direction]
        found = [(words, [one for one in mine if one.kind == kind]) for kind, words in kinds]
        return [(words, edges) for words, edges in found if edges]


def neighbours(deployment: Deployment, user: User, tenant: Tenant) -> Neighbours:
    """What it uses and what uses it, directly; in a number of queries that does not grow with them."""
    seen = Deployment.objects.visible_to(user, tenant).select_related("tenant", "environment", "placement")
    edges: list[Edge] = []
    total = 0
    parents, children = Q(pk=deployment.parent_id), Q(parent=deployment.pk)
    for direction, which in ((USES, parents), (USED_BY, children)):
        total += Deployment.objects.filter(which).count()
        edges += [Edge(direction, PARENT, row.wire_id, row) for row in seen.filter(which).order_by("wire_id")]
    for direction, rows in (
        (USES, Dependency.objects.filter(source=deployment)),
        (USED_BY, Dependency.objects.filter(target=deployment)),
    ):
        told, hidden = of_rows(direction, rows.order_by("pk"), seen)
        edges += told
        total += len(told) + hidden
    return Neighbours(edges, max(0, total - len(edges)))


def of_rows(direction: str, rows: Iterable[Dependency], seen: DeploymentQuerySet) -> tuple[list[Edge], int]:
    """Those rows as edges, one for each pair and kind, and how many there are besides of which nothing is told."""
    groups: dict[tuple[str, int | None, str, str, str], list[str]] = {}
    for row in rows:
        key = row.target_id if direction == USES else row.source_id
        external = row.external_target or {}
        where = external.get("client_config") or {}
        place = (str(external.get("deployment") or ""), str(where.get("host") or ""), str(where.get("tenant") or ""))
        groups.setdefault((kind_of(row), key, *place), []).append(row.creator)
    found = seen.filter(pk__in={key for _, key, *_ in groups if key is not None})
    known = {row.pk: row for row in found}
    edges = []
    for (kind, key, name, host, place_tenant), creators in groups.items():
        other = known.get(key) if key is not None else None
        if (key is None and name) or other is not None:
            shown = other.wire_id if other is not None else name
            edges.append(Edge(direction, kind, shown, other, tuple(creators), host, place_tenant))
    return sorted(edges, key=lambda one: (one.kind, one.name)), len(groups) - len(edges)


def kind_of(row: Dependency) -> str:
    """By what makes it."""
    prefix = row.creator.partition(".")[0]
    return {dependencies.COMPONENT: COMPONENT, dependencies.SHARED: SHARED}.get(prefix, CAPABILITY)


def count_above(deployment: Deployment) -> int:
    """How many deployments need this one, directly or through others; two queries a level."""
    known, level = {deployment.pk}, {deployment.pk}
    for _ in range(DEEPEST):
        below = set(Deployment.objects.filter(parent__in=level).values_list("pk", flat=True))
        below |= set(Dependency.objects.filter(target__in=level).values_list("source", flat=True))
        level = below - known
        if not level:
            break
        known |= level
    return len(known) - 1
