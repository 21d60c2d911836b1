"""Nodes and node instances on the wire."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from orchestration.errors import illegal_action
from orchestration.models import BlueprintNode, NodeInstance
from orchestration.wire.deployment_shape import is_status_ok
from orchestration.wire.listing import find, listed
from orchestration.wire.plain import among
from orchestration.wire.shapes import Beside, Field, Shape, always, column, made, owned, read_bool, read_int
from orchestration.wire.views import WireView

HEAVY = ("local__plan", "local__inputs", "local__given_inputs", "local__blueprint__plan")
OF_DEPLOYMENT = owned("local__deployment__tenant__name", "local__deployment__visibility") | {
    "created_by": column("local__deployment__created_by__username")
}


def from_body(name: str, default: Any = None) -> Field:
    """A part of the node as the parser made it."""
    return made(lambda body: body.get(name, default), "body")


@dataclasses.dataclass
class Health:
    """How many instances a node or a deployment has, and how they are."""

    count: int = 0
    drifted: int = 0
    unavailable: int = 0


def health_of(keys: Sequence[int]) -> dict[int, Health]:
    """State and health of the instances of nodes."""
    found: dict[int, Health] = {}
    rows = NodeInstance.objects.filter(node__in=among(keys)).order_by()
    for node, has_drift, status in rows.values_list("node_id", "has_drift", "system_properties__status"):
        health = found.setdefault(node, Health())
        health.count += 1
        health.drifted += has_drift
        health.unavailable += not is_status_ok(status)
    return found


HEALTH = Beside(health_of, missing=Health())

NODE = Shape(
    "Node",
    {
        "id": column("name"),
        "visibility": column("local__deployment__visibility"),
        "host_id": from_body("host_id"),
        "plugins": from_body("plugins", []),
        "plugins_to_install": from_body("plugins_to_install"),
        "properties": from_body("properties", {}),
        "relationships": from_body("relationships", []),
        "operations": from_body("operations", {}),
        "type": column("type"),
        "type_hierarchy": from_body("type_hierarchy", []),
        "number_of_instances": from_body("number_of_instances", 1),
        "planned_number_of_instances": from_body("planned_number_of_instances", 1),
        "deploy_number_of_instances": from_body("deploy_number_of_instances", 1),
        "min_number_of_instances": from_body("min_number_of_instances", 1),
        "max_number_of_instances": from_body("max_number_of_instances", 1),
        "actual_number_of_instances": made(lambda health: health.count, HEALTH),
        "actual_planned_number_of_instances": from_body("planned_number_of_instances", 1),
        "drifted_instances": made(lambda health: health.drifted, HEALTH),
        "unavailable_instances": made(lambda health: health.unavailable, HEALTH),
        "deployment_id": column("local__deployment__wire_id"),
        "blueprint_id": column("local__blueprint__wire_id"),
        **OF_DEPLOYMENT,
    },
    search=("name",),
    order=("pk",),
    heavy=HEAVY,
    is_plain=True,
)

INSTANCE = Shape(
    "NodeInstance",
    {
        "id": column("wire_id"),
        "visibility": column("local__deployment__visibility"),
        "host_id": column("host_id"),
        "index": column("index", read_int),
        "relationships_p": always(None),
        "relationships": made(None, "relationships"),
        "runtime_properties_p": always(None),
        "runtime_properties": made(None, "runtime_properties"),
        "system_properties": made(None, "system_properties"),
        "scaling_groups_p": always(None),
        "scaling_groups": made(None, "scaling_groups"),
        "state": column("state"),
        "version": column("version", read_int),
        "has_configuration_drift": column("has_drift", read_bool),
        "is_status_check_ok": made(lambda properties: is_status_ok(properties.get("status")), "system_properties"),
        "node_id": column("node__name"),
        "deployment_id": column("local__deployment__wire_id"),
        **OF_DEPLOYMENT,
    },
    order=("pk",),
    heavy=(*HEAVY, "node__body"),
    is_plain=True,
)


class Nodes(WireView):
    """GET /nodes?deployment_id=..; functions in properties are shown as they are written."""

    needs = {"GET": "deployment.view"}
    resource = "node"

    def get(self, request: Request) -> Response:
        query = request.query_params.copy()
        rows = self.visible(BlueprintNode.objects.all(), "local__deployment__")
        for name in query.pop("node_id", []):  # the client's own name for it
            query.appendlist("id", name)
        return listed(rows, query, NODE)


class NodeInstances(WireView):
    """GET /node-instances, also by node."""

    needs = {"GET": "deployment.view"}
    resource = "node_instance"

    def rows(self) -> QuerySet[NodeInstance]:
        """What the caller may see."""
        return self.visible(NodeInstance.objects.all(), "local__deployment__")

    def get(self, request: Request) -> Response:
        query = request.query_params.copy()
        for name in query.pop("node_name", []):
            query.appendlist("node_id", name)
        return listed(self.rows(), query, INSTANCE)


class NodeInstanceDetail(NodeInstances):
    """GET /node-instances/ID. Writing them is left to running workflows."""

    needs = {"GET": "deployment.view", "PATCH": "execution.start"}

    def get(self, request: Request, wire_id: str = "") -> Response:
        include = INSTANCE.included(request.query_params.get("_include"))
        return Response(INSTANCE.render(find(INSTANCE.load(self.rows(), include), "NodeInstance", wire_id), include))

    def patch(self, request: Request, wire_id: str) -> Response:
        find(self.rows(), "NodeInstance", wire_id)
        raise illegal_action(
            "Node instances are written by workflows alone: change runtime properties in an operation (ctx.instance.runtime_properties)."
        )
