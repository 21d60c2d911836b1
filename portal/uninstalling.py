"""Uninstall of many deployments whoever runs them: those made here by their workflow, services on environments by rollouts."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any

from django.db import transaction

from accounts.actors import Actor
from accounts.errors import Conflict
from accounts.models import Tenant
from accounts.roles import may
from deployon.models import Rollout
from deployon.rollouts import Pace
from deployon.uninstalls import Part, preview_uninstalls, start_uninstalls
from inventory.models import Deployment
from orchestration import bulk_runs
from orchestration.bulk_looks import LeftOut, Looks, Preview
from orchestration.dequeuing import named
from orchestration.exposed import UNINSTALL
from orchestration.group_models import DeploymentGroup, ExecutionGroup

OTHER_TENANT = "It belongs to another tenant: switch to that tenant to act on it."
MAY_NOT = "It was placed by a rollout, and you may not start rollouts in this tenant."
STANDS = "Uninstall and remove what stands on it first: {}."


@dataclasses.dataclass(frozen=True)
class Wanted:
    """How it is to be done. `parameters`, `concurrency`, `force`: of the workflow; `pace`, `survey`: of the rollouts."""

    parameters: dict[str, Any] = dataclasses.field(default_factory=dict)
    concurrency: int = 5
    force: bool = False
    pace: Pace = dataclasses.field(default_factory=Pace)
    survey: bool = False

    @property
    def wish(self) -> bulk_runs.Wish:
        return bulk_runs.Wish(UNINSTALL, self.parameters, self.concurrency, self.force)


@dataclasses.dataclass(frozen=True)
class Whole:
    """What would be uninstalled, in both ways, and what not."""

    here: Preview  # by their own workflow; its `left_out` has everything that is left alone without a rollout
    parts: list[Part]  # a rollout each

    @property
    def count(self) -> int:
        """Deployments that would be uninstalled."""
        return len(self.here.acting) + sum(len(part.removing) for part in self.parts)

    @property
    def here_total(self) -> int:
        """Deployments that no rollout is about."""
        return len(self.here.acting) + len(self.here.left_out)

    @property
    def is_about_here(self) -> bool:
        """Is there more to say than what rollouts would do?"""
        return bool(self.here_total or not self.parts)

    @property
    def digest(self) -> str:
        """Tells whether what would happen is still what somebody looked at."""
        asked = {
            name: value for name, value in self.here.asked.items() if name != "concurrency"
        }  # a pace may be changed
        told = [dataclasses.replace(self.here, asked=asked).digest, *(part.preview.digest for part in self.parts)]
        return hashlib.sha256(" ".join(told).encode()).hexdigest()


@dataclasses.dataclass(frozen=True)
class Begun:
    """What was started: an execution group, rollouts, or both."""

    whole: Whole
    group: ExecutionGroup | None
    rollouts: list[Rollout]


class Changed(Exception):
    """Nothing was started: what would happen is not what was looked at any more."""

    def __init__(self, whole: Whole, why: str = "") -> None:
        super().__init__(why)
        self.whole, self.why = whole, why


def preview(*, by: Actor, tenant: Tenant, rows: Sequence[Deployment], wanted: Wanted) -> Whole:
    """What would be uninstalled, and how; starts nothing."""
    placed = [row for row in rows if row.kind == Deployment.Kind.PLACEMENT]
    here = bulk_runs.preview(rows=_rest(rows), tenant=tenant, wish=wanted.wish)
    standing = Looks(placed, tenant).dependents()
    by_key = {row.pk: row for row in placed}
    may_start = by.user is None or may(by.user, "rollout.start", tenant)
    for row in placed:
        on_it = [one.wire_id for one in standing.get(row.pk, ())]
        why = OTHER_TENANT if row.tenant_id != tenant.pk else "" if may_start else MAY_NOT
        why = why or (STANDS.format(named(on_it)) if on_it and not wanted.force else "")
        if why:
            here.left_out.append(LeftOut(by_key.pop(row.pk), why))
    parts, left = preview_uninstalls(by=by, tenant=tenant, deployments=list(by_key), survey=wanted.survey)
    here.left_out += [LeftOut(by_key[one.placement.deployment_id], one.why) for one in left]
    return Whole(here, parts)


def start(
    *,
    by: Actor,
    tenant: Tenant,
    rows: Sequence[Deployment],
    wanted: Wanted,
    digest: str,
    group: DeploymentGroup | None = None,
) -> Begun:
    """Begin all of what `digest` was told of, or nothing: Changed, where that would be something else by now.

    `group`: whose members they are, where they were chosen as such.
    """
    now = preview(by=by, tenant=tenant, rows=rows, wanted=wanted)
    if now.digest != digest or not now.count:
        raise Changed(now)
    try:
        with transaction.atomic():
            begun = start_uninstalls(by=by, tenant=tenant, parts=now.parts, pace=wanted.pace)
            executions = None
            if now.here.acting:
                executions = bulk_runs.start(
                    by=by, tenant=tenant, rows=_rest(rows), wish=wanted.wish, digest=now.here.digest, group=group
                )
    except (bulk_runs.Changed, Conflict) as error:  # somebody was faster, between the look and the locks
        raise Changed(preview(by=by, tenant=tenant, rows=rows, wanted=wanted), str(error)) from None
    return Begun(now, executions, begun)


def _rest(rows: Sequence[Deployment]) -> list[Deployment]:
    """Those that are not services placed by rollouts."""
    return [row for row in rows if row.kind != Deployment.Kind.PLACEMENT]
