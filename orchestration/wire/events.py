"""Events and logs of executions on the wire."""

from __future__ import annotations

import re
from collections.abc import Sequence
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
from orchestration.wire.listing import keys_of, metadata_of, read_page
from orchestration.wire.plain import PlainRows
from orchestration.wire.shapes import Field, Shape, always, column, made, or_none, time
from orchestration.wire.times import read_time

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


def text_of_id(*ids: Any) -> str | None:
    """The first id that there is."""
    return next((str(one) for one in ids if one is not None), None)


def filled(name: str) -> Field:
    """A text column of which an empty one is none."""
    return made(or_none, name)


EVENTS = Shape(
    "Event",
    {
        "_storage_id": column("pk"),
        "timestamp": time("timestamp"),
        "reported_timestamp": time("reported_at"),
        "blueprint_id": column("execution__blueprint__wire_id"),
        "deployment_id": column("execution__local__deployment__wire_id"),
        "deployment_display_name": column("execution__local__deployment__display_name"),
        "execution_id": made(text_of_id, "execution_id"),
        "execution_group_id": made(text_of_id, "group_id", "execution__group_id"),
        "workflow_id": column("execution__workflow"),
        "message": column("message"),
        "error_causes": column("error_causes"),
        "event_type": filled("event_type"),
        "operation": filled("operation"),
        "source_id": filled("source_id"),
        "target_id": filled("target_id"),
        "manager_name": made(lambda execution: settings.NODE_NAME if execution is not None else None, "execution_id"),
        "agent_name": always(None),
        "node_instance_id": filled("node_instance_id"),
        "node_name": filled("node_name"),
        "type": column("kind"),
        "level": filled("level"),
        "logger": filled("logger"),
    },
    is_plain=True,
)
NOT_OF = {EVENT: ("level", "logger"), LOG: ("event_type",)}  # fields that one kind does not have


class EventRows(PlainRows):
    """Events and logs, each with the fields of its kind."""

    def __init__(self, include: Sequence[str]) -> None:
        super().__init__(EVENTS, include, also=("kind",))
        self.by_kind = {
            kind: list(self.compiled({name: field for name, field in self.fields.items() if name not in others}))
            for kind, others in NOT_OF.items()
        }

    def text(self, values: Sequence[Any]) -> str:
        writers = self.by_kind[values[self.names.index("kind")]]
        return "".join([before + write(take(values)) for before, take, write in writers])


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
        total, keys = keys_of(rows.order_by(*orders(query)), page)
        return Response(EventRows(include).whole(rows, keys, metadata_of(total, page, has_filtered=False)))

    def rows(self, are_of_groups: bool) -> QuerySet[ExecutionEvent]:
        """What the caller may see: of executions, or of groups, whose events are their own."""
        if are_of_groups:
            return self.visible(ExecutionEvent.objects.all(), "group__")
        return self.visible(
            ExecutionEvent.objects.all(), "execution__", owner="execution__local__deployment__created_by"
        )


def read_include(query: QueryDict) -> list[str]:
    """The names of `_include`; all where there are none."""
    wanted = [name.strip() for name in query.get("_include", "").split(",") if name.strip()]
    if unknown := [name for name in wanted if name not in EVENTS.fields]:
        raise Refused(
            400,
            "no_such_include_field_error",
            f"Include keys '{unknown}' do not exist. Allowed keys are: {list(EVENTS.fields)}",
        )
    return [name for name in EVENTS.fields if not wanted or name in wanted]


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
