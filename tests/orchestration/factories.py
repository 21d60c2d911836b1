"""Rows of the management service for tests, made without engine and runner."""

from __future__ import annotations

import itertools
from typing import Any

from django.utils import timezone

from accounts.models import Tenant, User
from inventory.models import Deployment, Label
from orchestration.models import Blueprint, BlueprintNode, Execution, ExecutionEvent, LocalDeployment, NodeInstance

_numbers = itertools.count(1)
PLAN: dict[str, Any] = {
    "inputs": {"size": {"type": "integer", "default": 3}},
    "workflows": {
        "install": {
            "operation": "cloudify.plugins.workflows.install",
            "plugin": "default_workflows",
            "parameters": {"node_ids": {"default": []}},
        },
        "uninstall": {
            "operation": "cloudify.plugins.workflows.uninstall",
            "plugin": "default_workflows",
            "parameters": {},
        },
        "greet": {
            "operation": "x.greet",
            "plugin": "x",
            "parameters": {"name": {"type": "string"}, "times": {"type": "integer", "default": 1}},
        },
    },
    "capabilities": {"size": {"value": 3}},
    "outputs": {},
}


def blueprint(tenant: Tenant, wire_id: str = "", **more: Any) -> Blueprint:
    """An uploaded one."""
    values = {"state": Blueprint.State.UPLOADED, "plan": PLAN} | more
    return Blueprint.objects.create(tenant=tenant, wire_id=wire_id or f"blueprint{next(_numbers)}", **values)


def local(
    tenant: Tenant,
    wire_id: str = "",
    *,
    instances: tuple[str, ...] = (),
    labels: tuple[tuple[str, str], ...] = (),
    by: User | None = None,
    **more: Any,
) -> LocalDeployment:
    """A deployment that was created, with one node and an instance in each of the states."""
    made = more.pop("blueprint", None) or blueprint(tenant, created_by=by)
    wire_id = wire_id or f"deployment{next(_numbers)}"
    row = Deployment.objects.create(
        tenant=tenant,
        wire_id=wire_id,
        display_name=wire_id,
        kind=Deployment.Kind.LOCAL,
        blueprint_name=made.wire_id,
        created_by=by,
        **more,
    )
    Label.objects.bulk_create(Label(deployment=row, key=key, value=value, created_by=by) for key, value in labels)
    found = LocalDeployment.objects.create(deployment=row, blueprint=made, inputs={"size": 3}, plan=PLAN)
    node = BlueprintNode.objects.create(
        local=found, name="app", type="cloudify.nodes.Root", body={"properties": {"a": 1}}
    )
    for state in instances:
        NodeInstance.objects.create(local=found, node=node, wire_id=f"app_{next(_numbers):06d}", state=state)
    return found


def execution(
    of: LocalDeployment, workflow: str = "install", state: str = Execution.State.TERMINATED, **more: Any
) -> Execution:
    values = {
        "local": of,
        "tenant": of.deployment.tenant,
        "blueprint": of.blueprint,
        "visibility": of.deployment.visibility,
    } | more
    return Execution.objects.create(workflow=workflow, state=state, **values)


def event(of: Execution, message: str = "something", **more: Any) -> ExecutionEvent:
    return ExecutionEvent.objects.create(
        execution=of, message=message, **{"kind": "cloudify_event", "timestamp": timezone.now()} | more
    )
