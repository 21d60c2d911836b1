"""Execution groups on the wire."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import Prefetch, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from inventory.models import Deployment
from orchestration import execution_groups, updates
from orchestration.errors import bad_parameters, not_found
from orchestration.group_models import DEFAULT_CONCURRENCY, DeploymentGroup, ExecutionGroup
from orchestration.models import Execution
from orchestration.wire.execution_shape import read_id
from orchestration.wire.listing import find, listed
from orchestration.wire.shapes import Field, Shape, column, owned, read_int, time
from orchestration.wire.updates import read_flag, read_wanted
from orchestration.wire.views import WireView

MOST_AT_ONCE = 1000


def members_prefetch() -> Prefetch[Any]:
    """Of the executions no more than id and state."""
    return Prefetch("executions", queryset=Execution.objects.only("pk", "state", "group_id").order_by("created_at"))


WITH_EXECUTIONS: dict[str, Any] = {"prefetches": (members_prefetch,)}
FIELDS: dict[str, Field] = {
    "created_at": time("created_at"),
    "id": Field(lambda row: str(row.pk), "pk", read_id),
    "visibility": column("visibility"),
    "workflow_id": column("workflow"),
    "concurrency": column("concurrency", read_int),
    "deployment_group_id": column("deployment_group__wire_id"),
    **owned(),
}
DATA: dict[str, Field] = {
    "execution_ids": Field(lambda row: [str(one.pk) for one in row.executions.all()], **WITH_EXECUTIONS),
    "status": Field(
        lambda row: execution_groups.status_of([one.state for one in row.executions.all()]), **WITH_EXECUTIONS
    ),
}
GROUP = Shape("ExecutionGroup", FIELDS | DATA, search=("workflow",))
LISTED = Shape("ExecutionGroup", FIELDS, search=("workflow",))  # in lists states are told on request only


class ExecutionGroupView(WireView):
    """What all addresses of execution groups share."""

    resource = "execution_group"

    def rows(self) -> QuerySet[ExecutionGroup]:
        """What the caller may see."""
        return self.visible(ExecutionGroup.objects.all())

    def found(self, wire_id: str) -> ExecutionGroup:
        """The group, to be changed."""
        related = ("tenant", "run", "deployment_group", "success_group__tenant", "failure_group__tenant", "created_by")
        row = self.rows().select_related(*related).filter(pk=read_id(wire_id, "id")).first()
        if row is None:
            raise not_found("ExecutionGroup", wire_id)
        return self.in_own_tenant(row, "ExecutionGroup")  # type: ignore[no-any-return]

    def shown(self, pk: uuid.UUID) -> Response:
        """One group as it is now."""
        row = GROUP.load(ExecutionGroup.objects.filter(pk=pk), list(GROUP.fields)).get()
        return Response(GROUP.render(row))

    def group_named(self, wire_id: str) -> DeploymentGroup:
        """A deployment group of the caller's tenant; 404 in the words of v3.1."""
        row = find(self.visible(DeploymentGroup.objects.select_related("tenant")), "DeploymentGroup", wire_id)
        return self.in_own_tenant(row, "DeploymentGroup")  # type: ignore[no-any-return]

    def read_concurrency(self, default: int) -> int:
        """`concurrency` of the body."""
        value: int = self.optional("concurrency", int, default)
        if not 0 <= value <= MOST_AT_ONCE:
            raise bad_parameters(
                f"concurrency is {value}: enter how many executions may run at once, at most {MOST_AT_ONCE}; 0 is a pause."
            )
        return value


class ExecutionGroupList(ExecutionGroupView):
    """List and start."""

    needs = {"GET": "execution.view", "POST": "execution.start"}

    def get(self, request: Request) -> Response:
        query = request.query_params
        is_whole = self.flag("_get_data") or bool(set((query.get("_include") or "").split(",")) & set(DATA))
        return listed(self.rows(), query, GROUP if is_whole else LISTED)

    def post(self, request: Request) -> Response:
        body = self.body()
        group = self.group_named(self.required("deployment_group_id"))
        workflow = self.required("workflow_id")
        if body.get("associated_executions"):
            raise bad_parameters("associated_executions is for restoring snapshots, which this manager does not do.")
        parameters = self.optional("parameters", dict, {})
        for name, value in parameters.items():
            self.typed(value, f"parameters of {name}", dict)
        members = self.visible(Deployment.objects.filter(deployment_groups=group, tenant=self.tenant)).order_by("pk")
        unknown = sorted(set(parameters) - {row.wire_id for row in members})
        if unknown:
            raise bad_parameters(f"parameters name deployments that are not in the group: {', '.join(unknown[:3])}")
        if workflow == updates.GROUP_WORKFLOW:
            return self.update(group, list(members))
        row = execution_groups.start(
            by=self.actor,
            tenant=self.tenant,
            group=group,
            members=list(members),
            workflow=workflow,
            default_parameters=self.optional("default_parameters", dict, {}),
            parameters=parameters,
            concurrency=self.read_concurrency(DEFAULT_CONCURRENCY),
            force=self.boolean("force"),
            allow_custom=self.boolean("allow_custom_parameters"),
        )
        return self.shown(row.pk)

    def update(self, group: DeploymentGroup, members: list[Deployment]) -> Response:
        """`csys_update_deployment`: the default parameters say what the update is."""
        given = self.optional("default_parameters", dict, {})
        row = updates.update_group(
            by=self.actor,
            tenant=self.tenant,
            group=group,
            members=members,
            wanted=read_wanted(self, {name: value for name, value in given.items() if name != "preview"}),
            concurrency=self.read_concurrency(DEFAULT_CONCURRENCY),
            force=read_flag(given.get("force"), "force") or self.boolean("force"),
        )
        return self.shown(row.pk)


class ExecutionGroupDetail(ExecutionGroupView):
    """One group: read, cancelled or resumed, changed while it runs."""

    needs = {"GET": "execution.view", "POST": "execution.start", "PATCH": "execution.start"}

    def said(self, method: str | None) -> str:
        return "execution_group_cancel" if method == "POST" else super().said(method)

    def get(self, request: Request, wire_id: str) -> Response:
        include = GROUP.included(request.query_params.get("_include"))
        row = GROUP.load(self.rows(), include).filter(pk=read_id(wire_id, "id")).first()
        if row is None:
            raise not_found("ExecutionGroup", wire_id)
        return Response(GROUP.render(row, include))

    def post(self, request: Request, wire_id: str) -> Response:
        group = self.found(wire_id)
        execution_groups.act(by=self.actor, group=group, action=self.required("action"))
        return self.shown(group.pk)

    def patch(self, request: Request, wire_id: str) -> Response:
        group = self.found(wire_id)
        body = self.body()
        names = [
            self.optional("success_group_id"),
            self.optional("failure_group_id") or self.optional("failed_group_id"),
        ]
        if body.get("concurrency") is None and not any(names):
            raise bad_parameters("Missing concurrency, success_group_id or failure_group_id in json request body")
        if body.get("concurrency") is not None:
            execution_groups.set_concurrency(
                by=self.actor, group=group, concurrency=self.read_concurrency(group.concurrency)
            )
        if any(names):
            success, failure = (self.group_named(name) if name else None for name in names)
            execution_groups.set_targets(by=self.actor, group=group, success=success, failure=failure)
        return self.shown(group.pk)
