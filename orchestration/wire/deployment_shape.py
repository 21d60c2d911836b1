"""What a deployment looks like on the wire: the one row of the inventory, and what its blueprint added."""

from __future__ import annotations

import json
from functools import lru_cache, partial
from typing import Any

from django.db.models import ExpressionWrapper, F, Prefetch, TextField

from inventory import capabilities
from inventory.models import Deployment, Label
from orchestration.models import DeploymentGroup, LocalDeployment, NodeInstance
from orchestration.wire.shapes import Field, Shape, always, column, owned, read_int, time
from orchestration.wire.times import wire_time
from orchestration.workflows import listed_workflows

ENVIRONMENT_TYPE_KEY = "csys-env-type"
# What is taken from the prepared plan, and what stands there before the environment is created.
PLAN_FIELDS = (
    "groups",
    "policy_triggers",
    "policy_types",
    "outputs",
    "capabilities",
    "scaling_groups",
    "resource_tags",
)


def labels_prefetch() -> Prefetch[Any]:
    """Labels with the names of their creators, in one query; plain lists, as managers for each row cost more than the rows."""
    rows = Label.objects.annotate(creator=F("created_by__username"))
    rows = rows.only("pk", "deployment_id", "key", "value", "created_at").order_by("pk")
    return Prefetch("labels", queryset=rows, to_attr="listed_labels")


def instances_prefetch() -> Prefetch[Any]:
    """Of the node instances no more than their state and health."""
    rows = NodeInstance.objects.only("pk", "local_id", "state", "system_properties", "has_drift")
    return Prefetch("local__instances", queryset=rows, to_attr="listed_instances")


def groups_prefetch() -> Prefetch[Any]:
    """Of the groups no more than their names."""
    rows = DeploymentGroup.objects.only("pk", "wire_id").order_by("pk")
    return Prefetch("deployment_groups", queryset=rows, to_attr="listed_groups")


def local_of(row: Deployment) -> LocalDeployment | None:
    """What was deployed here; None for environments and placements."""
    return getattr(row, "local", None)


@lru_cache(maxsize=256)
def parsed(text: str) -> Any:
    """Deployments of one blueprint have the same plan, which is parsed once; it is shown and never changed."""
    return json.loads(text)


@lru_cache(maxsize=256)
def workflows_in(text: str, states: tuple[str, ...]) -> list[dict[str, Any]]:
    """The workflows of a plan for instances in these states; shown and never changed."""
    return listed_workflows(parsed(text), states)


def plan_of(row: Deployment) -> dict[str, Any] | None:
    """The prepared plan; None until it is prepared, and where nothing was deployed here."""
    text = getattr(row, "plan_text", None)
    return parsed(text) if text else None


# The column as its text. A cast would have PostgreSQL read the plans of all rows before it sorts and cuts them.
PLAN_TEXT = ExpressionWrapper(F("local__plan"), output_field=TextField())
PLAN: dict[str, Any] = {"joins": ("local",), "annotations": (("plan_text", PLAN_TEXT),)}


def from_plan(name: str) -> Field:
    """A part of the prepared plan; null until it is prepared."""
    return Field(lambda row: (plan_of(row) or {}).get(name), **PLAN)


def instances_of(row: Deployment) -> list[NodeInstance]:
    """The instances of what was deployed here, as far as `instances_prefetch` reads them."""
    return getattr(local_of(row), "listed_instances", [])


def capabilities_of(row: Deployment) -> Any:
    """As they stand in the plan; of environments and placements, which have none, the values that are kept."""
    if not capabilities.is_kept(row):
        return from_plan("capabilities").read(row)
    return {name: {"value": value} for name, value in capabilities.read(row).items()}


def inputs_of(row: Deployment) -> Any:
    """The inputs with defaults; null until the environment is created."""
    local = local_of(row)
    return local.inputs if local is not None else {}


def workflows_of(row: Deployment) -> Any:
    """The workflows, each with whether it may be started now."""
    local = local_of(row)
    if local is None:
        return []
    if not plan_of(row):
        return None
    states = tuple(sorted(instance.state for instance in instances_of(row)))
    return workflows_in(row.plan_text, states)  # type: ignore[attr-defined]


def is_status_check_ok(instance: NodeInstance) -> bool:
    """False until a first check went well, as genuine."""
    return bool((instance.system_properties.get("status") or {}).get("ok"))


