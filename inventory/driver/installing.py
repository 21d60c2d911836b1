"""The install of a deployment at a target: start it or adopt it, follow it, cancel it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.manager import ManagerClient
from inventory.connectors.refusals import first_line, mask
from inventory.connectors.resources import ACTIVE_STATUSES, Execution
from inventory.driver.deployments import CREATE, creation_error, find, judge_situation
from inventory.driver.results import Done, Failed, NotYet, Said, Situation
from inventory.driver.waiting import poll_delay, unknown

STAGES = ("cancel", "force-cancel", "kill")
_STILL_CREATING = ("deployment_environment_creation_pending_error", "deployment_environment_creation_in_progress_error")


def ensure_installed(
    client: ManagerClient,
    deployment_id: str,
    *,
    execution_id: str = "",
    is_new: bool = False,
    looks: int = 0,
) -> Done | NotYet | Failed:
    """Have it installed. Give the `execution_id` of the last NotYet; `is_new` if this attempt itself made the deployment.

    A known execution is followed to its end. Without one: a new deployment is started at once; any other is looked at first,
    and an install that is active is adopted, wherever it came from. Requests: 1 a look; 2 to start on one that was there.
    """
    execution = find_execution(client, execution_id)
    if execution is not None:
        return follow(client, execution, deployment_id, looks)
    if not is_new or execution_id:
        known = _judge(client, deployment_id, looks)
        if known is not None:
            return known
    try:
        return follow(client, client.start_execution(deployment_id, "install"), deployment_id, looks)
    except ManagerError as error:
        return _not_started(client, deployment_id, error, looks)


def run_workflow(
    client: ManagerClient,
    deployment_id: str,
    workflow: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    execution_id: str = "",
    looks: int = 0,
) -> Done | NotYet | Failed:
    """Have any workflow run once. Give the `execution_id` of the last NotYet; without one, the same workflow at work is followed.

    Requests: 1 a look; 2 to start it.
    """
    execution = find_execution(client, execution_id)
    if execution is not None:
        return follow(client, execution, deployment_id, looks)
    found = find(client, deployment_id)
    if found is None:
        raise ManagerError(
            ErrorKind.GONE, f"The deployment {deployment_id} is not at the manager any more; somebody removed it."
        )
    if found.latest_status == "in_progress":
        if found.latest_workflow == workflow and found.latest_execution:
            return follow(client, client.execution(found.latest_execution), deployment_id, looks)
        why = f"The manager is running {found.latest_workflow} on it."
        return NotYet(why, poll_delay(looks), status=Situation.BUSY.value)
    try:
        return follow(client, client.start_execution(deployment_id, workflow, parameters), deployment_id, looks)
    except ManagerError as error:
        if error.is_unknown:
            return unknown(f"the order to run {workflow}", error, looks)
        if error.kind is ErrorKind.BUSY:
            return NotYet("The manager is busy with it.", poll_delay(looks), status="busy", error=error)
        raise


def find_execution(client: ManagerClient, execution_id: str) -> Execution | None:
    """The execution, or None: an empty id, or gone with its deployment."""
    if not execution_id:
        return None
    try:
        return client.execution(execution_id)
    except ManagerError as error:
        if error.kind is ErrorKind.GONE:
            return None
        raise


def follow(client: ManagerClient, execution: Execution, deployment_id: str, looks: int) -> Done | NotYet | Failed:
    """What the state of an execution means for whoever waits for it."""
    if execution.status == "terminated":
        return Done(deployment_id, detail=execution.id)
    if execution.is_active:
        waits = execution.status in ("pending", "queued", "scheduled")
        why = f"The {execution.workflow_id} {'waits for its turn' if waits else 'is running'} at the manager"
        return NotYet(
            f"{why} ({execution.status}).",
            poll_delay(looks),
            execution.id,
            execution.status,
            execution.finished_operations,
            execution.total_operations,
            execution.created_at,
        )
    detail = mask(execution.error, client.credential)
    if execution.status == "cancelled":
        error = f"The {execution.workflow_id} was cancelled at the manager. Retry when it may run again."
    else:
        error = first_line(detail) or "The manager gave no reason; see the events of this execution there."
    return Failed(error, execution.id, execution.status, detail)


def _judge(client: ManagerClient, deployment_id: str, looks: int) -> Done | NotYet | Failed | None:
    """What a deployment that is there already calls for; None: start an install."""
    found = find(client, deployment_id)
    if found is None:
        raise ManagerError(
            ErrorKind.GONE,
            f"The deployment {deployment_id} is not at the manager any more; somebody removed it. Retry to make it again.",
        )
    situation = judge_situation(found)
    if situation is Situation.INSTALLED:
        return Done(deployment_id)
    if situation is Situation.CREATION_FAILED:
        raise creation_error(client, found)
    if situation in (Situation.CREATING, Situation.BUSY, Situation.REMOVING):
        why = f"The manager is running {found.latest_workflow} on it."
        return NotYet(why, poll_delay(looks), status=situation.value)
    if situation is Situation.INSTALLING:
        return NotYet(
            "An install is running at the manager already; it is followed.",
            poll_delay(looks),
            found.latest_execution,
            "started",
            found.finished_operations,
            found.total_operations,
        )
    return None


def _not_started(client: ManagerClient, deployment_id: str, error: ManagerError, looks: int) -> Done | NotYet | Failed:
    if error.is_unknown:
        return unknown("the order to install", error, looks)
    if error.error_code in _STILL_CREATING:
        return NotYet("The manager is creating the deployment.", poll_delay(looks), status="creating", error=error)
    if error.error_code == "existing_running_execution_error":
        return _adopt(client, deployment_id, error, looks)
    if error.error_code == "unavailable_workflow_error":
        known = _judge(client, deployment_id, looks)
        if known is not None:
            return known
    if error.error_code == "deployment_creation_error":
        found = find(client, deployment_id)
        if found is not None:
            raise creation_error(client, found)
    raise error


def _adopt(client: ManagerClient, deployment_id: str, error: ManagerError, looks: int) -> Done | NotYet | Failed:
    """Something runs there: follow it if it is an install, wait for its end if it is anything else."""
    running = client.executions(deployment_id, sorted(ACTIVE_STATUSES - {"scheduled"}), system=True)
    for execution in running:
        if execution.workflow_id == "install":
            return follow(client, execution, deployment_id, looks)
    names = ", ".join(sorted({execution.workflow_id for execution in running if execution.workflow_id != CREATE}))
    why = f"The manager is running {names} on it." if names else "The manager is still busy with it."
    return NotYet(why, poll_delay(looks), status="busy", error=error)


def next_stage(stage: str) -> str:
    """The sharper way to cancel, after this one was given its time; the last one stays."""
    return STAGES[min(STAGES.index(stage) + 1, len(STAGES) - 1)]


def cancel(client: ManagerClient, execution_id: str, stage: str = "cancel") -> Said:
    """Ask the manager to end an execution (cancel, force-cancel or kill) and report what it said. 1 or 2 requests.

    It has ended only when `is_ended` says so: look again with `ensure_installed(execution_id=...)`.
    """
    try:
        execution = client.cancel_execution(execution_id, stage)
    except ManagerError as error:
        if error.error_code == "illegal_action_error" or error.is_unknown:
            execution = client.execution(execution_id)
        elif error.kind is ErrorKind.GONE:
            return Said(stage, "gone", True, "The manager does not know this execution any more.")
        else:
            raise
    if execution.is_active:
        words = f"The manager was asked to {stage} and says: {execution.status}."
    else:
        words = f"The execution has ended at the manager: {execution.status}."
    return Said(stage, execution.status, not execution.is_active, words)
