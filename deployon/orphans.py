"""What is there without a record here, and the reverse, by environment; from what was kept of the last look, reads only."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db.models import F, QuerySet

from accounts.models import Tenant
from deployon import drift
from deployon.models import Placement, Scan
from inventory.models import Environment

# Of a report, worst first: "unreachable" was asked and did not answer, "unseen" was never asked.
STATES = ("unreachable", "orphans", "unseen", "clear", "empty")


@dataclasses.dataclass(frozen=True)
class Stray:
    """A deployment there without a record here. `is_ours`: it bears our labels, so its record was lost."""

    deployment: str
    name: str
    blueprint: str
    situation: str
    service: str
    parent: str
    is_ours: bool


@dataclasses.dataclass(frozen=True)
class Ghost:
    """A placement here whose deployment is gone there."""

    placement: int
    service: str
    version: int | None
    deployment: str


@dataclasses.dataclass(frozen=True)
class Report:
    """One environment: `seen_at` is the age of all that is told; `error`: why the last look brought nothing."""

    environment: int
    name: str
    site: str
    state: str
    seen_at: datetime | None
    looked_at: datetime | None
    error: str
    strays: list[Stray]
    ghosts: list[Ghost]
    standing: int  # deployments there that are placements here


@dataclasses.dataclass(frozen=True)
class Drifted:
    """A placement that is not as wanted, with the words of the last look."""

    placement: Placement
    kind: str
    why: str
    seen_at: datetime | None

    @property
    def is_fixable(self) -> bool:
        return self.kind in drift.FIXABLE


_COLUMNS = ("pk", "service__name", "desired_version__number", "state", "updated_at", "remote_deployment")


@dataclasses.dataclass(frozen=True)
class _Placed:
    """A placement, as far as a report needs it: whole rows of many thousand cost seconds to read."""

    placement: int
    service: str
    version: int | None
    state: str
    updated_at: datetime
    remote_deployment: str

    @property
    def remote_id(self) -> str:
        return self.remote_deployment or self.service


def reports(tenant: Tenant, environments: Iterable[Environment]) -> list[Report]:
    """Of these environments, in their order. Two queries."""
    rows = list(environments)
    keys = [row.pk for row in rows]
    scans = {scan.environment_id: scan for scan in Scan.objects.filter(environment__in=keys).defer("drift")}
    placed: dict[int, list[_Placed]] = {key: [] for key in keys}
    placements = Placement.objects.filter(environment__in=keys, service__tenant=tenant).order_by("pk")
    for environment, *columns in placements.values_list("environment_id", *_COLUMNS):
        placed[environment].append(_Placed(*columns))
    return [report_of(row, scans.get(row.pk), placed[row.pk]) for row in rows]


def report_of(environment: Environment, scan: Scan | None, placements: Sequence[_Placed]) -> Report:
    """What the last look at an environment and our records say together."""
    deployment = environment.deployment
    listed = scan.deployments if scan is not None else []
    there = {row["id"] for row in listed}
    ours = {each.remote_id for each in placements if each.state != Placement.State.ABSENT}
    strays = [
        stray_of(row, deployment.wire_id) for row in listed if row["id"] not in ours and row["kind"] != "environment"
    ]
    seen_at = scan.seen_at if scan is not None else None
    ghosts = [
        Ghost(
            each.placement,
            each.service,
            each.version,
            each.remote_id,
        )
        for each in placements
        if each.state not in drift.AT_WORK
        and seen_at is not None
        and each.updated_at < seen_at
        and each.remote_id not in there
    ]
    if scan is not None and scan.error:
        state = "unreachable"
    elif seen_at is None:
        state = "unseen"
    else:
        state = "orphans" if strays or ghosts else "clear" if listed else "empty"
    return Report(
        environment.pk,
        deployment.display_name,
        deployment.site.name if deployment.site else "",
        state,
        seen_at,
        scan.looked_at if scan is not None else None,
        scan.error if scan is not None else "",
        strays,
        ghosts,
        len(ours & there),
    )


def stray_of(row: dict[str, Any], environment: str) -> Stray:
    return Stray(
        row["id"],
        row["name"],
        row["blueprint"],
        row["situation"].replace("_", " "),
        row["service"],
        row["parent"],
        row["owner"] == environment,
    )


def drifted(tenant: Tenant, environments: QuerySet[Environment]) -> list[Drifted]:
    """Placements that the last look found not as wanted, by service and environment; those changed since then are left out."""
    scans = Scan.objects.filter(environment__in=environments.values("pk")).exclude(drift=[])
    found = {row["placement"]: (row, scan.seen_at) for scan in scans.defer("deployments") for row in scan.drift}
    rows = Placement.objects.filter(pk__in=list(found), service__tenant=tenant).exclude(state__in=drift.AT_WORK)
    rows = rows.select_related("service", "desired_version", "environment__deployment__site").defer(
        "desired_version__inputs_schema"
    )
    told = []
    for placement in rows.order_by(F("service__name"), "environment__deployment__display_name", "pk"):
        row, seen_at = found[placement.pk]
        if seen_at is not None and placement.updated_at < seen_at:
            told.append(Drifted(placement, row["kind"], row["why"], seen_at))
    return told
