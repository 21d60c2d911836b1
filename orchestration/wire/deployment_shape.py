"""What a deployment looks like on the wire: the one row of the inventory, and what its blueprint added."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db.models import Prefetch

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
    """Labels with the names of their creators, in one query."""
    return Prefetch("labels", queryset=Label.objects.select_related("created_by").order_by("pk"))


def instances_prefetch() -> Prefetch[Any]:
    """Of the node instances no more than their state and health."""
    rows = NodeInstance.objects.only("pk", "local_id", "state", "system_properties", "has_drift")
    return Prefetch("local__instances", queryset=rows)


def groups_prefetch() -> Prefetch[Any]:
    """Of the groups no more than their names."""
    return Prefetch("deployment_groups", queryset=DeploymentGroup.objects.only("pk", "wire_id").order_by("pk"))


def local_of(row: Deployment) -> LocalDeployment | None:
    """What was deployed here; None for environments and placements."""
    return getattr(row, "local", None)


def from_plan(name: str) -> Field:
    """A part of the prepared plan; null until it is prepared."""

    def read(row: Deployment) -> Any:
        local = local_of(row)
        return (local.plan or {}).get(name) if local is not None and local.plan else None

    return Field(read, joins=("local",), loads=("local__plan",))


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
    if not local.plan:
        return None
    return listed_workflows(local.plan, [instance.state for instance in local.instances.all()])


def is_status_check_ok(instance: NodeInstance) -> bool:
    """False until a first check went well, as genuine."""
    return bool((instance.system_properties.get("status") or {}).get("ok"))


def drifted_instances(row: Deployment) -> int:
    """How many instances are known to differ from what was configured."""
    local = local_of(row)
    return sum(one.has_drift for one in local.instances.all()) if local is not None else 0


def unavailable_instances(row: Deployment) -> int:
    """How many instances have not passed a check."""
    local = local_of(row)
    return sum(not is_status_check_ok(instance) for instance in local.instances.all()) if local is not None else 0


def labels_of(row: Deployment) -> list[dict[str, Any]]:
    """All labels."""
    return [
        {
            "key": label.key,
            "value": label.value,
            "created_at": wire_time(label.created_at),
            "created_by": label.created_by.username if label.created_by else None,
        }
        for label in row.labels.all()
    ]


def environment_type(row: Deployment) -> str:
    """The value of its label, or ""."""
    return next((label.value for label in row.labels.all() if label.key == ENVIRONMENT_TYPE_KEY), "")


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
        "capabilities": Field(capabilities_of, joins=("local",), loads=("local__plan",), **KEPT),
        "scaling_groups_p": always(None),
        "scaling_groups": from_plan("scaling_groups"),
        "updated_at": time("updated_at"),
        "workflows_p": always(None),
        "workflows": Field(workflows_of, joins=("local",), loads=("local__plan",), prefetches=(instances_prefetch,)),
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
            lambda row: [group.wire_id for group in row.deployment_groups.all()], prefetches=(groups_prefetch,)
        ),
    },
    also_filters=("deployment_group_id",),
)
