"""Taking a service away from a target: uninstall, delete, wait until it is gone, then its blueprint if nobody else uses it."""

from __future__ import annotations

from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.manager import ManagerClient
from inventory.connectors.resources import Deployment
from inventory.driver.deployments import DELETE, find, judge_situation
from inventory.driver.installing import find_execution, follow
from inventory.driver.order import SERVICE
from inventory.driver.results import Difference, Differs, Done, Failed, NotYet, Situation
from inventory.driver.waiting import poll_delay, unknown


def remove(
    client: ManagerClient,
    deployment_id: str,
    *,
    service: str,
    blueprint_id: str = "",
    execution_id: str = "",
    looks: int = 0,
    ignore_failure: bool = False,
) -> Done | NotYet | Differs | Failed:
    """One look at a removal: does the next thing that is due and says what. Give the `execution_id` of the last NotYet.

    Only what carries the label of `service` is touched. `blueprint_id` is removed at the end unless other deployments use it.
    With `ignore_failure` the uninstall goes on where a script of it fails. Requests: 1 to 3 a look.
    """
    execution = find_execution(client, execution_id)
    if execution is not None:
        ended = follow(client, execution, deployment_id, looks)
        if not isinstance(ended, Done):
            return ended
    found = find(client, deployment_id)
    if found is None:
        return _remove_blueprint(client, deployment_id, blueprint_id)
    situation = judge_situation(found)
    if situation is Situation.CREATING:
        return NotYet(
            "The manager is still creating it; it is removed after that.", poll_delay(looks), status="creating"
        )
    if found.label(SERVICE) != service and situation is not Situation.CREATION_FAILED:
        return Differs((Difference("owner", service, found.label(SERVICE)),))
    if situation in (Situation.INSTALLING, Situation.BUSY):
        why = f"The manager is running {found.latest_workflow} on it. Cancel that, or wait until it has ended."
        return NotYet(why, poll_delay(looks), status="busy")
    if situation is Situation.REMOVING:
        return _removing(found, looks)
    try:
        return _next(client, found, situation, looks, ignore_failure=ignore_failure)
    except ManagerError as error:
        if error.is_unknown:
            return unknown("the order to remove it", error, looks)
        if error.kind is ErrorKind.BUSY:
            return NotYet("The manager is busy with it.", poll_delay(looks), status="busy", error=error)
        raise


def _next(
    client: ManagerClient, found: Deployment, situation: Situation, looks: int, *, ignore_failure: bool
) -> NotYet:
    """Uninstall what is installed or half installed, delete the rest. Only the manager knows what is half installed."""
    was_uninstalled = found.latest_workflow == "uninstall" and found.latest_status == "completed"
    if situation is Situation.INSTALLED and not was_uninstalled:
        try:
            return _uninstall(client, found, looks, ignore_failure=ignore_failure)
        except ManagerError as error:
            if error.error_code != "unavailable_workflow_error":  # nothing is live there: delete it
                raise
    try:
        client.delete_deployment(found.id)
    except ManagerError as error:
        if error.kind is ErrorKind.GONE:
            return NotYet("It is gone.", 0.0, status="gone")
        if error.error_code != "dependent_exists_error" or was_uninstalled:
            raise
        return _uninstall(client, found, looks, ignore_failure=ignore_failure)
    return NotYet("The manager is deleting it.", poll_delay(looks), status="deleting")


def _uninstall(client: ManagerClient, found: Deployment, looks: int, *, ignore_failure: bool) -> NotYet:
    execution = client.start_execution(found.id, "uninstall", {"ignore_failure": True} if ignore_failure else {})
    return NotYet(
        "The uninstall has been started at the manager.",
        poll_delay(looks),
        execution.id,
        execution.status,
        execution.finished_operations,
        execution.total_operations,
        execution.created_at,
    )


def _removing(found: Deployment, looks: int) -> NotYet:
    if found.latest_workflow == DELETE:
        return NotYet("The manager is deleting it.", poll_delay(looks), status="deleting")
    return NotYet(
        "An uninstall is running at the manager already; it is followed.",
        poll_delay(looks),
        found.latest_execution,
        "started",
        found.finished_operations,
        found.total_operations,
    )


def _remove_blueprint(client: ManagerClient, deployment_id: str, blueprint_id: str) -> Done:
    if not blueprint_id:
        return Done(deployment_id, detail="The deployment is gone.")
    try:
        client.delete_blueprint(blueprint_id)
    except ManagerError as error:
        if error.kind is ErrorKind.CONFLICT:
            return Done(deployment_id, detail="The deployment is gone; its blueprint stays, for others use it.")
        if error.kind is not ErrorKind.GONE:
            raise
    return Done(deployment_id, detail="The deployment and its blueprint are gone.")
