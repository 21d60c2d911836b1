"""Removing from a sub-manager what has no record here: previewed by asking it, then uninstalled and deleted there by a run."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts import audit
from accounts.actors import Actor
from accounts.errors import Conflict
from accounts.models import Tenant
from deployon.adoption import Wish
from deployon.drift import remote_id
from deployon.inputs import canonical
from deployon.models import Placement
from deployon.sessions import session
from inventory import driver
from inventory.connections import client_for
from inventory.connectors.errors import ManagerError
from inventory.connectors.manager import ManagerClient
from inventory.driver.order import ENVIRONMENT, SERVICE
from inventory.models import Environment
from runs import engine
from runs.models import Run
from runs.operations import Context, Later, Operation, OperationError, operation

AT_ONCE, MOST = 8, 200


@dataclasses.dataclass(frozen=True)
class Removal:
    """What removing one would mean. `verdict`: remove, gone or excluded, with the reason."""

    environment: int
    environment_name: str
    deployment: str
    verdict: str
    why: str = ""
    service: str = ""  # our label on it
    situation: str = ""


def preview_clearing(*, by: Actor, tenant: Tenant, wishes: Sequence[Wish]) -> list[Removal]:
    """What would be removed there, asked of the sub-managers now; nothing is changed."""
    if not 0 < len(wishes) <= MOST:
        raise ValidationError({"deployments": f"Choose from 1 to {MOST} deployments to remove there."})
    keys = {wish.environment for wish in wishes}
    rows = Environment.objects.visible_to(by.user, tenant).filter(pk__in=keys, deployment__tenant=tenant)
    environments = {row.pk: row for row in rows.for_connecting().select_related("deployment")}
    placements = Placement.objects.filter(environment__in=keys).exclude(state=Placement.State.ABSENT)
    placed = {(each.environment_id, remote_id(each)): str(each) for each in placements.select_related("service")}
    looks: list[tuple[Wish, ManagerClient | str]] = []
    for wish in dict.fromkeys(wishes):
        looks.append(
            (wish, _client(environments.get(wish.environment), placed.get((wish.environment, wish.deployment))))
        )
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="clear") as threads:
        return list(threads.map(lambda pair: _judge(pair[0], pair[1], environments.get(pair[0].environment)), looks))


def digest_of(found: Sequence[Removal]) -> str:
    """SHA-256 of what would be removed: the start names it."""
    content = [[row.environment, row.deployment, row.verdict, row.service] for row in found]
    return hashlib.sha256(canonical(content)).hexdigest()


def start_clearing(*, by: Actor, tenant: Tenant, wishes: Sequence[Wish], digest: str) -> Run:
    """Remove what a preview with this digest showed; Conflict where the answer is another by now."""
    found = preview_clearing(by=by, tenant=tenant, wishes=wishes)
    if digest_of(found) != digest:
        raise Conflict("Things have changed since this preview. Look at it again, then remove.")
    doomed = [row for row in found if row.verdict == "remove"]
    if not doomed:
        raise ValidationError({"deployments": "There is nothing to remove: the preview says why for each."})
    with transaction.atomic():
        many = f"{len(doomed)} deployment{'' if len(doomed) == 1 else 's'}"
        parent = engine.start_parent(
            title=f"Remove {many} without a record here", tenant=tenant, started_by=by.user, max_parallel=10
        )
        children = [
            (
                [RemoveStray(row.environment, row.deployment, row.service, row.environment_name)],
                f"Remove {row.deployment} from {row.environment_name}"[:256],
                f"environment:{row.environment}",
            )
            for row in doomed
        ]
        engine.add_children(parent, children)
        engine.advance(parent)
        names = [f"{row.deployment} of {row.environment_name}" for row in doomed]
        audit.record(by=by, action="stray.remove", row=parent, tenant=tenant, after={"deployments": names})
    return parent


@operation("stray.remove")
@dataclasses.dataclass(frozen=True)
class RemoveStray(Operation):
    """Uninstall and delete a deployment that has no record here; `service` is the label of ours that it bore when it was shown."""

    environment: int
    deployment: str
    service: str
    where: str

    seconds: ClassVar[float] = 2 * 3600.0

    def describe(self) -> str:
        return f"Remove {self.deployment} from {self.where}"

    def check(self, context: Context) -> bool:
        return bool(context.memory.get("done"))

    def apply(self, context: Context) -> Later | None:
        memory = context.memory
        try:
            with session(self.environment) as client:
                result = driver.remove(
                    client,
                    self.deployment,
                    service=self.service,
                    execution_id=memory.get("execution", ""),
                    looks=memory.get("looks", 0),
                )
        except Environment.DoesNotExist:
            raise OperationError(f"{self.where} is no environment any more: it was removed.", cause="gone") from None
        except ManagerError as error:
            blips = memory["blips"] = memory.get("blips", 0) + 1
            if error.is_transient and blips < 10:
                return Later(min(15.0, 2.0**blips), error.message)
            raise OperationError(error.message, cause=str(error.kind)) from None
        if isinstance(result, driver.NotYet):
            memory["looks"] = memory.get("looks", 0) + 1
            memory["execution"] = result.execution_id or memory.get("execution", "")
            return Later(result.seconds, result.why, deadline=self.seconds)
        if isinstance(result, driver.Differs):
            raise OperationError(result.reason, cause="differs")
        if isinstance(result, driver.Failed):
            raise OperationError(result.error, cause="failed")
        memory["done"] = True
        context.say(result.detail)
        return None


def _client(environment: Environment | None, placed: str | None) -> ManagerClient | str:
    """How to ask, or why it is not asked."""
    if environment is None:
        return "There is no such environment in this tenant, or you may not see it."
    if placed:
        return f"It is {placed} here: uninstall that by a rollout instead."
    try:
        return client_for(environment)
    except ManagerError as error:
        return error.message
    except ValidationError as error:
        return " ".join(error.messages)


def _judge(wish: Wish, client: ManagerClient | str, environment: Environment | None) -> Removal:
    name = environment.deployment.display_name if environment is not None else ""
    row = Removal(wish.environment, name, wish.deployment, "excluded")
    if isinstance(client, str) or environment is None:
        return dataclasses.replace(row, why=str(client))
    with client:
        try:
            seen = driver.survey(client, wish.deployment)
            above = driver.dependents(client, wish.deployment) if seen.deployment is not None else []
        except ManagerError as error:
            return dataclasses.replace(row, why=error.message)
    if seen.deployment is None:
        return dataclasses.replace(row, verdict="gone", why="It is gone there already.")
    owner = seen.deployment.label(ENVIRONMENT)
    if owner and owner != environment.deployment.wire_id:
        why = f"By its labels another portal put it there, for its environment {owner}. Remove it by that one."
        return dataclasses.replace(row, why=why)
    if above:
        return dataclasses.replace(row, why=f"Others there stand on it: {', '.join(above[:5])}. Remove those first.")
    situation = str(seen.situation)
    return dataclasses.replace(row, verdict="remove", service=seen.deployment.label(SERVICE), situation=situation)
