"""Executions on the wire."""

from __future__ import annotations

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from inventory.models import Deployment
from orchestration import deployments, executions
from orchestration.errors import bad_parameters, not_found
from orchestration.models import Execution
from orchestration.wire.elsewhere import Kept
from orchestration.wire.execution_shape import EXECUTION, read_id
from orchestration.wire.listing import find, listed
from orchestration.wire.views import WireView

NO_SCHEDULES = "Executions at a later time (scheduled_time) are not served by this manager yet: start the execution when it is to run."


class ExecutionView(WireView):
    """What all addresses of executions share."""

    resource = "execution"

    def rows(self) -> QuerySet[Execution]:
        """What the caller may see: an execution is as visible as what it belongs to."""
        return self.visible(Execution.objects.all(), owner="local__deployment__created_by")

    def found(self, wire_id: str) -> Execution:
        """One execution; 404 in the words of v3.1 for any text that is none."""
        rows = EXECUTION.load(self.rows(), list(EXECUTION.fields)).select_related("run", "local__blueprint")
        row: Execution | None = rows.filter(pk=read_id(wire_id, "id")).first()
        if row is None:
            raise not_found("Execution", wire_id)
        return row


class ExecutionList(ExecutionView, Kept):
    """List and start."""

    needs = {"GET": "execution.view", "POST": "execution.start", "DELETE": "execution.start"}
    subject = "executions"

    def said(self, method: str | None) -> str:
        return "execution_start" if method == "POST" else "execution_list"

    def get(self, request: Request) -> Response:
        query = request.query_params
        rows = self.rows()
        if query.get("_group_id") or query.get("execution_group_id"):
            rows = rows.none()  # there are no execution groups yet
        if not self.flag("_include_system_workflows"):
            rows = rows.filter(is_system=False)
        return listed(rows, query, EXECUTION)

    def post(self, request: Request) -> Response:
        deployment_id = self.required("deployment_id")
        workflow = self.required("workflow_id")
        if self.body().get("scheduled_time"):
            raise bad_parameters(NO_SCHEDULES)
        parameters = self.optional("parameters", dict, {})
        row = find(self.visible(Deployment.objects.select_related("tenant")), "Deployment", deployment_id)
        self.in_own_tenant(row, "Deployment")
        execution = executions.start(
            by=self.actor,
            local=deployments.local_of(row),
            workflow=workflow,
            parameters=parameters,
            allow_custom=self.boolean("allow_custom_parameters"),
            force=self.boolean("force"),
            dry_run=self.boolean("dry_run"),
            queue=self.boolean("queue"),
            wait_after_fail=self.optional("wait_after_fail", int, 600),
        )
        return Response(EXECUTION.render(execution), status=201)


class ExecutionDetail(ExecutionView):
    """One execution: read, cancel, kill, resume."""

    needs = {"GET": "execution.view", "POST": "execution.start"}

    def said(self, method: str | None) -> str:
        return "execution_cancel" if method == "POST" else "execution_get"

    def get(self, request: Request, wire_id: str) -> Response:
        include = EXECUTION.included(request.query_params.get("_include"))
        rows = EXECUTION.load(self.rows(), include).filter(pk=read_id(wire_id, "id"))
        row = rows.first()
        if row is None:
            raise not_found("Execution", wire_id)
        return Response(EXECUTION.render(row, include))

    def post(self, request: Request, wire_id: str) -> Response:
        row = self.found(wire_id)
        action = self.required("action")
        self.in_own_tenant(row, "Execution")
        executions.act(by=self.actor, execution=row, action=action)
        return Response(EXECUTION.render(self.found(wire_id)))
