"""Workflows of deployments, and counts, on the wire."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from inventory import filters
from inventory.models import Deployment
from orchestration.errors import bad_parameters
from orchestration.models import Blueprint, BlueprintNode, Execution, ExecutionSchedule, NodeInstance
from orchestration.wire.blueprint_shape import BLUEPRINT
from orchestration.wire.deployment_shape import DEPLOYMENT
from orchestration.wire.deployments import DeploymentView
from orchestration.wire.execution_shape import EXECUTION, read_id
from orchestration.wire.listing import Page, envelope, equal, read_page, search
from orchestration.wire.nodes import INSTANCE, NODE
from orchestration.wire.plain import PlainRows
from orchestration.wire.schedules import SCHEDULE
from orchestration.wire.shapes import Shape
from orchestration.wire.views import WireView

SUMMARIES: dict[str, tuple[Shape, Any, str, tuple[str, ...], dict[str, Any]]] = {
    "deployments": (
        DEPLOYMENT,
        Deployment,
        "",
        ("blueprint_id", "tenant_name", "visibility", "site_name", "deployment_status", "installation_status"),
        {},
    ),
    "blueprints": (BLUEPRINT, Blueprint, "", ("tenant_name", "visibility", "state"), {"is_hidden": False}),
    "executions": (
        EXECUTION,
        Execution,
        "",
        ("status", "status_display", "workflow_id", "deployment_id", "blueprint_id", "tenant_name", "visibility"),
        {"is_system": False},
    ),
    "execution_schedules": (
        SCHEDULE,
        ExecutionSchedule,
        "local__deployment__",
        ("deployment_id", "workflow_id", "recurrence", "tenant_name", "visibility"),
        {},
    ),
    "nodes": (NODE, BlueprintNode, "local__deployment__", ("deployment_id", "tenant_name", "visibility"), {}),
    "node_instances": (
        INSTANCE,
        NodeInstance,
        "local__deployment__",
        ("deployment_id", "node_id", "state", "host_id", "tenant_name", "visibility"),
        {},
    ),
}

# Fields that counts are made by, and lists do not have.
OTHER_COLUMNS = {"status_display": "state", "recurrence": "rule__recurrence"}


class Workflows(DeploymentView):
    """GET /workflows?id=..: the workflows of the matching deployments, each name once."""

    needs = {"GET": "deployment.view", "POST": "deployment.view"}
    resource = "deployment"

    def said(self, method: str | None) -> str:
        return "deployment_list"

    def get(self, request: Request) -> Response:
        return self.of(self.chosen([]), is_common=self.flag("_common_only"))

    def post(self, request: Request) -> Response:
        rules = filters.parse(self.body().get("filter_rules") or [])
        return self.of(self.chosen(rules), is_common=self.flag("_common_only"))

    def chosen(self, rules: list[filters.Rule]) -> QuerySet[Deployment]:
        """The deployments that the query and the rules name."""
        query = self.request.query_params
        if name := query.get("_filter_id"):
            rules = [*rules, *self.saved_rules(name)]
        rows = self.rows().matching(rules) if rules else self.rows()  # type: ignore[attr-defined]
        return search(equal(rows, query, DEPLOYMENT), query, DEPLOYMENT)

    def of(self, rows: QuerySet[Deployment], *, is_common: bool) -> Response:
        """Their workflows; `_common_only`: those that all of them have."""
        found: dict[str, dict[str, Any]] = {}
        common: set[str] | None = None
        keys = list(rows.order_by("pk").values_list("pk", flat=True))
        for row in PlainRows(DEPLOYMENT, ["workflows"]).rendered(rows, keys):
            listed = row["workflows"] or []
            names = {workflow["name"] for workflow in listed}
            common = names if common is None else common & names
            for workflow in listed:
                known = found.setdefault(workflow["name"], dict(workflow))
                known["is_available"] = known["is_available"] or workflow["is_available"]
        items = [workflow for name, workflow in found.items() if not is_common or name in (common or set())]
        return envelope(items, len(items), Page(size=len(items), offset=0), has_filtered=False)


class Summary(WireView):
    """GET /summary/deployments?_target_field=..&_sub_field=..: counts in one query."""

    needs = {"GET": "deployment.view"}
    resource = "summary"

    def get(self, request: Request, kind: str) -> Response:
        if kind not in SUMMARIES:
            raise bad_parameters(f"There is no summary of {kind}; choose one of: {', '.join(SUMMARIES)}")
        shape, model, prefix, allowed, fixed = SUMMARIES[kind]
        query = request.query_params
        target, sub = self.field(query.get("_target_field"), "_target_field", allowed), query.get("_sub_field")
        names = [target] if not sub else [target, self.field(sub, "_sub_field", allowed)]
        columns = [OTHER_COLUMNS.get(name) or shape.fields[name].column for name in names]
        rows = equal(self.visible(model.objects.filter(**fixed), prefix), query, shape)
        if kind == "executions" and (group := query.get("execution_group_id")):
            rows = rows.filter(group=read_id(group, "execution_group_id"))
        counted = rows.order_by().values_list(*columns).annotate(count=Count("pk")).order_by(*columns)
        items: list[dict[str, Any]] = []
        total = 0
        for *values, count in counted:
            total += 1
            if not items or items[-1][target] != values[0]:
                items.append({target: values[0], kind: 0, **({f"by {sub}": []} if sub else {})})
            items[-1][kind] += count
            if sub:
                items[-1][f"by {sub}"].append({sub: values[1], kind: count})
        page = read_page(query)
        return envelope(list(page.cut(items)), total, page, has_filtered=False)

    @staticmethod
    def field(name: str | None, parameter: str, allowed: tuple[str, ...]) -> str:
        """A field that counts can be made by; 400 otherwise."""
        if name not in allowed:
            raise bad_parameters(f"{parameter} must be one of: {', '.join(allowed)}")
        return name
