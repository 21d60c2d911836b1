"""A drill begun: refused where the cluster would not bear it, else a run of the engine and a row that keeps what came of it."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts import audit
from accounts.actors import Actor
from accounts.errors import Conflict
from installs.drills import kinds
from installs.drills.plans import drill_stages
from installs.entrance import password_of, where_of
from installs.findings import errors_of
from installs.installing import active_run, findings_for
from installs.models import ClusterRun, Drill
from inventory.connections import address_for, read_target
from inventory.models import Cluster
from runs import engine
from runs.plans import store_plan

TITLES = {
    Drill.Kind.MANAGER: "Drill of {}: a manager host is killed",
    Drill.Kind.LEADER: "Drill of {}: the leader of the database loses its power",
    Drill.Kind.QUEUE: "Drill of {}: a queue host is cut off",
}


def refusal(cluster: Cluster, kind: str, host: str = "") -> str:
    """Why this drill cannot be started now, with what to do; "" where it can. Touches no host."""
    if cluster.state != Cluster.State.READY:
        why = f" ({cluster.why})" if cluster.why else ""
        return f"{cluster} is {cluster.get_state_display().lower()}{why}: only a ready cluster bears a drill. Bring it to ready first."
    if why := kinds.refusal(kind, cluster.layout(), host):
        return why
    if at_work := active_run(cluster):
        return f"{at_work.run.title} has not ended (run R-{at_work.run_id}). Wait for it, or cancel it first."
    if faults := errors_of(findings_for(cluster, ClusterRun.Kind.DRILL)):
        return " ".join(fault.sentence for fault in faults)
    try:
        address_for(read_target(where_of(cluster)))
        password_of(cluster)
    except (Conflict, ValidationError, ValueError) as error:
        return " ".join(error.messages) if isinstance(error, ValidationError) else str(error)
    return ""


def require_kind(kind: str) -> Drill.Kind:
    """ValidationError where there is no such drill."""
    if kind not in Drill.Kind.values:
        raise ValidationError({"kind": f"Choose one of: {', '.join(Drill.Kind.values)}."})
    return Drill.Kind(kind)


@transaction.atomic
def start_drill(*, by: Actor, cluster: Cluster, kind: str, host: str = "", key: str = "") -> Drill:
    """Begin it. Conflict, with what to do, where the cluster would not bear it now. The same `key` again starts nothing.

    Without `host` the run chooses one: the leader of the database, else one that does not lead it.
    """
    named = require_kind(kind)
    locked = Cluster.objects.select_for_update().get(pk=cluster.pk)
    if key and (known := Drill.objects.filter(cluster=cluster, run__of_cluster__key=key).first()):
        return known
    if why := refusal(locked, kind, host):
        raise Conflict(why)
    layout, title = locked.layout(), TITLES[named].format(cluster.name)
    plan = store_plan(title, drill_stages(cluster.pk, layout, kind))
    run = engine.start_run(
        plan=plan,
        digest=plan.digest,
        title=title,
        tenant=cluster.tenant,
        started_by=by.user,
        lock=f"cluster:{cluster.pk}",
    )
    ClusterRun.objects.create(cluster=cluster, kind=ClusterRun.Kind.DRILL, host=host, run=run, key=key)
    drill = Drill.objects.create(
        cluster=cluster, kind=kind, run=run, expected_seconds=kinds.expected_seconds(kind, layout)
    )
    told = {"run": run.pk, "drill": kind, "host": host}
    audit.record(by=by, action="cluster.drill", row=cluster, tenant=cluster.tenant, after=told)
    secret, address = password_of(cluster), address_for(read_target(where_of(cluster)))
    audit.record(by=by, action="secret.send", row=secret, tenant=secret.tenant, after={"to": address.where})
    return drill
