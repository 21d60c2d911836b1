"""Stored graphs of executions and their operations on the wire, to be read: workflows alone write them."""

from __future__ import annotations

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from orchestration.models import Execution, StoredOperation, TaskGraph
from orchestration.wire.execution_shape import read_id
from orchestration.wire.listing import listed, one
from orchestration.wire.shapes import Field, Shape, always, column, time
from orchestration.wire.views import WireView

GRAPH = Shape(
    "TasksGraph",
    {
        "id": Field(lambda row: str(row.pk), "pk", read_id),
        "execution_id": Field(lambda row: str(row.execution_id), "execution", read_id),
        "name": column("name"),
        "created_at": time("created_at"),
    },
    search=("name",),
)
OPERATION = Shape(
    "Operation",
    {
        "id": Field(lambda row: str(row.pk), "pk", read_id),
        "name": column("name"),
        "state": column("state"),
        "created_at": Field(lambda row: GRAPH.fields["created_at"].read(row.graph), joins=("graph",)),
        "dependencies": Field(lambda row: row.dependencies),
        "type": column("type"),
        "parameters": Field(lambda row: row.parameters),
        "tasks_graph_id": Field(lambda row: str(row.graph_id), "graph", read_id),
        "agent_name": always(None),
        "manager_name": always(None),
    },
    search=("name",),
    order=("graph", "position"),
    also_filters=("graph_id", "execution_id", "skip_internal"),
)


class GraphView(WireView):
    """What both lists share."""

    needs = {"GET": "execution.view"}
    resource = "operations"

    def executions(self) -> QuerySet[Execution]:
        """Those that the caller may see."""
        return self.visible(Execution.objects.all(), owner="local__deployment__created_by")

    def operations(self) -> QuerySet[StoredOperation]:
        """The tasks of those."""
        return StoredOperation.objects.filter(graph__execution__in=self.executions())


class TaskGraphs(GraphView):
    """GET /tasks_graphs?execution_id=.."""

    def get(self, request: Request) -> Response:
        return listed(TaskGraph.objects.filter(execution__in=self.executions()), request.query_params, GRAPH)


class Operations(GraphView):
    """GET /operations?graph_id=.. or ?execution_id=..; `skip_internal` leaves out what is no task of the blueprint."""

    def get(self, request: Request) -> Response:
        query, rows = request.query_params, self.operations()
        if wanted := query.get("graph_id"):
            rows = rows.filter(graph=read_id(wanted, "graph_id"))
        if wanted := query.get("execution_id"):
            rows = rows.filter(graph__execution=read_id(wanted, "execution_id"))
        if self.flag("skip_internal"):
            rows = rows.filter(type__in=("RemoteWorkflowTask", "SubgraphTask"))
        return listed(rows, query, OPERATION)


class OperationDetail(GraphView):
    """GET /operations/ID."""

    def get(self, request: Request, wire_id: str) -> Response:
        return one(self.operations(), request.query_params, OPERATION, str(read_id(wire_id, "id")), name="pk")
