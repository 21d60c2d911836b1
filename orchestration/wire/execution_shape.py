"""What an execution looks like on the wire."""

from __future__ import annotations

import uuid
from typing import Any

from orchestration.models import Execution
from orchestration.wire.shapes import Shape, always, column, made, owned, read_bool, read_int, time

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


def error_of(error: str, started_at: Any, state: str) -> str | None:
    """The text of the failure; null before the execution began, "" where nothing is wrong."""
    return error or (None if started_at is None and state not in Execution.FINAL else "")


def blueprint_of(local: Any, name: str | None) -> str | None:
    """The blueprint of the deployment; None for what belongs to a blueprint alone."""
    return name if local is not None else None


EXECUTION = Shape(
    "Execution",
    {
        "created_at": time("created_at"),
        "visibility": column("visibility"),
        "id": made(str, "pk", column="pk", to_column=read_id),
        "ended_at": time("ended_at"),
        "error": made(error_of, "error", "started_at", "state", column="error"),
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
        "blueprint_id": made(blueprint_of, "local_id", "blueprint__wire_id", column="blueprint__wire_id"),
        "deployment_display_name": column("local__deployment__display_name"),
        "deployment_id": column("local__deployment__wire_id"),
        "status_display": made(display_of, "state"),
        **owned(),
    },
    search=("workflow", "local__deployment__wire_id"),
    also_filters=("execution_group_id",),
    heavy=("blueprint__plan", "local__plan", "local__inputs", "local__given_inputs"),
    is_plain=True,
)
