"""Asks sub-managers what is there now, side by side and within limits; changes nothing here or there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from django.core.exceptions import ValidationError

from deployon.models import Placement, Rollout, ServiceVersion
from deployon.orders import order_for
from deployon.verdicts import Found, Wanted
from inventory.connections import client_for
from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.manager import ManagerClient
from inventory.driver import Differs, Order, check_blueprint, dependents, update_steps
from inventory.driver import survey as look_at
from inventory.models import Environment

AT_ONCE = 16
_MISSING = "Its inputs name secrets that it does not have: {names}. Create them at the sub-manager, or name others; then preview again."


def survey(
    wants: Mapping[int, Wanted], environments: list[Environment], placements: Mapping[int, Placement]
) -> dict[int, Found]:
    """Environment id -> what is there; those that cannot be asked say why. 1 request each, 2 for a blueprint that must be present.

    One more for an update, whose steps it tells where the blueprint is there already, for an uninstall: who stands on it, and where
    inputs name secrets, which the sub-manager opens: whether it has them.
    """
    looks: dict[int, Callable[[], Found]] = {}
    for environment in environments:
        if environment.state not in (Environment.State.READY, Environment.State.DEGRADED):
            continue  # excluded by its state
        wanted = wants[environment.pk]
        if wanted.problem:
            continue
        try:
            client = client_for(environment)  # reads the database, hence not in the threads
        except (ManagerError, ValidationError) as error:
            text = error.message if isinstance(error, ManagerError) else " ".join(error.messages)
            looks[environment.pk] = partial(Found, error=text, kind=str(ErrorKind.CREDENTIAL))
            continue
        order = order_for(
            wanted.version, wanted.inputs, environment.deployment.wire_id, placement=placements.get(environment.pk)
        )
        looks[environment.pk] = partial(_look, client, order, wanted)
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="survey") as threads:
        futures = {key: threads.submit(look) for key, look in looks.items()}
        return {key: future.result() for key, future in futures.items()}


def _look(client: ManagerClient, order: Order, wanted: Wanted) -> Found:
    with client:
        try:
            if wanted.is_put_there and wanted.version.source == ServiceVersion.Source.PRESENT:
                check_blueprint(client, order.blueprint_id)
            seen = look_at(client, order.deployment_id, order if wanted.is_put_there else None)
            first = seen.differences[0].what if seen.differences else ""
            steps = (
                update_steps(client, order)
                if wanted.action == Rollout.Action.UPDATE and first not in ("", "owner")
                else []
            )
            if wanted.is_put_there and (missing := _missing_secrets(client, order)):
                return Found(error=_MISSING.format(names=", ".join(missing)), kind="secrets")
            is_removal = wanted.action == Rollout.Action.UNINSTALL and seen.deployment is not None
            above = dependents(client, order.deployment_id) if is_removal else []
        except ManagerError as error:
            return Found(error=error.message, kind=str(error.kind))
    why = Differs(seen.differences).reason if seen.differences else ""
    return Found(str(seen.situation), first, why, steps=steps, dependents=above)


def _missing_secrets(client: ManagerClient, order: Order) -> list[str]:
    named = named_secrets(order.inputs)
    return sorted(named - client.secret_names()) if named else []


def named_secrets(value: object) -> set[str]:
    """Secrets that `{"get_secret": name}` asks for, anywhere in a value; those whose names are worked out elsewhere are not known."""
    if isinstance(value, list):
        return set[str]().union(*map(named_secrets, value))
    if not isinstance(value, dict):
        return set()
    found = set[str]().union(*map(named_secrets, value.values()))
    if len(value) == 1 and "get_secret" in value:
        asked = value["get_secret"]
        name = asked[0] if isinstance(asked, list) and asked else asked
        if isinstance(name, str):
            found.add(name)
    return found
