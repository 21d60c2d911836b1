"""How a modification of a deployment ends: finished or rolled back; and what that means for a `scale` that is to go on."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.actors import Actor
from inventory.deployments import refresh_states
from inventory.models import Deployment
from orchestration import states
from orchestration.errors import Refused, illegal_action
from orchestration.gateway_functions import instance_row
from orchestration.instance_rows import drop_instances
from orchestration.models import Execution, LocalDeployment
from orchestration.scaling import marked, scalables, set_counts
from orchestration.scaling_models import Modification

State = Modification.State
FUNCTIONS = ("cloudify.plugins.workflows.scale_entity", "cloudify.plugins.workflows.scale")
ROLLED_BACK = "What it had begun to scale was rolled back, so there is nothing to go on with: start `{}` again."


def finish(row: Modification) -> None:
    """The new numbers hold; what was to be removed goes, with what points to it."""
    with transaction.atomic():
        local = end(row, State.FINISHED, "finish")
        drop_instances(local, marked(row.node_instances, "removed_and_related", "removed"))
        set_counts(local, {name: change["instances"] for name, change in row.modified_nodes.items()}, is_final=True)
        row.local.plan = local.plan


def rollback(row: Modification) -> None:
    """The old numbers hold; what was added goes, with what points to it.

    Instances that were there before stay as they are now: one that was uninstalled meanwhile is not said to run.
    """
    with transaction.atomic():
        local = end(row, State.ROLLED_BACK, "rollback")
        rows = local.instances.select_related("node")
        before = [instance_row(one, row.local.deployment.wire_id) for one in rows]
        row.node_instances = {**row.node_instances, "before_rollback": before}
        row.save(update_fields=["node_instances"])
        drop_instances(local, marked(row.node_instances, "added_and_related", "added"))
        known = scalables(local)
        counts = {name: known[name].current for name in row.modified_nodes if name in known}
        set_counts(local, counts, is_final=False)
        row.local.plan = local.plan


def end(row: Modification, to: str, verb: str) -> LocalDeployment:
    """Move it there and lock its deployment; Refused where it has ended before."""
    local = LocalDeployment.objects.select_for_update().get(pk=row.local_id)
    if not row.move(to, only_from=State.STARTED, ended_at=timezone.now()):
        row.refresh_from_db(fields=["state"])
        raise Refused(
            400,
            "deployment_modification_already_ended_error",
            f"Cannot {verb} deployment modification: {row.pk}. It is already in {row.state} status.",
        )
    return local


def end_by(*, by: Actor, row: Modification, verb: str) -> Modification:
    """Finish or roll back for a person, once the workflow that began it has ended."""
    running = row.local.executions.filter(state__in=states.UNFINISHED).first()
    if running is not None:
        raise illegal_action(
            f"`{running.workflow}` (execution {running.pk}) is at work on {row.local.deployment.wire_id}: "
            "wait for its end, or cancel it, which rolls back what `scale` has begun."
        )
    with transaction.atomic():
        {"finish": finish, "rollback": rollback}[verb](row)
        note_instances(row.local)
        audit.record(
            by=by,
            action=f"deployment.modification_{verb}",
            row=row.local.deployment,
            tenant=row.local.deployment.tenant,
            after={"modification": str(row.pk), "state": row.state},
        )
    return row


def note_instances(local: LocalDeployment) -> None:
    """Show at the deployment whether all its instances run."""
    status = states.installation_status(local.pk, states.is_prepared(local.pk))
    Deployment.objects.filter(pk=local.deployment_id).update(installation_status=status)
    refresh_states(Deployment.objects.get(pk=local.deployment_id))


def is_scale(execution: Execution) -> bool:
    """Does it run the workflow that scales?"""
    workflows = (execution.local.plan or {}).get("workflows") or {} if execution.local is not None else {}
    return (workflows.get(execution.workflow) or {}).get("operation") in FUNCTIONS


def state_of(execution: Execution) -> str:
    """Of the modification that this execution began last; "" where it began none."""
    return str(execution.modifications.order_by("-created_at").values_list("state", flat=True).first() or "")


def check_may_resume(execution: Execution) -> None:
    """Refused where what it would go on with is no more."""
    if is_scale(execution) and state_of(execution) == State.ROLLED_BACK:
        raise illegal_action(ROLLED_BACK.format(execution.workflow))


def goes_on(execution: Execution) -> bool | None:
    """May it be resumed (True), does it begin anew because it had not begun (False), or has it been ended here (None)?"""
    if not is_scale(execution):
        return True
    state = state_of(execution)
    if state in (State.FINISHED, State.ROLLED_BACK):  # its process was lost between that and saying so
        done = state == State.FINISHED
        states.report_unless_ended(
            execution,
            Execution.State.TERMINATED if done else Execution.State.FAILED,
            "" if done else ROLLED_BACK.format(execution.workflow),
        )
        states.tell_end(execution)
        return None
    return state == State.STARTED
