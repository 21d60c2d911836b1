"""The update of a deployment at a target to another blueprint or other inputs, and who stands on it."""

from __future__ import annotations

from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.manager import ManagerClient
from inventory.connectors.resources import Deployment
from inventory.driver.deployments import compare, creation_error, find, judge_situation
from inventory.driver.installing import find_execution, follow
from inventory.driver.order import DIGEST, ENVIRONMENT, INPUTS, RUN, SERVICE, Order
from inventory.driver.results import Difference, Differs, Done, Failed, NotYet, Situation
from inventory.driver.waiting import poll_delay, unknown

UPDATES = ("update", "csys_new_deployment_update", "csys_update_deployment")
PARENT = "csys-obj-parent"


def update_deployment(
    client: ManagerClient, order: Order, *, execution_id: str = "", is_updated: bool = False, looks: int = 0
) -> Done | NotYet | Differs | Failed:
    """One look at bringing a deployment to an order. Give the `execution_id` of the last NotYet; its blueprint must be there.

    Only what carries our labels for this service and environment is touched; the labels are written last, so they tell what
    an update has reached. Requests: 1 a look; 2 to start it, 2 at its end.
    """
    execution = find_execution(client, execution_id)
    if execution is not None:
        ended = follow(client, execution, order.deployment_id, looks)
        if not isinstance(ended, Done):
            return ended
        is_updated = True
    found = find(client, order.deployment_id)
    if found is None:
        raise ManagerError(
            ErrorKind.GONE,
            f"The deployment {order.deployment_id} is not at the manager any more; somebody removed it. Preview again to put it there.",
        )
    waits = _waits(client, found, order, looks)
    if waits is not None:
        return waits
    left = [each for each in compare(found, order) if each.what != "owner"]
    is_reached = found.blueprint_id == order.blueprint_id and not any(each.names for each in left)
    if left and not (is_updated and is_reached):
        return _start(client, order, found, looks)
    if left:
        labels = {key: sorted(values) for key, values in found.labels.items() if key not in (DIGEST, INPUTS, RUN)}
        ours = {DIGEST: order.digest, INPUTS: order.inputs_hash, RUN: order.run}
        client.set_labels(found.id, {**labels, **{key: [value] for key, value in ours.items() if value}})
    return Done(found.id)


def update_steps(client: ManagerClient, order: Order) -> list[str]:
    """What an update would do there, in the manager's own words, nothing changed; none where its blueprint is not there yet."""
    try:
        steps = client.preview_update(order.deployment_id, order.blueprint_id, order.inputs)
    except ManagerError as error:
        if error.kind in (ErrorKind.GONE, ErrorKind.INPUT, ErrorKind.CONFLICT):
            return []
        raise
    return [" ".join(filter(None, (step.action, step.entity_type, step.entity_id))) for step in steps]


def dependents(client: ManagerClient, deployment_id: str) -> list[str]:
    """Ids of deployments there that name this one as their parent. 1 request."""
    rule = {"type": "label", "key": PARENT, "operator": "any_of", "values": [deployment_id]}
    rows = client.search_deployments([rule])
    return [row.id for row in rows if deployment_id in row.labels.get(PARENT, frozenset())]


def _waits(
    client: ManagerClient, found: Deployment, order: Order, looks: int
) -> NotYet | Differs | Done | Failed | None:
    """What stands in the way of an update now; None: nothing."""
    situation = judge_situation(found)
    if situation is Situation.CREATION_FAILED:
        raise creation_error(client, found)
    owner = (found.label(SERVICE), found.label(ENVIRONMENT))
    if owner != (order.service, order.environment):
        return Differs(
            (Difference("owner", f"{order.service} of {order.environment}", " of ".join(filter(None, owner))),)
        )
    if found.latest_status != "in_progress":
        return None
    if found.latest_workflow in UPDATES and found.latest_execution:
        return NotYet(
            "An update is running at the manager already; it is followed.",
            poll_delay(looks),
            found.latest_execution,
            "started",
            found.finished_operations,
            found.total_operations,
        )
    return NotYet(f"The manager is running {found.latest_workflow} on it.", poll_delay(looks), status="busy")


def _start(client: ManagerClient, order: Order, found: Deployment, looks: int) -> NotYet:
    try:
        execution_id = client.update_deployment(found.id, order.blueprint_id, order.inputs)
    except ManagerError as error:
        if error.is_unknown:
            return unknown("the order to update it", error, looks)
        if error.kind is ErrorKind.BUSY:
            return NotYet("The manager is busy with it.", poll_delay(looks), status="busy", error=error)
        raise
    return NotYet("The update has been started at the manager.", poll_delay(looks), execution_id, "pending")
