"""What pages and API show of a cluster's health: what was seen, its certificates, the last drill; plain values."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

from installs.models import Certificate, Checkup, ClusterRun
from inventory.health.groups import WORDS
from inventory.health.values import Health
from inventory.layout import Part
from inventory.models import Cluster
from runs import clock

STALE = datetime.timedelta(seconds=60)  # older than that, what was seen says nothing of now
YEAR, SOON = 365, 30  # days: the length of a bar, and what is marked on it


@dataclass(frozen=True)
class Expiry:
    """A certificate in use and when it ends."""

    kind: str
    owner: str
    ends_at: datetime.datetime
    days_left: int

    @property
    def look(self) -> str:
        return "bad" if self.days_left < 0 else "warn" if self.days_left < SOON else "idle"

    @property
    def percent(self) -> int:
        return max(1, min(100, self.days_left * 100 // YEAR))


def verdict_of(row: Checkup) -> Health:
    """What may be said now: of what was seen too long ago, nothing."""
    return Health(row.verdict) if clock.now() - row.looked_at < STALE else Health.UNKNOWN


def expiries(cluster: Cluster) -> list[Expiry]:
    """Certificates in use, the first to end first."""
    rows = Certificate.objects.filter(cluster=cluster, state=Certificate.State.CURRENT, not_after__isnull=False)
    return [
        Expiry(row.kind, row.owner, row.not_after, row.days_left or 0)
        for row in rows.order_by("not_after", "pk")
        if row.not_after
    ]


def last_drill(cluster: Cluster) -> dict[str, Any] | None:
    """The last drill that ended: {"run", "state", "host", "ended_at"}; None where there was none."""
    rows = ClusterRun.objects.filter(cluster=cluster, kind=ClusterRun.Kind.DRILL, run__ended_at__isnull=False)
    found = rows.select_related("run").order_by("-run__ended_at").first()
    if found is None:
        return None
    return {"run": found.run_id, "state": found.run.state, "host": found.host, "ended_at": found.run.ended_at}


def as_shown(cluster: Cluster, row: Checkup) -> dict[str, Any]:
    """Everything, as the API gives it."""
    told = row.told or {}
    return {
        "verdict": verdict_of(row),
        "why": told.get("why", []),
        "looked_at": row.looked_at if told else None,
        "known_at": row.known_at,
        "parts": told.get("groups", []),
        "hosts": told.get("hosts", []),
        "alerts": told.get("alerts", []),
        "certificates": [
            {"kind": each.kind, "owner": each.owner, "ends_at": each.ends_at, "days_left": each.days_left}
            for each in expiries(cluster)
        ],
        "last_drill": last_drill(cluster),
    }


def for_page(cluster: Cluster, row: Checkup | None) -> dict[str, Any]:
    """What the card needs beside the cluster."""
    told = row.told if row else {}
    groups = [{**group, "title": WORDS[Part(group["part"])]} for group in told.get("groups", [])]
    hosts = [_host_for_page(host) for host in told.get("hosts", [])]
    ends = expiries(cluster)
    return {
        "cluster": cluster,
        "row": row if told else None,
        "verdict": str(verdict_of(row)) if row and told else "",
        "why": told.get("why", []),
        "groups": groups,
        "hosts": hosts,
        "is_known": any(host["seen_by"] for host in hosts),
        "alerts": told.get("alerts", []),
        "queues": [queue for group in groups for queue in group.get("queues", [])],
        "certificates": _nearest(ends),
        "drill": last_drill(cluster),
    }


def _host_for_page(host: dict[str, Any]) -> dict[str, Any]:
    since = host.get("up_since")
    still = [unit for unit, works in host["services"].items() if not works]
    return {
        **host,
        "up_since": datetime.datetime.fromtimestamp(since, datetime.UTC) if since else None,
        "memory": _percent(host["memory_used"]),
        "disk": _percent(host["disk_used"]),
        "parts": [{**part, "lag": spoken_lag(part["lag_bytes"], part["lag_seconds"])} for part in host["parts"]],
        "still": still,
        "running": len(host["services"]) - len(still),
    }


def _nearest(ends: list[Expiry]) -> list[Expiry]:
    """The first to end of each kind; hosts have theirs from the same day, mostly."""
    found: dict[str, Expiry] = {}
    for each in ends:
        found.setdefault(each.kind, each)
    return list(found.values())


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share * 100:.0f} %"


def spoken_lag(size: float | None, seconds: float | None) -> str:
    """ "0 B", "1.4 MB, 2.0 s"; "" where nothing is known."""
    told = [] if size is None else [_size(size)]
    if seconds is not None and (seconds >= 0.05 or size is None):
        told.append(f"{seconds:.1f} s")
    return ", ".join(told)


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if abs(size) < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
