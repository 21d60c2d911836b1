"""Executions on the wire."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from inventory.models import Deployment
from orchestration import deployments, executions, schedules
from orchestration.errors import not_found
from orchestration.models import Execution, LocalDeployment
from orchestration.wire.elsewhere import Kept
from orchestration.wire.execution_shape import EXECUTION, read_id
from orchestration.wire.listing import find, listed
from orchestration.wire.schedules import read_scheduled_time
from orchestration.wire.times import wire_time
from orchestration.wire.views import WireView


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
        if group := query.get("_group_id") or query.get("execution_group_id"):
            rows = rows.filter(group=read_id(group, "execution_group_id"))
        if not self.flag("_include_system_workflows"):
            rows = rows.filter(is_system=False)
        return listed(rows, query, EXECUTION)

    def post(self, request: Request) -> Response:
        deployment_id = self.required("deployment_id")
        workflow = self.required("workflow_id")
        parameters = self.optional("parameters", dict, {})
        row = find(self.visible(Deployment.objects.select_related("tenant")), "Deployment", deployment_id)
        self.in_own_tenant(row, "Deployment")
        if self.body().get("scheduled_time"):
            return self.scheduled(deployments.local_of(row), workflow, parameters)
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

    def scheduled(self, local: LocalDeployment, workflow: str, parameters: dict[str, Any]) -> Response:
        """A schedule for one time; the reply is, as by genuine managers, an execution without an id."""
        at = read_scheduled_time(self.body()["scheduled_time"])
        arguments = {name: self.boolean(name) for name in ("allow_custom_parameters", "force", "dry_run", "queue")}
        schedules.schedule_once(
            by=self.actor,
            local=local,
            at=at,
            changes=schedules.Changes(workflow=workflow, parameters=parameters, arguments=arguments),
        )
        state = Execution.State.SCHEDULED
        told = {
            "status": state,
            "status_display": state,
            "total_operations": 0,
            "finished_operations": 0,
            "allow_custom_parameters": arguments["allow_custom_parameters"],
            "private_resource": False,
            "workflow_id": workflow,
            "deployment_id": local.deployment.wire_id,
            "scheduled_for": wire_time(at),
        }
        return Response(dict.fromkeys(EXECUTION.fields) | told, status=201)


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
