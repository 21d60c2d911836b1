"""Executions: started, steered, and how each change of their state shows at the deployment. The work itself is in operations."""

from __future__ import annotations

import time
from typing import Any

from django.db import transaction

from accounts import audit
from accounts.actors import Actor
from accounts.models import Tenant
from orchestration import exposed, scaling_ends, states
from orchestration.errors import Refused, bad_parameters, illegal_action
from orchestration.models import Blueprint, Execution, LocalDeployment, NodeInstance
from orchestration.operations import BlueprintParse, CreateEnvironment, DeleteEnvironment, RunWorkflow
from orchestration.supervisor import supervisor
from orchestration.workflows import is_available, merged_parameters, node_types_of
from runs import engine
from runs.operations import Operation
from runs.plans import lane, stage, store_plan

State = Execution.State
UNFINISHED = states.UNFINISHED
CREATE, DELETE, UPLOAD = "create_deployment_environment", "delete_deployment_environment", "upload_blueprint"

# action -> (state that it asks for, states in which it makes sense)
CANCELS: dict[str, tuple[str, frozenset[str]]] = {
    "cancel": (State.CANCELLING, frozenset({State.PENDING, State.QUEUED, State.STARTED})),
    "force-cancel": (
        State.FORCE_CANCELLING,
        frozenset({State.PENDING, State.QUEUED, State.STARTED, State.CANCELLING}),
    ),
    "kill": (
        State.KILL_CANCELLING,
        frozenset({State.PENDING, State.QUEUED, State.STARTED, State.CANCELLING, State.FORCE_CANCELLING}),
    ),
}
RESUMES = ("resume", "force-resume")
ACTIONS = [*CANCELS, *RESUMES, "requeue"]


def start(
    *,
    by: Actor,
    local: LocalDeployment,
    workflow: str,
    parameters: dict[str, Any] | None = None,
    allow_custom: bool = False,
    force: bool = False,
    dry_run: bool = False,
    queue: bool = False,
    wait_after_fail: int = 600,
) -> Execution:
    """Start a workflow on a deployment; Refused, with the code of v3.1, where that cannot be."""
    with transaction.atomic():
        # One after another: two requests must not both find that nothing runs.
        locked = LocalDeployment.objects.select_for_update().filter(pk=local.pk).first()
        check_environment_is_made(local)
        local.plan = locked.plan if locked else None  # its creation may have ended since the caller read it
        declared = ((local.plan or {}).get("workflows") or {}).get(workflow)
        if declared is None:
            raise Refused(
                400,
                "nonexistent_workflow_error",
                f"Workflow {workflow} does not exist in the deployment {local.deployment.wire_id}",
            )
        whole = merged_parameters(workflow, declared, parameters or {}, allow_custom=allow_custom)
        busy = list(local.executions.filter(state__in=UNFINISHED).order_by("created_at"))
        if busy and not force and not queue:
            raise busy_error(busy)
        if not force and not busy:
            check_is_available(local, workflow, declared)
        if not force and workflow == exposed.UNINSTALL:
            exposed.check_may_uninstall(local.deployment)
        execution = Execution(
            tenant=local.deployment.tenant,
            local=local,
            blueprint=local.blueprint,
            workflow=workflow,
            parameters=whole,
            state=State.QUEUED if busy and not force else State.PENDING,
            is_dry_run=dry_run,
            is_forced=force,
            allow_custom_parameters=allow_custom,
            wait_after_fail=wait_after_fail,
            visibility=local.deployment.visibility,
            created_by=by.user,
        )
        execution.save(force_insert=True)
        audit.record(
            by=by,
            action="execution.start",
            row=execution,
            tenant=execution.tenant,
            after={"deployment": local.deployment.wire_id, "workflow": workflow, "force": force, "dry_run": dry_run},
        )
        begin_run(execution, by=by, lock="" if force else lock_of(local))
        if execution.state == State.PENDING:
            states.note_latest(execution)
    return execution


def start_creation(*, by: Actor, local: LocalDeployment) -> Execution:
    """The execution that prepares a new deployment."""
    return start_own(by=by, tenant=local.deployment.tenant, workflow=CREATE, local=local, blueprint=local.blueprint)


