"""The state of a cluster follows the work on it: what ended is read once, and what was resumed is under way again."""

from __future__ import annotations

from django.db import transaction
from django.db.models import F, Q

from installs.models import ClusterRun
from inventory.clusters import move_cluster
from inventory.models import Cluster
from runs.models import Run, Step
from runs.states import FINAL_RUN_STATES, RunState, StepState

Kind, State = ClusterRun.Kind, Cluster.State
FOLLOWED = (Kind.INSTALL, Kind.VERIFY, Kind.UNINSTALL, Kind.ADD_HOST, Kind.REMOVE_HOST)
SERVING: list[str] = [State.READY, State.DEGRADED]
NAMED = 3  # differences that are named in `why`


def follow_ended() -> int:
    """Have every cluster say what its work came to; the number of runs read. Called every few seconds, and safe to repeat."""
    ended = Q(run__state__in=FINAL_RUN_STATES) & (Q(followed_at=None) | Q(followed_at__lt=F("run__ended_at")))
    resumed = ~Q(run__state__in=FINAL_RUN_STATES) & Q(followed_at__isnull=False)
    found = list(ClusterRun.objects.filter(ended | resumed, kind__in=FOLLOWED).select_related("run").order_by("pk"))
    for one in found:
        with transaction.atomic():
            cluster = Cluster.objects.select_for_update().get(pk=one.cluster_id)
            is_over = one.run.state in FINAL_RUN_STATES
            if is_over:
                settle(cluster, one)
            elif one.kind == Kind.INSTALL:
                move_cluster(cluster, State.INSTALLING, only_from=[State.FAILED])
            elif one.kind == Kind.UNINSTALL:
                move_cluster(cluster, State.REMOVING, only_from=[State.FAILED])
            ClusterRun.objects.filter(pk=one.pk).update(followed_at=one.run.ended_at if is_over else None)
    return len(found)


def settle(cluster: Cluster, one: ClusterRun) -> None:
    """What the end of this work says of the cluster. What went well has settled its rows by itself, but for a check."""
    run = one.run
    if run.state == RunState.SUCCEEDED:
        if one.kind == Kind.VERIFY:
            move_cluster(cluster, State.READY, only_from=[State.DEGRADED])
        return
    if one.kind == Kind.VERIFY:
        if run.state == RunState.FAILED:
            move_cluster(cluster, State.DEGRADED, only_from=SERVING, why=differences(run))
        return
    how = "was cancelled" if run.state == RunState.CANCELLED else f"failed: {run.why}"
    why = f"{run.title} (R-{run.pk}) {how}"
    move_cluster(cluster, State.FAILED, only_from=[State.INSTALLING, State.REMOVING], why=why)
    move_cluster(cluster, State.DEGRADED, only_from=SERVING, why=why)


def differences(run: Run) -> str:
    """What a check found otherwise than wanted, in words."""
    rows = Step.objects.filter(run=run, state=StepState.FAILED)
    steps = list(rows.order_by("stage", "lane", "position").values_list("title", "why"))
    if not steps:
        return f"{run.title} (R-{run.pk}) failed: {run.why}"
    named = "; ".join(title for title, _ in steps[:NAMED])
    more = f"; and {len(steps) - NAMED} more" if len(steps) > NAMED else ""
    return f"{run.title} (R-{run.pk}): {len(steps)} step{'s' if len(steps) > 1 else ''} not as wanted: {named}{more}"
