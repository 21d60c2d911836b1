"""How the state of an execution changes, and how that shows at its deployment; starting and steering are in executions."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from inventory.deployments import refresh_states
from inventory.models import Deployment
from orchestration import group_ends, update_ends
from orchestration.models import Execution, ExecutionEvent, LocalDeployment, NodeInstance, StoredOperation
from orchestration.workflows import ACTIVE as STARTED_INSTANCE

State = Execution.State
DELETE = "delete_deployment_environment"
SUMMARY = {State.TERMINATED: "completed", State.FAILED: "failed", State.CANCELLED: "cancelled", State.SCHEDULED: None}

# What the workflow itself, or what runs it, may report, and from where. Cancelling ends as cancelled or failed.
CANCELLING = frozenset({State.CANCELLING, State.FORCE_CANCELLING, State.KILL_CANCELLING})
REPORTS: dict[str, frozenset[str]] = {
    State.STARTED: frozenset({State.PENDING, State.QUEUED, State.STARTED}),
    State.TERMINATED: frozenset({State.PENDING, State.STARTED}),
    State.FAILED: frozenset({State.PENDING, State.QUEUED, State.STARTED}) | CANCELLING,
    State.CANCELLED: frozenset({State.PENDING, State.QUEUED, State.STARTED}) | CANCELLING,
}
UNFINISHED = frozenset({State.PENDING, State.QUEUED, State.STARTED}) | CANCELLING
# Stored operations that were caught in the middle when their process ended.
IN_FLIGHT = ("started", "sent", "sending", "response_sent")
UNFINISHED_OPERATIONS = ("failed", "rescheduled")


class IllegalReport(Exception):
    """An execution cannot go from its present state to the reported one."""


def report(execution: Execution, status: str, error: str | None = None) -> Execution:
    """Store what a workflow says of itself; IllegalReport where that cannot be."""
    if status not in REPORTS:
        raise IllegalReport(f"`{status}` is not a status that an execution reports")
    changes: dict[str, object] = {}
    if status == State.STARTED:
        changes["started_at"] = timezone.now()
    else:
        changes.update(ended_at=timezone.now(), held_by="", error=error or "")
    with transaction.atomic():  # who sees the new state sees the deployment follow it
        if not execution.move(status, only_from=REPORTS[status], **changes):
            found = Execution.objects.filter(pk=execution.pk).values_list("state", flat=True).first()
            raise IllegalReport(
                f"Invalid relationship - can't change status from {found or 'deleted'} to {status} (execution {execution.pk})"
            )
        update_ends.follow(execution)  # what it takes away counts no more for the deployment's state
        note(execution)
        group_ends.follow([execution])
    return execution


def report_unless_ended(execution: Execution, status: str, error: str) -> None:
    """The same for who found out while somebody may have killed it: what ended in the meantime stays as it ended."""
    try:
        report(execution, status, error)
    except IllegalReport:
        if not Execution.objects.filter(pk=execution.pk, state__in=Execution.FINAL).exists():
            raise


def summary_of(state: str) -> str | None:
    """The word that a deployment shows for the state of its latest execution."""
    return SUMMARY.get(State(state), "in_progress")


def note_latest(execution: Execution) -> None:
    """This execution is now the latest one of its deployment."""
    if execution.local is None:
        return
    deployment = execution.local.deployment
    Deployment.objects.filter(pk=deployment.pk).update(
        latest_execution=str(execution.pk), latest_execution_workflow=execution.workflow
    )
    note(execution)


def note(execution: Execution) -> None:
    """Show the present state of the execution at its deployment, where it is the latest one, and at the deployment's parents."""
    if execution.local_id is None:
        return
    deployment = Deployment.objects.filter(local=execution.local_id).first()
    if deployment is None:  # deleted meanwhile
        return
    if execution.state == State.STARTED or deployment.latest_execution is None:
        deployment.latest_execution = str(execution.pk)
        deployment.latest_execution_workflow = execution.workflow
    if deployment.latest_execution == str(execution.pk):
        deployment.latest_execution_status = summary_of(execution.state)
        deployment.latest_execution_total = execution.total_operations
        deployment.latest_execution_finished = execution.finished_operations
    if execution.workflow != DELETE:
        deployment.installation_status = installation_status(execution.local_id, is_prepared(execution.local_id))
    with transaction.atomic():
        Deployment.objects.filter(pk=deployment.pk).update(
            latest_execution=deployment.latest_execution,
            latest_execution_workflow=deployment.latest_execution_workflow,
            latest_execution_status=deployment.latest_execution_status,
            latest_execution_total=deployment.latest_execution_total,
            latest_execution_finished=deployment.latest_execution_finished,
            installation_status=deployment.installation_status,
        )
        refresh_states(deployment)