def start_deletion(*, by: Actor, local: LocalDeployment, force: bool) -> Execution:
    """The execution that removes a deployment, and with it itself."""
    return start_own(
        by=by,
        tenant=local.deployment.tenant,
        workflow=DELETE,
        local=local,
        blueprint=local.blueprint,
        parameters={"force": force},
    )


def start_upload(*, by: Actor, blueprint: Blueprint, parameters: dict[str, Any]) -> Execution:
    """The execution that parses an uploaded blueprint."""
    return start_own(by=by, tenant=blueprint.tenant, workflow=UPLOAD, blueprint=blueprint, parameters=parameters)


def keep_failed_upload(*, by: Actor, blueprint: Blueprint, parameters: dict[str, Any], why: str) -> Execution:
    """The execution of an upload that failed before there was anything to run: clients look there for the reason."""
    execution = Execution.objects.create(
        tenant=blueprint.tenant,
        blueprint=blueprint,
        workflow=UPLOAD,
        parameters=parameters,
        allow_custom_parameters=True,
        visibility=blueprint.visibility,
        created_by=by.user,
    )
    states.tell(execution, "workflow_started", f"Starting '{UPLOAD}' workflow execution")
    states.report(execution, Execution.State.FAILED, why)
    states.tell_end(execution)
    return execution


def start_own(
    *,
    by: Actor,
    tenant: Tenant,
    workflow: str,
    blueprint: Blueprint,
    local: LocalDeployment | None = None,
    parameters: dict[str, Any] | None = None,
) -> Execution:
    """An execution of the management service itself; to be called within the transaction that makes its rows."""
    execution = Execution(
        tenant=tenant,
        local=local,
        blueprint=blueprint,
        workflow=workflow,
        parameters=parameters or {},
        allow_custom_parameters=True,
        visibility=local.deployment.visibility if local is not None else blueprint.visibility,
        created_by=by.user,
    )
    execution.save(force_insert=True)
    begin_run(execution, by=by, lock=lock_of(local) if local is not None and workflow != DELETE else "")
    if local is not None:
        states.note_latest(execution)
    return execution


def lock_of(local: LocalDeployment) -> str:
    """One workflow at a time runs on a deployment."""
    return f"deployment:{local.deployment_id}"


def operation_of(execution: Execution) -> Operation:
    """What carries the execution out."""
    kinds: dict[str, type[Operation]] = {CREATE: CreateEnvironment, DELETE: DeleteEnvironment, UPLOAD: BlueprintParse}
    subject = execution.local.deployment.wire_id if execution.local is not None else str(execution.blueprint)
    kind = kinds.get(execution.workflow, RunWorkflow)
    return kind(execution=str(execution.pk), workflow=execution.workflow, subject=subject)  # type: ignore[call-arg]


def begin_run(execution: Execution, *, by: Actor, lock: str) -> None:
    """Hand the execution to the engine as a plan of one operation."""
    operation = operation_of(execution)
    title = operation.describe()
    plan = store_plan(title, [stage(title, [lane(title, [operation])])])
    execution.run = engine.start_run(
        plan=plan, digest=plan.digest, title=title, tenant=execution.tenant, started_by=by.user, lock=lock
    )
    execution.save(update_fields=["run"])


def check_environment_is_made(local: LocalDeployment) -> None:
    """Refused while the deployment is being created, and where that failed."""
    creation = Execution.objects.filter(pk=local.create_execution).first() if local.create_execution else None
    if creation is None or creation.state == State.TERMINATED:
        return
    wire_id = local.deployment.wire_id
    if creation.state in (State.PENDING, State.QUEUED):
        raise Refused(
            400,
            "deployment_environment_creation_pending_error",
            f"Deployment environment creation is still pending, try again in a minute. deployment: {wire_id}",
        )
    if creation.state not in Execution.FINAL:
        raise Refused(
            400,
            "deployment_environment_creation_in_progress_error",
            f"Deployment environment creation is still in progress, try again in a minute. deployment: {wire_id}",
        )
    raise Refused(
        400,
        "deployment_creation_error",
        f"Can't launch executions since environment creation for deployment {wire_id} has failed: {creation.error}",
    )


