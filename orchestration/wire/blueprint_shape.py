"""What a blueprint looks like on the wire."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch
from django.utils.dateparse import parse_datetime

from orchestration.executions import UPLOAD
from orchestration.models import Blueprint, Execution
from orchestration.wire.execution_shape import EXECUTION
from orchestration.wire.shapes import Field, Shape, always, column, owned, read_bool, time
from orchestration.wire.times import wire_time

UPLOADS = "uploads"


def uploads_prefetch() -> Prefetch[Any]:
    """The upload executions, in one query for all blueprints."""
    rows = Execution.objects.filter(workflow=UPLOAD).select_related("tenant", "created_by").order_by("created_at")
    return Prefetch("executions", queryset=rows, to_attr=UPLOADS)


def upload_execution(row: Blueprint) -> dict[str, Any] | None:
    """The execution that parsed it."""
    found = getattr(row, UPLOADS, None)
    if found is None:
        found = list(
            row.executions.filter(workflow=UPLOAD).select_related("tenant", "created_by").order_by("created_at")
        )
    return EXECUTION.render(found[-1]) if found else None


def requirements(row: Blueprint) -> Any:
    """What a deployment will need: secrets, capabilities of a parent; null until it is parsed."""
    return row.plan.get("requirements") if row.plan else None


def labels(row: Blueprint) -> list[dict[str, Any]]:
    """All labels."""
    return [{**label, "created_at": wire_time(parse_datetime(label["created_at"]))} for label in row.labels]


BLUEPRINT = Shape(
    "Blueprint",
    {
        "created_at": time("created_at"),
        "id": column("wire_id"),
        "visibility": column("visibility"),
        "main_file_name": column("main_file"),
        "plan_p": always(None),
        "plan": Field(lambda row: row.plan, loads=("plan",)),
        "requirements": Field(requirements, loads=("plan",)),
        "updated_at": time("updated_at"),
        "description": Field(lambda row: row.description or None, "description"),
        "is_hidden": column("is_hidden", read_bool),
        "state": column("state"),
        "error": Field(lambda row: row.error or None, "error"),
        "error_traceback": always(None),
        **owned(),
        "labels": Field(labels),
        "upload_execution": Field(upload_execution, prefetches=(uploads_prefetch,)),
    },
)
