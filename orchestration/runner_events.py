"""The events that a manager makes itself when the stored state of an operation changes (the library sends none for those)."""

from __future__ import annotations

import datetime
from typing import Any

from orchestration.runner_types import Row

EVENT_TYPES = {
    "sending": "sending_task",
    "started": "task_started",
    "succeeded": "task_succeeded",
    "rescheduled": "task_rescheduled",
    "failed": "task_failed",
}
VISIBLE_TYPES = ("RemoteWorkflowTask", "SubgraphTask")
IN_FLIGHT = ("started", "sent", "sending", "response_sent")


def now() -> str:
    """The present time as the wire has it: UTC, milliseconds, Z."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def event_of_operation(operation: Row, change: Row) -> Row | None:
    """The event that this change of state makes, or None."""
    event_type = EVENT_TYPES.get(str(change.get("state")))
    if operation["type"] not in VISIBLE_TYPES or event_type is None:
        return None
    parameters = operation.get("parameters") or {}
    # As the library: an operation that is not to be told about is told about when it fails.
    if parameters.get("send_task_events") is False and change["state"] != "failed":
        return None
    return record("cloudify_event", message_of(operation, change), event_type=event_type) | {
        "error_causes": change.get("exception_causes"),
        **context_of(operation),
    }


def message_of(operation: Row, change: Row) -> str:
    """The text, word for word as the genuine manager's."""
    state, name = change["state"], operation["name"]
    kind = "Subgraph" if operation["type"] == "SubgraphTask" else "Task"
    text = f"Sending task '{name}'" if state == "sending" else f"{kind} {state} '{name}'"
    if state == "succeeded" and change.get("result") is not None:
        text += f" - {change['result']}"
    if state in ("rescheduled", "failed") and change.get("exception"):
        text += f" -> {change['exception']}"
    parameters = operation.get("parameters") or {}
    retries, total = int(parameters.get("current_retries") or 0), int(parameters.get("total_retries") or 0)
    if retries > 0:
        text += f" [retry {retries}{f'/{total}' if total >= 0 else ''}]"
    return text


def cloudify_context(operation: Row) -> Row:
    """The context that the workflow gave to a remote operation; empty for other tasks."""
    kwargs = (operation.get("parameters") or {}).get("task_kwargs", {}).get("kwargs") or {}
    return dict(kwargs.get("__cloudify_context") or {})


def context_of(operation: Row) -> Row:
    """Whom an operation is about."""
    context = cloudify_context(operation)
    related = context.get("related") or {}
    found: Row = {
        "operation": (context.get("operation") or {}).get("name"),
        "node_instance_id": context.get("node_id"),
        "node_name": context.get("node_name"),
    }
    if related:
        ends = {"source": related.get("node_id"), "target": context.get("node_id")}
        if related.get("is_target"):
            ends = {"source": context.get("node_id"), "target": related.get("node_id")}
        found.update(
            {"source_id": ends["source"], "target_id": ends["target"], "node_instance_id": None, "node_name": None}
        )
    return found


def side_effects(operation: Row, change: Row) -> tuple[str, Row] | None:
    """What a succeeded internal task means: ("state", {node_instance_id, state}) or ("event", a record), or None."""
    if change.get("state") != "succeeded":
        return None
    arguments = (operation.get("parameters") or {}).get("task_kwargs") or {}
    if operation["type"] == "SetNodeInstanceStateTask":
        return "state", {"node_instance_id": arguments["node_instance_id"], "state": arguments["state"]}
    if operation["type"] == "SendNodeEventTask":
        instance_id = arguments["node_instance_id"]
        event = record("cloudify_event", str(arguments.get("event")), event_type="workflow_node_event")
        return "event", event | {"node_instance_id": instance_id}
    return None


def record(kind: str, message: str, **fields: Any) -> Row:
    """One event or log as stored; all keys are present."""
    empty: Row = dict.fromkeys(
        (
            "event_type",
            "logger",
            "level",
            "operation",
            "node_instance_id",
            "node_name",
            "source_id",
            "target_id",
            "error_causes",
        )
    )
    return {**empty, "type": kind, "message": message, "timestamp": now(), **fields}


def record_of_posted(item: Row, kind: str) -> Row:
    """An item of POST /events as stored."""
    context = item.get("context") or {}
    message = item.get("message")
    text = message.get("text") if isinstance(message, dict) else message
    return record(
        kind,
        str(text or ""),
        timestamp=str(item.get("timestamp") or now()),
        event_type=item.get("event_type"),
        logger=item.get("logger"),
        level=item.get("level"),
        operation=context.get("operation"),
        node_instance_id=context.get("node_id"),
        node_name=context.get("node_name"),
        source_id=context.get("source_id"),
        target_id=context.get("target_id"),
        error_causes=context.get("task_error_causes") or item.get("error_causes"),
    )
