"""What runs where: services by environment with version, state and age; reads only, a fixed number of queries a page."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from accounts.models import Tenant
from deployon.models import Placement, Service
from inventory.models import Environment

COLUMNS_A_PAGE = 20
_CHUNK = 500
_RISKY = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would take what begins so for a formula
CSV_COLUMNS = ("environment", "site", "environment_state", "service", "version", "state", "why", "since", "placed_at")


@dataclasses.dataclass(frozen=True)
class Cell:
    """One service on one environment. `since`: when its state changed last; `placed_at`: when it was put there or adopted."""

    placement: int
    version: int | None
    state: str
    why: str
    since: datetime
    placed_at: datetime


@dataclasses.dataclass(frozen=True)
class Line:
    """One environment with what stands on it, by service name."""

    environment: int
    name: str
    site: str
    state: str
    services: dict[str, Cell]

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def services_of(tenant: Tenant, names: Sequence[str] = ()) -> QuerySet[Service]:
    """The columns: services of the tenant by name, all or those named."""
    rows = Service.objects.filter(tenant=tenant).order_by("name")
    return rows.filter(name__in=names) if names else rows


def standing(rows: QuerySet[Environment], services: Sequence[str], state: str) -> QuerySet[Environment]:
    """Only environments on which one of these services (none named: any) is in that state; "none": nothing stands at all."""
    if not state:
        return rows
    there = Placement.objects.exclude(state=Placement.State.ABSENT)
    if services:
        there = there.filter(service__name__in=services)
    if state == "none":
        return rows.exclude(pk__in=there.values("environment"))
    return rows.filter(pk__in=there.filter(state=state).values("environment"))


def lines(tenant: Tenant, environments: Iterable[Environment], services: Iterable[int]) -> list[Line]:
    """Environments of a page, in their order, with what stands of these services (ids). One query."""
    rows = list(environments)
    found: dict[int, dict[str, Cell]] = {row.pk: {} for row in rows}
    placements = Placement.objects.filter(
        environment__in=list(found), service__in=list(services), service__tenant=tenant
    )
    columns = (
        "environment", "service__name", "pk", "desired_version__number", "state", "why", "updated_at", "deployment__created_at",
    )  # fmt: skip
    stood = placements.exclude(state=Placement.State.ABSENT).order_by("service__name")
    for environment, service, *cell in stood.values_list(*columns):
        found[environment][service] = Cell(*cell)
    return [
        Line(
            row.pk,
            row.deployment.display_name,
            row.deployment.site.name if row.deployment.site else "",
            row.state,
            found[row.pk],
        )
        for row in rows
    ]


def all_lines(tenant: Tenant, rows: QuerySet[Environment], services: Sequence[int]) -> Iterator[Line]:
    """Every environment of a choice, read by the hundred, for an export."""
    keys = list(rows.values_list("pk", flat=True))
    for start in range(0, len(keys), _CHUNK):
        part = Environment.objects.select_related("deployment__site").in_bulk(keys[start : start + _CHUNK])
        yield from lines(tenant, [part[key] for key in keys[start : start + _CHUNK] if key in part], services)


def as_csv(found: Iterable[Line]) -> str:
    """A line for each service on each environment; one without a service where nothing stands."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(CSV_COLUMNS)
    for line in found:
        place = [line.name, line.site, line.state]
        for name, cell in line.services.items():
            times = [cell.since.isoformat(), cell.placed_at.isoformat()]
            writer.writerow(map(_safe, [*place, name, cell.version or "", cell.state, cell.why, *times]))
        if not line.services:
            writer.writerow(map(_safe, [*place, *[""] * 6]))
    return out.getvalue()


def as_json(found: Iterable[Line]) -> str:
    """A list of lines, as /api/v1 tells them."""
    return json.dumps([line.as_json() for line in found], indent=1, default=lambda moment: moment.isoformat())


def _safe(value: Any) -> str:
    text = str(value)
    return f"'{text}" if text.startswith(_RISKY) else text