def is_prepared(local_id: int) -> bool:
    """Has the environment been created?"""
    return LocalDeployment.objects.filter(pk=local_id, inputs__isnull=False).exists()


def installation_status(local_id: int, prepared: bool) -> str:
    """Active where no instance is anything but started; what was never created is inactive, which genuine managers get wrong."""
    if not prepared or NodeInstance.objects.filter(local=local_id).exclude(state=STARTED_INSTANCE).exists():
        return Deployment.InstallationStatus.INACTIVE
    return Deployment.InstallationStatus.ACTIVE


def cancel_unbegun(execution: Execution) -> bool:
    """Cancel an execution that waits and that no process holds; False where it has begun."""
    unbegun = Execution.objects.filter(pk=execution.pk, held_by="", state__in=[State.PENDING, State.QUEUED])
    if not unbegun.update(state=State.CANCELLED, ended_at=timezone.now()):
        return False
    execution.state = State.CANCELLED
    return True


def count_operations(execution: Execution) -> None:
    """Write how many of the stored operations there are and how many have ended; the deployment shows it when states change."""
    stored = StoredOperation.objects.filter(graph__execution=execution)
    execution.total_operations = stored.count()
    execution.finished_operations = stored.filter(state__in=("succeeded", "failed")).count()
    Execution.objects.filter(pk=execution.pk).update(
        total_operations=execution.total_operations, finished_operations=execution.finished_operations
    )


def reset_graphs(execution: Execution, *, force: bool) -> list[str]:
    """Make stored operations run again: failed ones, and with `force` those caught in the middle. Their names.

    An operation that was tried again stays as it is: its place in the graph is taken by the later try.
    """
    wanted = [*UNFINISHED_OPERATIONS, *(IN_FLIGHT if force else ())]
    stored = StoredOperation.objects.filter(graph__execution=execution)
    replaced = set(stored.values_list("parameters__retried_task", flat=True))
    rows = stored.filter(state__in=wanted).exclude(type="SubgraphTask").order_by("graph", "position")
    again = [(pk, name) for pk, name in rows.values_list("pk", "name") if str(pk) not in replaced]
    stored.filter(pk__in=[pk for pk, _ in again]).update(state="pending")
    return [name for _, name in again]


def tell(execution: Execution, event_type: str, message: str) -> None:
    """An event that clients of v3.1 see."""
    ExecutionEvent.objects.create(
        execution=execution,
        kind=ExecutionEvent.Kind.EVENT,
        timestamp=timezone.now(),
        event_type=event_type,
        message=message,
    )


def warn(execution: Execution, message: str) -> None:
    """A log line that clients of v3.1 show as a warning."""
    ExecutionEvent.objects.create(
        execution=execution,
        kind=ExecutionEvent.Kind.LOG,
        timestamp=timezone.now(),
        level="warning",
        logger="manager",
        message=message,
    )


def tell_end(execution: Execution) -> None:
    """The event of the end of an execution of the management service itself; workflows tell theirs."""
    words = {State.TERMINATED: "succeeded", State.FAILED: "failed", State.CANCELLED: "cancelled"}.get(
        State(execution.state)
    )
    if words is not None:
        why = f": {execution.error}" if execution.error else ""
        tell(execution, f"workflow_{words}", f"'{execution.workflow}' workflow execution {words}{why}")
