"""Events and logs of executions on the wire."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet
from django.http import QueryDict
from rest_framework.request import Request
from rest_framework.response import Response

from orchestration.errors import Refused, bad_parameters
from orchestration.models import ExecutionEvent
from orchestration.wire.elsewhere import Kept
from orchestration.wire.execution_shape import read_id
from orchestration.wire.listing import envelope, read_page
from orchestration.wire.times import read_time, wire_time

DEFAULT_SIZE = 10_000
WILDCARDS = 8
EVENT, LOG = ExecutionEvent.Kind.EVENT, ExecutionEvent.Kind.LOG
# name in the query -> column and lookup
EQUAL = {
    "blueprint_id": "execution__blueprint__wire_id__in",
    "deployment_id": "execution__local__deployment__wire_id__in",
    "event_type": "event_type__in",
    "execution_id": "execution__in",
    "level": "level__in",
    "node_id": "node_name__in",
    "node_instance_id": "node_instance_id__in",
}
PATTERNS = {"message": "message", "operation": "operation"}
FILTERS = sorted([*EQUAL, *PATTERNS, "execution_group_id"])
SORTS = {
    "timestamp": "timestamp",
    "reported_timestamp": "reported_at",
    "_storage_id": "id",
    "execution_id": "execution",
    "event_type": "event_type",
    "level": "level",
    "message": "message",
    "type": "kind",
    "node_name": "node_name",
    "node_instance_id": "node_instance_id",
    "deployment_id": "execution__local__deployment__wire_id",
    "workflow_id": "execution__workflow",
}
COMMON = (
    "_storage_id timestamp reported_timestamp blueprint_id deployment_id deployment_display_name execution_id execution_group_id "
    "workflow_id message error_causes event_type operation source_id target_id manager_name agent_name node_instance_id node_name type "
    "level logger"
).split()


class Events(Kept):
    """GET /events."""

    needs = {"GET": "execution.view", "DELETE": "execution.start"}
    subject = "events"
    resource = "event"

    def get(self, request: Request) -> Response:
        query = request.query_params
        include = read_include(query)
        page = read_page(query, DEFAULT_SIZE)
        rows = ranged(filtered(self.rows("execution_group_id" in query), query), query)
        total = rows.count()
        ordered = rows.order_by(*orders(query)).select_related("execution__local__deployment", "execution__blueprint")
        heavy = (
            "execution__blueprint__plan",
            "execution__local__plan",
            "execution__local__inputs",
            "execution__parameters",
        )
        items = [render(row, include) for row in page.cut(ordered.defer(*heavy))]
        return envelope(items, total, page, has_filtered=False)

    def rows(self, are_of_groups: bool) -> QuerySet[ExecutionEvent]:
        """What the caller may see: of executions, or of groups, whose events are their own."""
        if are_of_groups:
            return self.visible(ExecutionEvent.objects.all(), "group__")
        return self.visible(
            ExecutionEvent.objects.all(), "execution__", owner="execution__local__deployment__created_by"
        )


def read_include(query: QueryDict) -> list[str] | None:
    """The names of `_include`; None for all."""
    text = query.get("_include")
    if not text:
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in COMMON]
    if unknown:
        raise Refused(
            400, "no_such_include_field_error", f"Include keys '{unknown}' do not exist. Allowed keys are: {COMMON}"
        )
    return names


def filtered(rows: QuerySet[ExecutionEvent], query: QueryDict) -> QuerySet[ExecutionEvent]:
    """Rows that the query asks for; `level` leaves events out and `event_type` logs."""
    for name in query:
        if name.startswith("_") or name == "type":
            continue
        if name not in FILTERS:
            raise bad_parameters(f"Unknown field to filter by: {name}. Allowed values: {', '.join(FILTERS)}")
        values: list[Any] = query.getlist(name)
        if name == "execution_group_id":
            rows = rows.filter(group__in=[read_id(value, name) for value in values])
        elif name in PATTERNS:
            wanted = Q()
            for value in values:
                wanted |= Q(**{f"{PATTERNS[name]}__iregex": like(value)})
            rows = rows.filter(wanted)
        else:
            rows = rows.filter(
                **{EQUAL[name]: [read_id(value, name) for value in values] if name == "execution_id" else values}
            )
    kinds = query.getlist("type")
    unknown = [kind for kind in kinds if kind not in ExecutionEvent.Kind.values]
    if unknown:
        raise bad_parameters(
            f"Unknown type of events: {', '.join(unknown)}. Allowed values: {', '.join(ExecutionEvent.Kind.values)}"
        )
    return rows.filter(kind__in=kinds) if kinds else rows


def like(pattern: str) -> str:
    """An SQL pattern (`%` and `_`) as a regular expression that both databases read."""
    if pattern.count("%") > WILDCARDS:
        raise bad_parameters(f"At most {WILDCARDS} wildcards (%) may be in a pattern")
    parts = {"%": ".*", "_": "."}
    return "(?s)^" + "".join(parts.get(character) or re.escape(character) for character in pattern) + "$"


def ranged(rows: QuerySet[ExecutionEvent], query: QueryDict) -> QuerySet[ExecutionEvent]:
    """`_range=reported_timestamp,FROM,TO`, either end may be empty."""
    for text in query.getlist("_range"):
        parts = text.split(",")
        if len(parts) != 3 or parts[0] not in ("timestamp", "reported_timestamp"):
            raise bad_parameters(
                f"Range parameter `{text}` must be: timestamp or reported_timestamp, from, to; either end may be empty"
            )
        column = SORTS[parts[0]]
        if parts[1]:
            rows = rows.filter(**{f"{column}__gte": read_time(parts[1], "_range")})
        if parts[2]:
            rows = rows.filter(**{f"{column}__lte": read_time(parts[2], "_range")})
    return rows


def orders(query: QueryDict) -> list[str]:
    """Columns to sort by; equal times stay in the order in which they were stored."""
    wanted = [key for part in query.getlist("_sort") for key in part.split(",") if key] or ["timestamp"]
    unknown = [key for key in wanted if key.lstrip("+- ") not in SORTS]
    if unknown:
        raise bad_parameters(
            f"Unknown field to sort by: {', '.join(unknown)}. Allowed values: {', '.join(sorted(SORTS))}"
        )
    columns = [f"{'-' if key.startswith('-') else ''}{SORTS[key.lstrip('+- ')]}" for key in wanted]
    return [*columns, "-id" if columns[-1].startswith("-") else "id"]


def render(row: ExecutionEvent, include: list[str] | None) -> dict[str, Any]:
    """One event or log."""
    execution = row.execution
    deployment = execution.local.deployment if execution is not None and execution.local is not None else None
    blueprint = execution.blueprint if execution is not None else None
    group = row.group_id or (execution.group_id if execution is not None else None)
    item: dict[str, Any] = {
        "_storage_id": row.pk,
        "timestamp": wire_time(row.timestamp),
        "reported_timestamp": wire_time(row.reported_at),
        "blueprint_id": blueprint.wire_id if blueprint is not None else None,
        "deployment_id": deployment.wire_id if deployment is not None else None,
        "deployment_display_name": deployment.display_name if deployment is not None else None,
        "execution_id": str(execution.pk) if execution is not None else None,
        "execution_group_id": str(group) if group is not None else None,
        "workflow_id": execution.workflow if execution is not None else None,
        "message": row.message,
        "error_causes": row.error_causes,
        "event_type": row.event_type or None,
        "operation": row.operation or None,
        "source_id": row.source_id or None,
        "target_id": row.target_id or None,
        "manager_name": settings.NODE_NAME if execution is not None else None,
        "agent_name": None,
        "node_instance_id": row.node_instance_id or None,
        "node_name": row.node_name or None,
        "type": row.kind,
    }
    if row.kind == LOG:
        del item["event_type"]
        item.update(level=row.level or None, logger=row.logger or None)
    return item if include is None else {name: item[name] for name in item if name in include}
