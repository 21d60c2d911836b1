"""What is said of a cluster's health, as plain values: of each part of a host, of each host, of each part as a whole, and of all."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from inventory.layout import Part


class Health(StrEnum):
    """How something is. Unknown: nobody has said, or too long ago; it is never taken for healthy."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"  # works, with less margin
    FAILED = "failed"
    UNKNOWN = "unknown"


# As people want to read them: what is worst comes first.
WORST_FIRST = (Health.FAILED, Health.DEGRADED, Health.UNKNOWN, Health.HEALTHY)


def rank(state: Health) -> int:
    """Greater is worse."""
    return len(WORST_FIRST) - WORST_FIRST.index(state)


def worst(states: Iterable[Health], otherwise: Health = Health.UNKNOWN) -> Health:
    """The worst of several; `otherwise` of none."""
    found = set(states)
    return next((state for state in WORST_FIRST if state in found), otherwise)


@dataclass(frozen=True)
class PartHealth:
    """One part on one host. `why` is empty where it is healthy."""

    part: Part
    state: Health
    role: str = ""  # "leader", "sync replica", "follower", "running", ...
    why: str = ""
    version: str = ""  # "PostgreSQL 17.6"
    lag_bytes: float | None = None
    lag_seconds: float | None = None

    @property
    def works(self) -> bool:
        return self.state in (Health.HEALTHY, Health.DEGRADED)


@dataclass(frozen=True)
class HostHealth:
    """One host. `seen_by`: whose Prometheus told it, empty where nobody did; shares are of 1, times in seconds since 1970."""

    name: str
    address: str
    state: Health
    why: str = ""
    seen_by: str = ""
    parts: tuple[PartHealth, ...] = ()
    services: dict[str, bool] = field(default_factory=dict)  # unit -> is it active
    load: float | None = None
    memory_used: float | None = None
    disk_used: float | None = None
    up_since: float | None = None

    def part(self, part: Part) -> PartHealth | None:
        return next((each for each in self.parts if each.part == part), None)


@dataclass(frozen=True)
class GroupHealth:
    """One part over all its hosts. `needed`: how many must work for the whole to work."""

    part: Part
    state: Health
    total: int
    working: int
    needed: int
    says: str
    more: str = ""
    why: str = ""
    leader: str = ""
    is_external: bool = False
    members: tuple[tuple[str, str], ...] = ()  # (host, state)
    queues: tuple[Any, ...] = ()  # of the queue: each quorum queue, the worst first (inventory.health.queues)


@dataclass(frozen=True)
class Alert:
    """A rule of the cluster's Prometheus that fires now."""

    name: str
    severity: str
    host: str
    says: str


@dataclass(frozen=True)
class ClusterHealth:
    """All of it, as at one moment."""

    state: Health
    why: tuple[str, ...]  # the worst first
    groups: tuple[GroupHealth, ...]
    hosts: tuple[HostHealth, ...]
    alerts: tuple[Alert, ...] = ()

    @property
    def is_known(self) -> bool:
        """Did any host say anything?"""
        return any(host.seen_by for host in self.hosts)

    def group(self, part: Part) -> GroupHealth | None:
        return next((group for group in self.groups if group.part == part), None)

    def host(self, name: str) -> HostHealth | None:
        return next((host for host in self.hosts if host.name == name), None)

    def as_json(self) -> dict[str, Any]:
        """The same of lists, objects, texts and numbers."""
        told: dict[str, Any] = dataclasses.asdict(self)
        return told
