"""What an execution looks like on the wire."""

from __future__ import annotations

import uuid
from typing import Any

from orchestration.models import Execution
from orchestration.wire.shapes import Field, Shape, always, column, owned, read_bool, read_int, time

NO_ID = uuid.UUID(int=0)


def read_id(text: str, name: str) -> uuid.UUID:
    """An id from a client; one that cannot be an execution's matches nothing."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return NO_ID


def display_of(state: str) -> str:
    """`status_display`: terminated is shown as completed."""
    return "completed" if state == Execution.State.TERMINATED else state


def error_of(row: Execution) -> str | None:
    """The text of the failure; null before the execution began, "" where nothing is wrong."""
    return row.error or (None if row.started_at is None and row.state not in Execution.FINAL else "")


def deployment_of(row: Execution) -> Any:
    """The deployment; None for what belongs to a blueprint alone."""
    return row.local.deployment if row.local is not None else None


DEPLOYMENT = ("local__deployment",)

EXECUTION = Shape(
    "Execution",
    {
        "created_at": time("created_at"),
        "visibility": column("visibility"),
        "id": Field(lambda row: str(row.pk), "pk", read_id),
        "ended_at": time("ended_at"),
        "error": Field(error_of, "error"),
        "is_system_workflow": column("is_system", read_bool),
        "parameters_p": always(None),
        "parameters": column("parameters", lambda text, name: text),
        "status": column("state"),
        "workflow_id": column("workflow"),
        "started_at": time("started_at"),
        "scheduled_for": always(None),
        "is_dry_run": column("is_dry_run", read_bool),
        "resume": column("is_resume", read_bool),
        "total_operations": column("total_operations", read_int),
        "finished_operations": column("finished_operations", read_int),
        "allow_custom_parameters": column("allow_custom_parameters", read_bool),
        "blueprint_id": Field(
            lambda row: row.blueprint.wire_id if row.local is not None and row.blueprint is not None else None,
            "blueprint__wire_id",
            joins=("blueprint", *DEPLOYMENT),
        ),
        "deployment_display_name": Field(
            lambda row: getattr(deployment_of(row), "display_name", None),
            "local__deployment__display_name",
            joins=DEPLOYMENT,
        ),
        "deployment_id": Field(
            lambda row: getattr(deployment_of(row), "wire_id", None), "local__deployment__wire_id", joins=DEPLOYMENT
        ),
        "status_display": Field(lambda row: display_of(row.state)),
        **owned(),
    },
    search=("workflow", "local__deployment__wire_id"),
    also_filters=("execution_group_id",),
    heavy=("blueprint__plan", "local__plan", "local__inputs", "local__given_inputs"),
)