def check_is_available(local: LocalDeployment, name: str, workflow: dict[str, Any]) -> None:
    """Refused where the workflow's own rules do not allow it in the present state of the instances."""
    found = list(NodeInstance.objects.filter(local=local).values_list("state", flat=True))
    if not is_available(name, workflow, found, node_types_of(local.plan or {})):
        raise Refused(400, "unavailable_workflow_error", f"Workflow not available: {name}")


def busy_error(busy: list[Execution]) -> Refused:
    """400: something runs already."""
    shown = ", ".join(
        f"<Execution id=`{row.pk}` tenant=`{row.tenant}` status=`{row.state}` workflow_id=`{row.workflow}`>"
        for row in busy
    )
    return Refused(
        400,
        "existing_running_execution_error",
        f"The following executions are currently running for this deployment: [{shown}]. "
        'To execute this workflow anyway, pass "force=true" as a query parameter to this request',
    )


def act(*, by: Actor, execution: Execution, action: str) -> Execution:
    """Cancel, kill or resume an execution."""
    if action in CANCELS:
        cancel(by=by, execution=execution, action=action)
    elif action in RESUMES:
        resume(by=by, execution=execution, force=action == "force-resume")
    elif action == "requeue":
        raise illegal_action(
            "requeue is not served: nothing is lost here when a broker restarts. Use resume for an execution that ended."
        )
    else:
        raise bad_parameters(f"Invalid action: {action}, Valid action values are: {ACTIONS}")
    return execution


def cancel(*, by: Actor, execution: Execution, action: str) -> None:
    """Ask for the end of an execution. What has not begun is cancelled at once."""
    wanted, only_from = CANCELS[action]
    if execution.state not in only_from:
        raise illegal_action(f"Can't {action} execution {execution.pk} because it's in status {execution.state}")
    with transaction.atomic():
        audit.record(by=by, action=f"execution.{action}", row=execution, tenant=execution.tenant)
        if not states.cancel_unbegun(execution) and not execution.move(wanted, only_from=only_from):
            raise illegal_action(f"Can't {action} execution {execution.pk} because it has just ended")
        states.note(execution)
        if execution.run is not None:
            engine.cancel(execution.run, by=by)
    supervisor.poke(execution)


def resume(*, by: Actor, execution: Execution, force: bool) -> None:
    """Go on where a failed or cancelled execution stood; `force` also repeats what was caught in the middle."""
    if execution.local is None or execution.workflow in (CREATE, DELETE):
        raise illegal_action(f"Can't resume {execution.workflow}: start it again instead")
    scaling_ends.check_may_resume(execution)
    with transaction.atomic():
        LocalDeployment.objects.select_for_update().filter(pk=execution.local.pk).first()
        busy = list(execution.local.executions.filter(state__in=UNFINISHED).exclude(pk=execution.pk))
        if busy:
            raise busy_error(busy)
        if not execution.move(
            State.PENDING,
            only_from={State.FAILED, State.CANCELLED},
            is_resume=True,
            error="",
            ended_at=None,
            held_by="",
        ):
            raise Refused(
                409,
                "conflict_error",
                f"Cannot resume execution: `{execution.pk}` in state: `{execution.state}`. Only cancelled and failed ones can be.",
            )
        states.reset_graphs(execution, force=force)
        audit.record(
            by=by, action=f"execution.{'force-' if force else ''}resume", row=execution, tenant=execution.tenant
        )
        begin_run(execution, by=by, lock=lock_of(execution.local))
        states.note_latest(execution)


def wait_for(execution: Execution, seconds: float, every: float = 0.03) -> Execution:
    """Sleep until the execution has ended, at most `seconds`; the row as it is then."""
    until = time.monotonic() + seconds
    while execution.state not in Execution.FINAL and time.monotonic() < until:
        time.sleep(every)
        found = Execution.objects.filter(pk=execution.pk).values_list("state", "error").first()
        if found is None:
            break
        execution.state, execution.error = found
    return execution
