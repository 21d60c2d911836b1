"""What the create and delete executions do: the rows of a deployment from its blueprint's plan, and their end."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.actors import Actor
from accounts.errors import Conflict
from inventory import names
from inventory.labels import add_labels
from inventory.models import Deployment
from orchestration import dependencies, states
from orchestration.asking import PlanAsker
from orchestration.capabilities import names_of
from orchestration.exposed import check_description
from orchestration.gateway_functions import DeploymentStorage
from orchestration.instance_rows import add_instances
from orchestration.models import BlueprintNode, Execution, LocalDeployment
from orchestration.parsing import pairs_of
from orchestration.removal import remove_rows
from orchestration.runner_functions import has_functions
from orchestration.runner_types import BlueprintProblem, Row
from orchestration.supervisor import supervisor

NODE_COUNTS = {
    "number_of_instances": "current_instances",
    "planned_number_of_instances": "current_instances",
    "deploy_number_of_instances": "default_instances",
    "min_number_of_instances": "min_instances",
    "max_number_of_instances": "max_instances",
}
NOT_KEPT = ("nodes", "node_instances", "secrets", "relationships", "data_types", "inputs")


def create(execution: Execution) -> None:
    """Prepare the deployment of this execution; what is wrong with its inputs ends the execution as failed."""
    local = (
        LocalDeployment.objects.select_related(
            "deployment__tenant", "deployment__parent", "blueprint", "deployment__created_by"
        )
        .filter(executions=execution)
        .first()
    )
    if local is None:
        return
    asker = PlanAsker(local.deployment.tenant, execution.created_by)
    try:
        check_parent(local)
        prepared = supervisor.host.prepare(local.blueprint.plan or {}, local.given_inputs, asker)
        check_description(local, prepared)
        with transaction.atomic():
            keep(local, prepared)
            dependencies.store_capabilities(local, execution.created_by)
        apply_settings(execution, local, prepared)
    except BlueprintProblem as problem:
        states.report(execution, Execution.State.FAILED, problem.message)
    except ValidationError as error:
        states.report(execution, Execution.State.FAILED, " ".join(error.messages))
    else:
        states.report(execution, Execution.State.TERMINATED)


def check_parent(local: LocalDeployment) -> None:
    """BlueprintProblem where the blueprint wants capabilities of a parent that has none such."""
    wanted = (local.blueprint.plan or {}).get("requirements", {}).get("parent_capabilities") or []
    if not wanted:
        return
    parent = local.deployment.parent
    there = names_of(parent) if parent is not None else set()
    missing = sorted(
        {str(path[0]) for path in wanted if path and not isinstance(path[0], dict | list) and path[0] not in there}
    )
    if missing:
        of = (
            f"the parent {parent.wire_id}"
            if parent is not None
            else "a parent (label csys-obj-parent), and it has none"
        )
        raise BlueprintProblem("function", f"The blueprint needs these capabilities of {of}: {', '.join(missing)}")


def keep(local: LocalDeployment, prepared: Row) -> None:
    """The rows of nodes and instances, and what of the plan is needed later. Repeating it makes them anew."""
    local.nodes.all().delete()
    plan = {name: value for name, value in prepared.items() if name not in NOT_KEPT}
    plan["node_types"] = sorted(
        {name for node in prepared["nodes"] for name in node.get("type_hierarchy") or [node["type"]]}
    )
    local.inputs = prepared["inputs"]
    local.plan = plan
    local.secret_names = prepared["secrets"]
    local.save(update_fields=["inputs", "plan", "secret_names"])
    BlueprintNode.objects.bulk_create(
        BlueprintNode(local=local, name=node["name"], type=node["type"], body=body_of(node))
        for node in prepared["nodes"]
    )
    add_instances(local, prepared["node_instances"])


def body_of(node: Row) -> Row:
    """All that v3.1 and the library read of a node besides its name and type."""
    scale = (node.get("capabilities") or {}).get("scalable", {}).get("properties", {})
    counts = {name: scale.get(source, 1) for name, source in NODE_COUNTS.items()}
    return {**{name: value for name, value in node.items() if name not in ("name", "id", "type")}, **counts}


def apply_settings(execution: Execution, local: LocalDeployment, prepared: Row) -> None:
    """Labels and display name that the blueprint itself gives; they may be made of functions."""
    wanted: Row = {
        "labels": prepared.get("labels") or {},
        "display_name": (prepared.get("deployment_settings") or {}).get("display_name"),
    }
    if has_functions(wanted):
        wanted = supervisor.host.evaluate(
            "payload", wanted, {}, DeploymentStorage(local, supervisor.host, execution.created_by)
        )
    by = Actor(user=execution.created_by, via="blueprint")
    pairs = pairs_of(wanted["labels"])
    if pairs:
        add_labels(by=by, deployment=local.deployment, labels=pairs)
    name: Any = wanted["display_name"]
    if name and local.deployment.display_name == local.deployment.wire_id:
        Deployment.objects.filter(pk=local.deployment_id).update(
            display_name=names.check_title(str(name), "display_name")
        )


def delete(execution: Execution) -> None:
    """Remove the deployment of this execution, and the execution with it."""
    local = (
        LocalDeployment.objects.select_related("deployment__tenant", "deployment__parent")
        .filter(executions=execution)
        .first()
    )
    if local is not None:
        is_forced = bool(execution.parameters.get("force"))
        try:
            remove_rows(by=Actor(user=execution.created_by, via="v3.1"), local=local, force=is_forced)
        except Conflict as conflict:  # something has come to stand on it since it was asked for
            states.report(execution, Execution.State.FAILED, str(conflict))
