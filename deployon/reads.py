"""Reads of rollouts for pages and API: one row a target, counts, failures by cause; a fixed number of queries for any size."""

from __future__ import annotations

import dataclasses
import re
from datetime import datetime
from typing import Any

from django.db.models import Case, Count, F, IntegerField, Q, QuerySet, Value, When
from django.utils import timezone

from deployon.models import Placement, Rollout, Service, Target
from runs.models import Run
from runs.states import FINAL_RUN_STATES, RunState

ACTING = Target.ACTING
VARYING = re.compile(r"https?://\S+|\b\S*\d\S*")  # addresses, names and ids differ where the cause is the same
# Worst first, then what moves, then what is done.
_ORDER = (
    RunState.FAILED,
    RunState.CANCELLED,
    RunState.RUNNING,
    RunState.WAITING,
    RunState.PAUSED,
    RunState.PENDING,
    RunState.HELD,
)


@dataclasses.dataclass(frozen=True)
class TargetRow:
    """A target as a line of a table. `state` is its run's, or its intent (stays, differs) where nothing runs."""

    target: int
    environment: int | None  # None where it is removed since; its name stays
    name: str
    site: str
    intent: str
    state: str
    why: str
    cause: str
    run: int | None
    attempts: int
    seconds: float | None  # since it was started, until it ended
    finished: int  # operations of the remote execution
    total: int
    capabilities: dict[str, Any]


def rollout_list(tenant_id: int) -> QuerySet[Rollout]:
    """Rollouts of a tenant for a list, newest first, with `targets_count`; previews are left in the database."""
    acting = Count("targets", filter=Q(targets__intent__in=ACTING))
    return (
        Rollout.objects.filter(tenant=tenant_id)
        .select_related("version__service", "run", "created_by")
        .defer("preview", "version__inputs_schema")
        .annotate(targets_count=acting)
        .order_by("-id")  # a grouped query forgets the model's own order
    )


def service_list(tenant_id: int) -> QuerySet[Service]:
    """Services of a tenant, with their versions and `deployed`, on how many environments they are."""
    there = Count("placements", filter=Q(placements__state=Placement.State.DEPLOYED))
    rows = Service.objects.filter(tenant=tenant_id).annotate(deployed=there).order_by("name")
    return rows.select_related("created_by").prefetch_related("versions")


def target_rows(rollout: Rollout, state: str = "") -> QuerySet[Target]:
    """The targets of a rollout, worst first, ready for `as_row`; only those in `state` (a run state or an intent) if given."""
    order = Case(
        *(When(run__state=each, then=Value(place)) for place, each in enumerate(_ORDER)),
        default=Value(99),
        output_field=IntegerField(),
    )
    rows = (
        Target.objects.filter(rollout=rollout)
        .select_related("environment__deployment__site", "run", "placement__deployment")
        .only(
            "id", "intent", "why", "attempts", "rollout_id", "environment_id", "environment_name", "placement_id", "run_id",
            "environment__deployment__display_name", "environment__deployment__site__name",
            "run__state", "run__why", "run__cause", "run__started_at", "run__ended_at",
            "placement__capabilities", "placement__deployment__latest_execution_finished",
            "placement__deployment__latest_execution_total",
        )
        .annotate(severity=order)
        .order_by("severity", "environment_name", "pk")
    )  # fmt: skip
    if state in Target.Intent.values and state not in ACTING:
        return rows.filter(intent=state)
    return rows.filter(run__state=state) if state else rows


def as_row(target: Target, now: datetime | None = None) -> TargetRow:
    """A target of `target_rows` as values."""
    run, placement = target.run, target.placement
    deployment = target.environment.deployment if target.environment is not None else None
    seconds = None
    if run is not None and run.started_at:
        seconds = max(0.0, ((run.ended_at or now or timezone.now()) - run.started_at).total_seconds())
    is_acting = target.intent in ACTING
    remote = placement.deployment if placement is not None and is_acting else None
    return TargetRow(
        target=target.pk,
        environment=target.environment_id,
        name=deployment.display_name if deployment else target.environment_name,
        site=deployment.site.name if deployment and deployment.site else "",
        intent=target.intent,
        state=run.state if run is not None else target.intent,
        why=run.why if run is not None else target.why,
        cause=run.cause if run is not None else "",
        run=target.run_id,
        attempts=target.attempts,
        seconds=seconds,
        finished=remote.latest_execution_finished if remote else 0,
        total=remote.latest_execution_total if remote else 0,
        capabilities=placement.capabilities if placement is not None else {},
    )


def rollout_rows(rollout: Rollout, state: str = "", *, limit: int | None = None, offset: int = 0) -> list[TargetRow]:
    """Lines of the rollout's table. One query."""
    now = timezone.now()
    rows = target_rows(rollout, state)[offset : None if limit is None else offset + limit]
    return [as_row(target, now) for target in rows]


def counts(rollout: Rollout) -> dict[str, int]:
    """How many targets are in which state: run states for those acted on, `stays`, `differs`, `excluded`; `total` acted on."""
    found = Target.objects.filter(rollout=rollout).values("intent", "run__state").annotate(count=Count("pk"))
    told = dict.fromkeys([*RunState.values, "stays", "differs"], 0)
    for row in found.order_by():
        told[row["run__state"] or row["intent"]] = told.get(row["run__state"] or row["intent"], 0) + row["count"]
    told["total"] = sum(told[state] for state in RunState.values)
    told["done"] = sum(told[state] for state in FINAL_RUN_STATES)
    told["excluded"] = len(rollout.preview.get("excluded", []))
    return told


def failures_by_cause(rollout: Rollout) -> list[dict[str, Any]]:
    """[{"cause", "message", "count", "example"}], the most frequent first; `message` and the run `example` are of the first.

    A group is one cause and one wording, but for addresses, names and ids.
    """
    failed = Run.objects.filter(targets__rollout=rollout, state=RunState.FAILED)
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    for run_id, cause, why in failed.order_by("pk").values_list("pk", "cause", "why"):
        first = {"cause": cause or "failed", "message": why, "count": 0, "example": run_id}
        groups.setdefault((cause, VARYING.sub("", why)), first)["count"] += 1
    return sorted(groups.values(), key=lambda group: -group["count"])


def state_of(rollout: Rollout) -> str:
    """The state of the rollout: that of its latest parent run."""
    return rollout.run.state if rollout.run is not None else RunState.HELD


def placements(tenant_id: int) -> QuerySet[Placement]:
    """Placements of a tenant's services, by service and environment."""
    return (
        Placement.objects.filter(service__tenant=tenant_id)
        .select_related("service", "environment__deployment__site", "desired_version__service", "deployment")
        .defer("desired_version__inputs_schema")
        .order_by(F("service__name"), "environment__deployment__display_name")
    )
