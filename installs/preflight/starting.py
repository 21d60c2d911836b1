"""A preflight as a run, and the report of the last one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction

from accounts import audit
from accounts.actors import Actor
from accounts.errors import Conflict
from installs.installing import AT_WORK
from installs.models import ClusterRun
from installs.preflight.operations import KEY, REPORT, Preflight
from inventory.models import Cluster
from runs.engine import start_run
from runs.models import Event, Run
from runs.plans import lane, stage, store_plan


@transaction.atomic
def start_preflight(*, by: Actor, cluster: Cluster) -> Run:
    """Look at all hosts, in a run of its own that changes nothing; it may run beside any other."""
    title = f"Preflight of {cluster.name}"
    plan = store_plan(title, [stage("Preflight", [lane(cluster.name, [Preflight(cluster.pk)])])])
    run = start_run(
        plan=plan, digest=plan.digest, title=title, tenant=cluster.tenant, started_by=by.user, mode=Run.Mode.CHECK
    )
    ClusterRun.objects.create(cluster=cluster, kind=ClusterRun.Kind.PREFLIGHT, run=run)
    audit.record(by=by, action="cluster.preflight", row=cluster, tenant=cluster.tenant, after={"run": run.pk})
    return run


@transaction.atomic
def begin_preflight(*, by: Actor, cluster: Cluster) -> tuple[ClusterRun, bool]:
    """(a new preflight, True), or (the one that is under way, False). Conflict where there is no host to look at."""
    Cluster.objects.select_for_update().get(pk=cluster.pk)
    rows = ClusterRun.objects.filter(cluster=cluster, kind=ClusterRun.Kind.PREFLIGHT).select_related("run")
    if at_work := rows.filter(run__state__in=AT_WORK).first():
        return at_work, False
    if not cluster.nodes.exists():
        raise Conflict("There is no host to look at yet: add hosts first.")
    return rows.get(run=start_preflight(by=by, cluster=cluster)), True


def last_report(cluster: Cluster) -> tuple[int, datetime, dict[str, Any]] | None:
    """(id of its run, when, report as installs.preflight.checks.report makes it) of the last preflight that ended."""
    rows = Event.objects.filter(kind=REPORT, step__operation=KEY, step__args__cluster=cluster.pk)
    event = rows.select_related("step").order_by("-pk").first()
    return (event.step.run_id, event.at, event.data) if event and event.step else None
