"""Uninstall of many placements, of whatever services: who placed each, a rollout's preview for each service, and their start together."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from accounts.actors import Actor
from accounts.models import Tenant
from deployon import previews, rollouts
from deployon.models import Placement, Preview, Rollout, ServiceVersion, Target
from runs.states import FINAL_RUN_STATES


@dataclasses.dataclass(frozen=True)
class Line:
    """A placement in the preview, and how it came to be there. `why` is of one that is left alone."""

    placement: Placement
    placed_by: str  # "" where that user is gone
    placed_at: datetime
    rollout: int | None  # which placed it; None: it was adopted
    why: str = ""


@dataclasses.dataclass(frozen=True)
class Part:
    """What would be done about one service: the preview of an ordinary rollout with action uninstall."""

    preview: Preview
    removing: list[Line]
    staying: list[Line]


@dataclasses.dataclass(frozen=True)
class Left:
    """A placement that no rollout would be started for, and why."""

    placement: Placement
    why: str


def preview_uninstalls(
    *, by: Actor, tenant: Tenant, deployments: Collection[int], survey: bool = False
) -> tuple[list[Part], list[Left]]:
    """A part for each service that owns some of these deployments; starts nothing.

    With `survey` the sub-managers are asked, and what others stand on there is left alone.
    """
    rows = Placement.objects.filter(service__tenant=tenant, deployment__in=list(deployments))
    placements = list(
        rows.select_related(
            "service", "desired_version", "environment__deployment__site", "deployment__created_by"
        ).order_by("service__name", "environment__deployment__display_name", "pk")
    )
    going = _being_removed(placements)
    left, groups = [], defaultdict[int, list[Placement]](list)
    for row in placements:
        if row.state == Placement.State.ABSENT:
            left.append(Left(row, "The service is not there."))
        elif row.pk in going:
            left.append(Left(row, "It is being uninstalled already, by a rollout."))
        else:
            groups[row.service_id].append(row)
    placed = _placed(placements)
    return [_part(by, tenant, some, placed, survey) for some in groups.values()], left


@transaction.atomic
def start_uninstalls(
    *, by: Actor, tenant: Tenant, parts: Sequence[Part], pace: rollouts.Pace | None = None
) -> list[Rollout]:
    """A rollout for each part, all or none. Conflict, naming what changed, where one is not what was looked at."""
    digests = [part.preview.digest for part in parts if part.removing]
    return [rollouts.start_rollout(by=by, tenant=tenant, digest=digest, pace=pace) for digest in digests]


def _part(by: Actor, tenant: Tenant, rows: list[Placement], placed: dict[int, Target], survey: bool) -> Part:
    newest = ServiceVersion.objects.filter(service=rows[0].service_id).select_related("service").order_by("-number")
    preview = previews.preview_rollout(
        by=by,
        tenant=tenant,
        version=newest[:1].get(),
        where=previews.Where(environments=[row.environment_id for row in rows]),
        action=Rollout.Action.UNINSTALL,
        survey=survey,
    )
    judged: dict[int, dict[str, Any]] = {
        row["environment"]: {**row, "kind": kind}
        for kind in ("remove", "differs", "stays", "excluded")
        for row in preview.content[kind]
    }
    part = Part(preview, [], [])
    for row in rows:
        verdict = judged.get(row.environment_id, {"kind": "excluded", "why": "You may not see its environment."})
        line = _line(row, placed.get(row.pk), verdict["why"])
        (part.removing if verdict["kind"] == "remove" else part.staying).append(line)
    return part


def _line(row: Placement, target: Target | None, why: str) -> Line:
    if target is None:
        owner = row.deployment
        return Line(row, str(owner.created_by or ""), owner.created_at, None, why)
    rollout = target.rollout
    return Line(row, str(rollout.created_by or ""), rollout.created_at, rollout.pk, why)


def _placed(rows: Sequence[Placement]) -> dict[int, Target]:
    """Placement id -> the target by which a rollout put it there last."""
    found = Target.objects.filter(placement__in=rows, intent=Target.Intent.CREATE, attempts__gt=0)
    found = found.select_related("rollout__created_by").defer("rollout__preview").order_by("pk")
    return {target.placement_id: target for target in found if target.placement_id is not None}


def _being_removed(rows: Sequence[Placement]) -> set[int]:
    """Those for whose removal a run is at work, or waits."""
    at_work = Target.objects.filter(placement__in=rows, intent=Target.Intent.REMOVE, run__isnull=False)
    keys = at_work.exclude(run__state__in=FINAL_RUN_STATES).values_list("placement_id", flat=True)
    return {key for key in keys if key is not None}