def drifted_instances(row: Deployment) -> int:
    """How many instances are known to differ from what was configured."""
    return sum(one.has_drift for one in instances_of(row))


def unavailable_instances(row: Deployment) -> int:
    """How many instances have not passed a check."""
    return sum(not is_status_check_ok(instance) for instance in instances_of(row))


def listed_labels(row: Deployment) -> list[Any]:
    """What `labels_prefetch` has read: labels with `creator`."""
    return row.listed_labels  # type: ignore[attr-defined, no-any-return]


def labels_of(row: Deployment) -> list[dict[str, Any]]:
    """All labels."""
    return [
        {
            "key": label.key,
            "value": label.value,
            "created_at": wire_time(label.created_at),
            "created_by": label.creator,
        }
        for label in listed_labels(row)
    ]


def environment_type(row: Deployment) -> str:
    """The value of its label, or ""."""
    return next((label.value for label in listed_labels(row) if label.key == ENVIRONMENT_TYPE_KEY), "")


def of_local(name: str, default: Any) -> Field:
    """A column of what was deployed here."""
    return Field(lambda row: getattr(local_of(row), name, default), f"local__{name}", joins=("local",))


LABELS: dict[str, Any] = {"prefetches": (labels_prefetch,)}
KEPT: dict[str, Any] = {
    "prefetches": tuple(
        partial(capabilities.prefetch, kind) for kind in (Deployment.Kind.ENVIRONMENT, Deployment.Kind.PLACEMENT)
    )
}
INSTANCES: dict[str, Any] = {"joins": ("local",), "prefetches": (instances_prefetch,)}

DEPLOYMENT = Shape(
    "Deployment",
    {
        "created_at": time("created_at"),
        "id": column("wire_id"),
        "visibility": column("visibility"),
        "description": Field(lambda row: row.description or None, "description"),
        "inputs_p": always(None),
        "inputs": Field(inputs_of, joins=("local",)),
        "groups_p": always(None),
        "groups": from_plan("groups"),
        "permalink": always(None),
        "policy_triggers_p": always(None),
        "policy_triggers": from_plan("policy_triggers"),
        "policy_types_p": always(None),
        "policy_types": from_plan("policy_types"),
        "outputs_p": always(None),
        "outputs": from_plan("outputs"),
        "capabilities_p": always(None),
        "capabilities": Field(capabilities_of, joins=("local",), annotations=PLAN["annotations"], **KEPT),
        "scaling_groups_p": always(None),
        "scaling_groups": from_plan("scaling_groups"),
        "updated_at": time("updated_at"),
        "workflows_p": always(None),
        "workflows": Field(workflows_of, prefetches=(instances_prefetch,), **PLAN),
        "runtime_only_evaluation": of_local("runtime_only_evaluation", False),
        "installation_status": column("installation_status"),
        "deployment_status": column("deployment_status"),
        "sub_services_status": column("sub_services_status"),
        "sub_environments_status": column("sub_environments_status"),
        "sub_services_count": column("sub_services_count", read_int),
        "sub_environments_count": column("sub_environments_count", read_int),
        "display_name": column("display_name"),
        "resource_tags": from_plan("resource_tags"),
        "drifted_instances": Field(drifted_instances, **INSTANCES),
        "unavailable_instances": Field(unavailable_instances, **INSTANCES),
        "latest_execution": column("latest_execution"),
        "latest_execution_finished_operations": column("latest_execution_finished", read_int),
        "latest_execution_total_operations": column("latest_execution_total", read_int),
        "latest_execution_workflow_id": column("latest_execution_workflow"),
        "create_execution": of_local("create_execution", None),
        "blueprint_id": column("blueprint_name"),
        "site_name": column("site__name"),
        "latest_execution_status": column("latest_execution_status"),
        "environment_type": Field(environment_type, **LABELS),
        "has_sub_deployments": Field(lambda row: bool(row.sub_services_count or row.sub_environments_count)),
        **owned(),
        "workdir_zip": always(None),
        "labels": Field(labels_of, **LABELS),
        "deployment_groups": Field(
            lambda row: [group.wire_id for group in row.listed_groups], prefetches=(groups_prefetch,)
        ),
    },
    also_filters=("deployment_group_id",),
    heavy=("local__plan", "local__given_inputs", "local__secret_names"),
)
