"""The deployment of an order at a target: make it, compare what is there, read back what it offers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.manager import ManagerClient
from inventory.connectors.refusals import first_line, mask
from inventory.connectors.resources import Deployment
from inventory.driver.order import DIGEST, ENVIRONMENT, INPUTS, SERVICE, Order
from inventory.driver.results import Difference, Differs, Done, NotYet, Outcome, Situation, Survey
from inventory.driver.waiting import poll_delay, unknown

CREATE, DELETE = "create_deployment_environment", "delete_deployment_environment"


def ensure_deployment(
    client: ManagerClient, order: Order, *, looks: int = 0, settle: bool = True
) -> Done | NotYet | Differs:
    """Make the deployment, or compare the one that is there. The first look (`looks` 0) asks for it, the others look.

    With `settle=False` an accepted request counts as done: `ensure_installed(is_new=True)` then waits for the creation, which
    saves a request. Requests: 1 a look; 2 where the first finds the id taken, or the creation failed.
    """
    if looks:
        found = find(client, order.deployment_id)
        if found is not None:
            return _judge(client, order, found, looks)
    try:
        made = client.create_deployment(
            order.deployment_id,
            order.blueprint_id,
            order.inputs,
            order.all_labels,
            display_name=order.display_name,
            site_name=order.site_name,
        )
    except ManagerError as error:
        if error.is_unknown:
            return unknown("the deployment", error, looks)
        if error.kind is not ErrorKind.CONFLICT:
            raise _in_words(error, order) from None
    else:
        if made.latest_status == "completed" or not settle:
            return Done(made.id, is_new=True)
        return _creating(made, looks)
    found = find(client, order.deployment_id)
    if found is None:
        return NotYet("The deployment that was there is being removed.", poll_delay(looks), status="removing")
    return _judge(client, order, found, looks)


def check_deployment(client: ManagerClient, order: Order) -> Done | NotYet | Differs | None:
    """What is there, without asking for anything; None where nothing is. 1 request."""
    found = find(client, order.deployment_id)
    return None if found is None else _judge(client, order, found, 0)


def find(client: ManagerClient, deployment_id: str) -> Deployment | None:
    """The deployment, or None."""
    try:
        return client.deployment(deployment_id)
    except ManagerError as error:
        if error.kind is ErrorKind.GONE:
            return None
        raise


def compare(found: Deployment, order: Order) -> tuple[Difference, ...]:
    """How a deployment that exists differs from an order; empty: not at all. Its creation must have ended."""
    differences = []
    expected = f"{order.service} of {order.environment}"
    owner = f"{found.label(SERVICE)} of {found.label(ENVIRONMENT)}" if found.label(SERVICE) else ""
    if (found.label(SERVICE), found.label(ENVIRONMENT)) != (order.service, order.environment):
        differences.append(Difference("owner", expected, owner))
    if order.digest and found.label(DIGEST) != order.digest:
        differences.append(Difference("digest", order.digest, found.label(DIGEST)))
    elif found.blueprint_id != order.blueprint_id:
        differences.append(Difference("blueprint", order.blueprint_id, found.blueprint_id))
    names = _differing_inputs(found.inputs or {}, order.inputs)
    if names or found.label(INPUTS) != order.inputs_hash:
        differences.append(Difference("inputs", order.inputs_hash, found.label(INPUTS), names))
    return tuple(differences)


def survey(client: ManagerClient, deployment_id: str, order: Order | None = None) -> Survey:
    """What is there now, for a preview; nothing is changed. 1 request."""
    found = find(client, deployment_id)
    if found is None:
        return Survey(Situation.ABSENT)
    situation = judge_situation(found)
    is_comparable = order is not None and situation not in (
        Situation.CREATING,
        Situation.CREATION_FAILED,
        Situation.REMOVING,
    )
    return Survey(situation, found, compare(found, order) if order is not None and is_comparable else ())


def judge_situation(found: Deployment) -> Situation:
    """What a deployment's own fields say. Its installation_status alone lies: a failed creation shows `active`."""
    workflow, status = found.latest_workflow, found.latest_status
    if workflow == DELETE:
        return Situation.REMOVING
    if status == "in_progress":
        return {CREATE: Situation.CREATING, "install": Situation.INSTALLING, "uninstall": Situation.REMOVING}.get(
            workflow, Situation.BUSY
        )
    if workflow == CREATE and status != "completed":
        return Situation.CREATION_FAILED
    if found.installation_status == "active":
        return Situation.INSTALLED
    if workflow == "install" and status != "completed":
        return Situation.INSTALL_FAILED
    return Situation.NOT_INSTALLED


def read_back(client: ManagerClient, deployment_id: str, *, with_status: bool = True) -> Outcome:
    """What the deployment offers, and (a second request) in which state the manager sees it."""
    capabilities = client.capabilities(deployment_id)
    if not with_status:
        return Outcome(capabilities)
    found = client.deployment(deployment_id)
    return Outcome(
        capabilities,
        found.installation_status,
        found.deployment_status,
        found.unavailable_instances,
        found.site_name,
    )


def creation_error(client: ManagerClient, found: Deployment) -> ManagerError:
    """Why the manager could not make a deployment that it had accepted: its creating execution knows. 1 request."""
    why = ""
    if found.create_execution:
        try:
            why = first_line(mask(client.execution(found.create_execution).error, client.credential))
        except ManagerError as error:
            if error.kind is not ErrorKind.GONE:
                raise
    return ManagerError(
        ErrorKind.INPUT,
        f"The manager could not create the deployment: {why or 'it gave no reason'}. Correct the inputs or what they refer to "
        "there (a secret, a parent, a plugin), then retry.",
    )


def _judge(client: ManagerClient, order: Order, found: Deployment, looks: int) -> Done | NotYet | Differs:
    situation = judge_situation(found)
    if situation is Situation.CREATING:
        return _creating(found, looks)
    if situation is Situation.CREATION_FAILED:
        raise creation_error(client, found)
    if situation is Situation.REMOVING:
        return NotYet("The deployment that was there is being removed.", poll_delay(looks), status="removing")
    differences = compare(found, order)
    return Differs(differences) if differences else Done(found.id, detail=situation.value)


def _creating(found: Deployment, looks: int) -> NotYet:
    return NotYet("The manager is creating the deployment.", poll_delay(looks), found.latest_execution, "creating")


def _differing_inputs(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(
        sorted(
            name for name, value in wanted.items() if name in found and found[name] != value and not _is_function(value)
        )
    )


def _is_function(value: object) -> bool:
    """Whether the manager evaluates this value ({"get_secret": ...}): what it then shows cannot be compared."""
    return isinstance(value, dict) and len(value) == 1 and str(next(iter(value))).startswith(("get_", "concat"))


def _in_words(error: ManagerError, order: Order) -> ManagerError:
    if error.kind is ErrorKind.GONE:
        text = f"The manager misses something that the deployment needs. {error.message}"
        return ManagerError(error.kind, text, error.status, error.error_code)
    if error.error_code in ("missing_required_deployment_input_error", "unknown_deployment_input_error"):
        text = f"The inputs do not fit the blueprint {order.blueprint_id}. {error.message}"
        return ManagerError(error.kind, text, error.status, error.error_code)
    return error
