"""What an update does to the rows of its deployment: planned from the new plan, written before the workflow, finished after it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction

from orchestration import runner_jobs
from orchestration.asking import PlanAsker
from orchestration.environments import NOT_KEPT, apply_settings, body_of
from orchestration.gateway_functions import instance_row
from orchestration.instance_rows import write_instances
from orchestration.models import BlueprintNode, Execution, LocalDeployment, NodeInstance
from orchestration.runner_types import BlueprintProblem, Row
from orchestration.supervisor import supervisor
from orchestration.update_models import DeploymentUpdate
from orchestration.update_steps import by_target, changed_nodes, steps_between

State = DeploymentUpdate.State


def prepare(update: DeploymentUpdate) -> Row:
    """The plan of the new blueprint with the new inputs, for the tenant and in the name of whoever asks: it knows no deployment."""
    blueprint = update.new_blueprint
    if blueprint is None:
        raise BlueprintProblem("dsl", "The new blueprint was deleted before the update began.")
    return supervisor.host.prepare(
        blueprint.plan or {},
        update.new_inputs or {},
        PlanAsker(update.local.deployment.tenant, update.created_by),
        auto_correct_types=bool(update.options.get("auto_correct_types")),
    )


class Change:
    """A prepared plan beside what is deployed: steps, and instances to add, to remove, to link and to unlink."""

    def __init__(self, update: DeploymentUpdate, prepared: Row | None = None) -> None:
        local = update.local
        self.prepared: Row = prepared if prepared is not None else prepare(update)
        keep_counts(local, self.prepared)
        self.old_nodes: dict[str, Row] = {
            node.name: {**node.body, "name": node.name, "id": node.name, "type": node.type}
            for node in local.nodes.order_by("pk")
        }
        self.new_nodes: dict[str, Row] = {node["name"]: node for node in self.prepared["nodes"]}
        self.steps = steps_between(self.old_nodes, self.new_nodes, local.plan or {}, self.prepared)

    def instances(self, local: LocalDeployment) -> dict[str, list[Row]]:
        """Added, removed, extended and reduced instances, each with those that they are related to."""
        rows = local.instances.select_related("node").order_by("pk")
        found = [{**instance_row(row, local.deployment.wire_id), "name": row.node.name} for row in rows]
        return runner_jobs.modify(
            supervisor.host,
            nodes=list(self.new_nodes.values()),
            previous_nodes=list(self.old_nodes.values()),
            previous_node_instances=found,
            scaling_groups=self.prepared.get("scaling_groups") or {},
        )


def keep_counts(local: LocalDeployment, prepared: Row) -> None:
    """What was scaled stays scaled: a new plan knows only how many there are by default."""
    scaled = {
        name: body["number_of_instances"]
        for name, body in local.nodes.values_list("name", "body")
        if body.get("number_of_instances", 1) != body.get("deploy_number_of_instances", 1)
    }
    for node in prepared["nodes"]:
        if node["name"] in scaled:
            node["capabilities"]["scalable"]["properties"]["current_instances"] = scaled[node["name"]]
    groups = prepared.get("scaling_groups") or {}
    for name, group in ((local.plan or {}).get("scaling_groups") or {}).items():
        kept = group.get("properties") or {}
        count = kept.get("current_instances", 1)
        if name in groups and count != kept.get("default_instances", 1):
            groups[name]["properties"].update(current_instances=count, planned_instances=count)


def preview(update: DeploymentUpdate) -> None:
    """Find the steps, and the inputs with their defaults; nothing is written."""
    change = Change(update)
    update.steps, update.new_inputs = change.steps, change.prepared["inputs"]


def begin(execution: Execution) -> None:
    """Write what the workflow is to work on; nothing where that is done. BlueprintProblem or Refused where it cannot be."""
    update = (
        DeploymentUpdate.objects.select_related(
            "local__deployment__tenant", "local__deployment__parent", "local__blueprint", "new_blueprint", "created_by"
        )
        .filter(execution=execution)
        .first()
    )
    if update is None or update.leftovers:  # done, before the workflow was interrupted
        return
    change = Change(update)
    instances = change.instances(update.local)
    with transaction.atomic():
        if not update.move(State.EXECUTING, only_from={State.UPDATING, State.FAILED}):
            return
        leftovers = write_nodes(update.local, change)
        write_instances(update.local, instances)
        execution.parameters = {**execution.parameters, **parameters_of(update, change, instances)}
        Execution.objects.filter(pk=execution.pk).update(parameters=execution.parameters)
        leftovers["reduced"] = targets_of(instances["reduced_and_related"], "reduced")
        update.steps, update.leftovers, update.new_inputs = change.steps, leftovers, change.prepared["inputs"]
        update.save(update_fields=["steps", "leftovers", "new_inputs"])
        take_plan(update, change.prepared)
    apply_settings(execution, update.local, change.prepared)


def take_plan(update: DeploymentUpdate, prepared: Row) -> None:
    """The deployment now has the new plan, inputs and blueprint."""
    local, blueprint = update.local, update.new_blueprint
    assert blueprint is not None
    plan = {name: value for name, value in prepared.items() if name not in NOT_KEPT}
    plan["node_types"] = sorted(
        {name for node in prepared["nodes"] for name in node.get("type_hierarchy") or [node["type"]]}
    )
    local.plan, local.inputs, local.blueprint = plan, prepared["inputs"], blueprint
    # What is to be uninstalled may still need the secrets that it was installed with.
    local.secret_names = sorted({*local.secret_names, *prepared["secrets"]})
    local.runtime_only_evaluation = update.runtime_only_evaluation
    local.save(update_fields=["plan", "inputs", "blueprint", "secret_names", "runtime_only_evaluation"])
    local.deployment.blueprint_name = blueprint.wire_id
    local.deployment.save(update_fields=["blueprint_name"])


def write_nodes(local: LocalDeployment, change: Change) -> Row:
    """Add new nodes, change those that stay; what is to go stays until its instances are uninstalled, and is returned."""
    rows = {node.name: node for node in local.nodes.all()}
    staying: dict[str, list[Row]] = {}
    for name, node in change.new_nodes.items():
        body = body_of(node)
        if name not in rows:
            BlueprintNode.objects.create(local=local, name=name, type=node["type"], body=body)
            continue
        row = rows[name]
        new = by_target(node)
        gone = [one for key, one in by_target(change.old_nodes[name]).items() if key not in new]
        if gone:
            staying[name] = body.get("relationships") or []
            body = {**body, "relationships": [*staying[name], *gone]}
        row.body = body
        row.save(update_fields=["body"])
    return {"nodes": [name for name in rows if name not in change.new_nodes], "relationships": staying}


def targets_of(rows: Iterable[Row], modification: str) -> dict[str, list[list[str]]]:
    """Instance -> (type, target) of each relationship that comes or goes."""
    return {
        row["id"]: [[one["type"], one["target_id"]] for one in row["relationships"]]
        for row in rows
        if row.get("modification") == modification
    }


def parameters_of(update: DeploymentUpdate, change: Change, instances: dict[str, list[Row]]) -> dict[str, Any]:
    """What the workflow is told: ids of instances."""

    def ids(part: str, modification: str) -> list[str]:
        return [row["id"] for row in instances[part] if row.get("modification") == modification]

    def related(part: str) -> list[str]:
        return [row["id"] for row in instances[part] if not row.get("modification")]

    wanted = changed_nodes(change.steps)
    changed = NodeInstance.objects.filter(local=update.local, node__name__in=wanted).values_list("wire_id", flat=True)
    return {
        "update_id": update.wire_id,
        "added": ids("added_and_related", "added"),
        "added_related": related("added_and_related"),
        "removed": ids("removed_and_related", "removed"),
        "removed_related": related("removed_and_related"),
        # Installing and uninstalling an instance links and unlinks those around it.
        "extended": pairs(instances, "extended", set(ids("added_and_related", "added"))),
        "reduced": pairs(instances, "reduced", set(ids("removed_and_related", "removed"))),
        "changed": list(changed),
    }


def pairs(instances: dict[str, list[Row]], modification: str, besides: set[str]) -> dict[str, list[str]]:
    """Instance -> names of the target nodes of its relationships that come or go, besides those to some instances."""
    found = {
        row["id"]: [one["target_name"] for one in row["relationships"] if one["target_id"] not in besides]
        for row in instances[f"{modification}_and_related"]
        if row.get("modification") == modification
    }
    return {wire_id: targets for wire_id, targets in found.items() if targets}
