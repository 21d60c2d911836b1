"""Deployments that are environments: exposed when their install ends, taken away with their uninstall or with themselves."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.actors import Actor
from accounts.errors import Conflict
from inventory import standing
from inventory.capabilities import ENDPOINT
from inventory.exposing_blueprints import describes_environment, expose_described, read_described
from inventory.hiding import conceal
from inventory.label_rules import ENVIRONMENT_TYPE, TYPE_KEY
from inventory.models import Deployment, Environment
from orchestration import dependencies, states
from orchestration.errors import dependent_exists
from orchestration.gateway_functions import from_blueprint
from orchestration.models import Execution, LocalDeployment
from orchestration.runner_functions import has_functions
from orchestration.runner_host import RunnerHost
from orchestration.runner_types import BlueprintProblem, Row, RunnerError

EXPOSING = ("install", "reinstall", "update")
UNINSTALL = "uninstall"
State = Execution.State


def conclude(execution: Execution, host: RunnerHost, status: str, error: str | None) -> tuple[str, str | None]:
    """What a workflow that says that it has ended ends as, after what its end means for an environment. In no transaction."""
    local = execution.local
    if status != State.TERMINATED or local is None or execution.is_dry_run:
        return status, error
    try:
        if execution.workflow in EXPOSING and is_described(local):
            expose(execution, local, host)
        elif execution.workflow == UNINSTALL:
            end_exposure(execution, local.deployment)
    except (ValidationError, BlueprintProblem, RunnerError) as problem:
        words = " ".join(problem.messages) if isinstance(problem, ValidationError) else str(problem)
        why = f"The environment could not be exposed. {words}"
        states.tell(execution, "workflow_failed", why)
        return State.FAILED, why
    except Conflict as conflict:
        states.warn(execution, str(conflict))
    return status, error


def is_described(local: LocalDeployment) -> bool:
    """Is it labelled an environment, and does its blueprint say where a remote manager is?"""
    if not describes_environment((local.plan or {}).get("capabilities") or {}):
        return False
    return local.deployment.labels.filter(key=TYPE_KEY, value=ENVIRONMENT_TYPE).exists()


def expose(execution: Execution, local: LocalDeployment, host: RunnerHost) -> Environment:
    """Make the deployment the environment that its capabilities describe, in the name of whoever started this."""
    values = from_blueprint(local.deployment, "capabilities", host, execution.created_by)
    environment = expose_described(
        by=Actor(user=execution.created_by, via="v3.1"),
        deployment=local.deployment,
        capabilities=values,
        inputs=local.inputs or {},
        is_default=is_endpoint_default(local),
    )
    words = f"Exposed as an environment: {environment.sub_manager}, tenant {environment.remote_tenant}."
    if environment.state == Environment.State.READY:
        states.tell(execution, "environment_exposed", f"{words} It is ready.")
    else:
        states.tell(execution, "environment_exposed", words)
        states.warn(execution, f"The environment is {environment.get_state_display().lower()}. {environment.why}")
    return environment


def is_endpoint_default(local: LocalDeployment) -> bool:
    """Is its endpoint the example that the blueprint's author left as the default of an input?"""
    declared = (local.blueprint.plan or {}).get("capabilities") or {}
    value = (declared.get(ENDPOINT) or {}).get("value")
    name = value.get("get_input") if isinstance(value, dict) else None
    return isinstance(name, str) and name not in local.given_inputs


def check_description(local: LocalDeployment, prepared: Row) -> None:
    """BlueprintProblem where what is known already of a described environment cannot be: a port that is no number, and such."""
    declared: dict[str, Any] = prepared.get("capabilities") or {}
    values = {name: entry.get("value") for name, entry in declared.items()}
    labels = (prepared.get("labels") or {}).get(TYPE_KEY, {}).get("values") or []
    is_labelled = (
        ENVIRONMENT_TYPE in labels or local.deployment.labels.filter(key=TYPE_KEY, value=ENVIRONMENT_TYPE).exists()
    )
    if not is_labelled or not describes_environment(values) or has_functions(values):
        return
    try:
        read_described(values)
    except ValidationError as error:
        raise BlueprintProblem("constraint", " ".join(error.messages)) from None


def end_exposure(execution: Execution, deployment: Deployment) -> None:
    """After its uninstall; Conflict where something has come to stand on it meanwhile: then it stays one."""
    environment = environment_of(deployment)
    if environment is not None:
        with transaction.atomic():
            conceal(by=Actor(user=execution.created_by, via="v3.1"), environment=environment)
        states.tell(execution, "environment_removed", "It is no environment any more.")


def environment_of(deployment: Deployment) -> Environment | None:
    """The environment that a deployment is; None for most."""
    return (
        Environment.objects.select_related("deployment__tenant", "deployment__site", "sub_manager", "credential")
        .filter(deployment=deployment)
        .first()
    )


def check_may_uninstall(deployment: Deployment) -> None:
    """400 where something stands on what is to be uninstalled."""
    check_nothing_stands(deployment, f"Can't execute workflow `uninstall` on deployment {deployment.wire_id} - ")


def check_nothing_stands(deployment: Deployment, prefix: str) -> None:
    """400 where services stand on an environment, or other deployments have it as their parent."""
    environment = environment_of(deployment)
    children = list(deployment.children.order_by("wire_id").values_list("wire_id", flat=True)[:3])
    if children:
        raise dependent_exists(
            f"{prefix}It is the parent of these deployments, remove them first: {', '.join(children)}"
        )
    users = dependencies.users_of([deployment])
    if users:
        raise dependent_exists(
            f"{prefix}These deployments depend on it: {', '.join(users)}. Uninstall and delete them first"
        )
    stands = standing.names_on(environment) if environment is not None else []
    if stands:
        raise dependent_exists(f"{prefix}These services stand on it, uninstall them first: {', '.join(stands[:3])}")
