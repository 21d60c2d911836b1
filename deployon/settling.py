"""Stores what looks at many targets changed in their placements and deployments, in the transaction of the engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from deployon.models import Placement
from inventory.models import Deployment
from inventory.rollup import refresh_many
from runs.bulk import update_columns


@dataclass(frozen=True)
class Change:
    """What became of one placement and its deployment. `rolls_up`: the deployment above, whose states follow from it."""

    placement: int
    deployment: int
    of_placement: dict[str, Any]
    of_deployment: dict[str, Any]
    rolls_up: int | None = None
    is_gone: bool = False


def store(changes: Sequence[Change]) -> None:
    """The later change of a row wins. What was removed meanwhile stays so.

    Nobody else changes these fields: the run of a target has the lock of its environment, and a step that was handed on
    has its changes dropped. That stands for the condition of `Placement.move`.
    """
    placements: dict[int, dict[str, Any]] = {}
    deployments: dict[int, dict[str, Any]] = {}
    now = timezone.now()
    for change in changes:
        if change.of_placement:
            placements.setdefault(change.placement, {"updated_at": now}).update(change.of_placement)
        if change.of_deployment:
            deployments.setdefault(change.deployment, {"updated_at": now}).update(change.of_deployment)
    update_columns(Placement, placements)
    update_columns(Deployment, deployments)
    gone = [change for change in changes if change.is_gone]
    if gone:
        Placement.objects.filter(pk__in=[change.placement for change in gone]).delete()
        Deployment.objects.filter(pk__in=[change.deployment for change in gone]).delete()
    # A placement has no children of its own: what changes with it begins at its environment.
    above = {change.rolls_up for change in changes if change.rolls_up is not None}
    if above:
        refresh_many(above)
