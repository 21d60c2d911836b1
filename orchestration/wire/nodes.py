"""Nodes and node instances on the wire."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from orchestration.errors import illegal_action
from orchestration.models import BlueprintNode, NodeInstance
from orchestration.wire.deployment_shape import is_status_check_ok
from orchestration.wire.listing import find, listed
from orchestration.wire.shapes import Field, Shape, always, column, owned, read_bool, read_int
from orchestration.wire.views import WireView

DEPLOYMENT = ("local__deployment",)
HEAVY = ("local__plan", "local__inputs", "local__given_inputs", "local__blueprint__plan")
OF_DEPLOYMENT = owned("local__deployment__tenant__name", "local__deployment__visibility") | {
    "created_by": column("local__deployment__created_by__username")
}


def from_body(name: str, default: Any = None) -> Field:
    """A part of the node as the parser made it."""
    return Field(lambda row: row.body.get(name, default))


def instances_prefetch() -> Prefetch[Any]:
    """State and health of the instances of nodes."""
    return Prefetch(
        "instances", queryset=NodeInstance.objects.only("pk", "node_id", "state", "system_properties", "has_drift")
    )


INSTANCES: dict[str, Any] = {"prefetches": (instances_prefetch,)}

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
        "actual_number_of_instances": Field(lambda row: len(row.instances.all()), **INSTANCES),
        "actual_planned_number_of_instances": from_body("planned_number_of_instances", 1),
        "drifted_instances": Field(lambda row: sum(one.has_drift for one in row.instances.all()), **INSTANCES),
        "unavailable_instances": Field(
            lambda row: sum(not is_status_check_ok(one) for one in row.instances.all()), **INSTANCES
        ),
        "deployment_id": column("local__deployment__wire_id"),
        "blueprint_id": column("local__blueprint__wire_id"),
        **OF_DEPLOYMENT,
    },
    search=("name",),
    order=("pk",),
    heavy=HEAVY,
)

INSTANCE = Shape(
    "NodeInstance",
    {
        "id": column("wire_id"),
        "visibility": column("local__deployment__visibility"),
        "host_id": column("host_id"),
        "index": column("index", read_int),
        "relationships_p": always(None),
        "relationships": Field(lambda row: row.relationships),
        "runtime_properties_p": always(None),
        "runtime_properties": Field(lambda row: row.runtime_properties),
        "system_properties": Field(lambda row: row.system_properties),
        "scaling_groups_p": always(None),
        "scaling_groups": Field(lambda row: row.scaling_groups),
        "state": column("state"),
        "version": column("version", read_int),
        "has_configuration_drift": column("has_drift", read_bool),
        "is_status_check_ok": Field(is_status_check_ok),
        "node_id": column("node__name"),
        "deployment_id": column("local__deployment__wire_id"),
        **OF_DEPLOYMENT,
    },
    order=("pk",),
    heavy=(*HEAVY, "node__body"),
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
