"""What a deployment looks like on the wire: the one row of the inventory, and what its blueprint added."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby
from json.encoder import encode_basestring
from operator import itemgetter
from typing import Any

from inventory import capabilities
from inventory.models import Label
from orchestration.models import DeploymentGroup, NodeInstance
from orchestration.wire.plain import among, encode, text_of
from orchestration.wire.plans import Plan, plans_of
from orchestration.wire.shapes import (
    Beside,
    Field,
    Shape,
    always,
    column,
    made,
    or_none,
    owned,
    read_int,
    time,
)
from orchestration.wire.times import AsText, wire_time

ENVIRONMENT_TYPE_KEY = "csys-env-type"


def labels_of(keys: Sequence[int]) -> dict[int, str]:
    """The labels of deployments as JSON: of a list they are most of the rows that are read."""
    rows = Label.objects.filter(deployment__in=among(keys)).order_by("pk")
    columns = ("deployment_id", "key", "value", AsText("created_at"), "created_by__username")
    found: dict[int, list[str]] = {}
    for deployment, key, value, at, creator in rows.values_list(*columns):
        text = f'{{"key":{encode_basestring(key)},"value":{encode_basestring(value)},{set_by(at[:23], creator)}}}'
        found.setdefault(deployment, []).append(text)
    return {deployment: f"[{','.join(texts)}]" for deployment, texts in found.items()}


@lru_cache(maxsize=4096)
def set_by(at: str, creator: str | None) -> str:
    """When (to the millisecond) and by whom a label was set: most of a deployment are set at once."""
    return f'"created_at":{encode(wire_time(at))},"created_by":{text_of(creator)}'


def types_of(keys: Sequence[int]) -> dict[int, str]:
    """The types of environments, of the label that says so."""
    rows = Label.objects.filter(deployment__in=among(keys), key=ENVIRONMENT_TYPE_KEY).order_by("-pk")
    return dict(rows.values_list("deployment_id", "value"))


def groups_of(keys: Sequence[int]) -> dict[int, list[str]]:
    """The names of the groups that deployments are in."""
    rows = DeploymentGroup.members.through.objects.filter(deployment__in=among(keys)).order_by("deploymentgroup")
    found: dict[int, list[str]] = {}
    for deployment, name in rows.values_list("deployment_id", "deploymentgroup__wire_id"):
        found.setdefault(deployment, []).append(name)
    return found


@dataclasses.dataclass(frozen=True)
class Instances:
    """What a list tells of the instances of a deployment; `states` are sorted."""

    states: tuple[str, ...] = ()
    drifted: int = 0
    unavailable: int = 0


def instances_of(keys: Sequence[int]) -> dict[int, Instances]:
    """The instances of what was deployed here."""
    rows = NodeInstance.objects.filter(local__in=among(keys)).order_by("local", "state")
    read = rows.values_list("local_id", "state", "has_drift", "system_properties__status")
    return {local: instances([values[1:] for values in of_one]) for local, of_one in groupby(read, itemgetter(0))}


def instances(rows: list[tuple[str, bool, Any]]) -> Instances:
    """Those of one deployment."""
    return Instances(
        tuple(sorted(state for state, _, _ in rows)),
        sum(has_drift for _, has_drift, _ in rows),
        sum(not is_status_ok(status) for _, _, status in rows),
    )


def is_status_ok(status: dict[str, Any] | None) -> bool:
    """The status that the last check of an instance left: false until a first check went well, as genuine."""
    return bool((status or {}).get("ok"))


# --- what its blueprint added: the plan, of which the deployments of one blueprint mostly have the same ---


PLAN = Beside(plans_of, key="local__plan_digest")
INSTANCES = Beside(instances_of, key="local", missing=Instances())


def from_plan(name: str) -> Field:
    """A part of the prepared plan; null until it is prepared."""
    return made(
        lambda plan: plan.content.get(name) if plan is not None else None,
        PLAN,
        text=lambda plan: plan.text(name) if plan is not None else "null",
    )


def capabilities_of(kept: dict[str, Any] | None, plan: Plan | None) -> Any:
    """As they stand in the plan; of environments and placements, which have none, the values that are kept."""
    if kept is None:
        return plan.content.get("capabilities") if plan is not None else None
    return {name: {"value": value} for name, value in kept.items()}


def capabilities_text(kept: dict[str, Any] | None, plan: Plan | None) -> str:
    """The same as JSON."""
    return plan.text("capabilities") if kept is None and plan is not None else text_of(capabilities_of(kept, plan))


def workflows_of(local: int | None, plan: Plan | None, found: Instances) -> Any:
    """The workflows, each with whether it may be started now; null until the environment is created."""
    if local is None:
        return []
    return plan.workflows(found.states)[0] if plan is not None and plan.content else None


def workflows_text(local: int | None, plan: Plan | None, found: Instances) -> str:
    """The same as JSON."""
    is_there = local is not None and plan is not None and plan.content
    return plan.workflows(found.states)[1] if is_there and plan else text_of(workflows_of(local, plan, found))


def of_local(name: str, default: Any = None) -> Field:
    """A column of what was deployed here; `default` for environments and placements."""
    return made(lambda local, found: default if local is None else found, "local", f"local__{name}")


DEPLOYMENT = Shape(
    "Deployment",
    {
        "created_at": time("created_at"),
        "id": column("wire_id"),
        "visibility": column("visibility"),
        "description": made(or_none, "description", column="description"),
        "inputs_p": always(None),
        "inputs": of_local("inputs", {}),
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
        "capabilities": made(capabilities_of, Beside(capabilities.read_many), PLAN, text=capabilities_text),
        "scaling_groups_p": always(None),
        "scaling_groups": from_plan("scaling_groups"),
        "updated_at": time("updated_at"),
        "workflows_p": always(None),
        "workflows": made(workflows_of, "local", PLAN, INSTANCES, text=workflows_text),
        "runtime_only_evaluation": of_local("runtime_only_evaluation", False),
        "installation_status": column("installation_status"),
        "deployment_status": column("deployment_status"),
        "sub_services_status": column("sub_services_status"),
        "sub_environments_status": column("sub_environments_status"),
        "sub_services_count": column("sub_services_count", read_int),
        "sub_environments_count": column("sub_environments_count", read_int),
        "display_name": column("display_name"),
        "resource_tags": from_plan("resource_tags"),
        "drifted_instances": made(lambda found: found.drifted, INSTANCES),
        "unavailable_instances": made(lambda found: found.unavailable, INSTANCES),
        "latest_execution": column("latest_execution"),
        "latest_execution_finished_operations": column("latest_execution_finished", read_int),
        "latest_execution_total_operations": column("latest_execution_total", read_int),
        "latest_execution_workflow_id": column("latest_execution_workflow"),
        "create_execution": of_local("create_execution"),
        "blueprint_id": column("blueprint_name"),
        "site_name": column("site__name"),
        "latest_execution_status": column("latest_execution_status"),
        "environment_type": made(None, Beside(types_of, missing="")),
        "has_sub_deployments": made(lambda *counts: any(counts), "sub_services_count", "sub_environments_count"),
        **owned(),
        "workdir_zip": always(None),
        "labels": made(json.loads, Beside(labels_of, missing="[]"), text=str),
        "deployment_groups": made(list, Beside(groups_of, missing=())),
    },
    also_filters=("deployment_group_id",),
    is_plain=True,
)
