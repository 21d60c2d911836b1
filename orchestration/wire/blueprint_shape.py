"""What a blueprint looks like on the wire."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.db.models import TextField
from django.db.models.fields.json import KeyTransform
from django.db.models.functions import Cast
from django.utils.dateparse import parse_datetime

from orchestration.executions import UPLOAD
from orchestration.models import Execution
from orchestration.wire.execution_shape import EXECUTION
from orchestration.wire.plain import PlainRows, among
from orchestration.wire.shapes import Beside, Computed, Shape, always, column, made, or_none, owned, read_bool, time
from orchestration.wire.times import wire_time


def uploads_of(keys: Sequence[int]) -> dict[int, dict[str, Any]]:
    """The executions that parsed blueprints."""
    rows = Execution.objects.filter(workflow=UPLOAD, blueprint__in=among(keys)).order_by("created_at")
    pairs = {blueprint: execution for execution, blueprint in rows.values_list("pk", "blueprint_id")}
    found = PlainRows(EXECUTION, list(EXECUTION.fields)).rendered(rows, list(pairs.values()))
    by_id = {one["id"]: one for one in found}
    return {blueprint: by_id[str(execution)] for blueprint, execution in pairs.items() if str(execution) in by_id}


def plan_of(plan: dict[str, Any] | str | None) -> Any:
    """The plan; lists have it as the database's text."""
    return json.loads(plan) if isinstance(plan, str) else plan


# A list passes plans on as they are stored, and reads none of them: they are most of its bytes.
PLAN = Computed("plan", Cast("plan", TextField()))
REQUIREMENTS = Computed("requirements", KeyTransform("requirements", "plan"))


def labels(kept: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All labels."""
    return [{**label, "created_at": wire_time(parse_datetime(label["created_at"]))} for label in kept]


BLUEPRINT = Shape(
    "Blueprint",
    {
        "created_at": time("created_at"),
        "id": column("wire_id"),
        "visibility": column("visibility"),
        "main_file_name": column("main_file"),
        "plan_p": always(None),
        "plan": made(plan_of, PLAN, text=lambda plan: plan or "null", loads=("plan",)),
        "requirements": made(None, REQUIREMENTS, loads=("plan",)),
        "updated_at": time("updated_at"),
        "description": made(or_none, "description", column="description"),
        "is_hidden": column("is_hidden", read_bool),
        "state": column("state"),
        "error": made(or_none, "error", column="error"),
        "error_traceback": always(None),
        **owned(),
        "labels": made(labels, "labels"),
        "upload_execution": made(None, Beside(uploads_of)),
    },
    is_plain=True,
)
