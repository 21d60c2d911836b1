"""What each REST call of a running execution means, in terms of a Store; runner_gateway.py chooses among these."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from orchestration.runner_events import (
    event_of_operation,
    now,
    record_of_posted,
    side_effects,
)
from orchestration.runner_functions import has_functions
from orchestration.runner_types import Answer, Call, Row, Store

PAGE = 1_000
Handler = Callable[[Store, Call, "re.Match[str]"], Answer]
ROUTES: list[tuple[str, re.Pattern[str], Handler]] = []


def route(method: str, pattern: str) -> Callable[[Handler], Handler]:
    """Register what answers this method and path."""

    def register(handler: Handler) -> Handler:
        ROUTES.append((method, re.compile(pattern), handler))
        return handler

    return register


def error(status: int, code: str, message: str) -> Answer:
    """An error body as the genuine server's."""
    return Answer(status, {"message": message, "error_code": code, "server_traceback": None})


def listing(rows: Sequence[Any], total: int | None = None, offset: int = 0, size: int | None = None) -> Answer:
    """A list body with its paging."""
    pagination = {
        "total": len(rows) if total is None else total,
        "offset": offset,
        "size": len(rows) if size is None else size,
    }
    return Answer(200, {"items": list(rows), "metadata": {"pagination": pagination}})


def post_events(store: Store, call: Call) -> None:
    """Append what a child told."""
    body = call.body
    records = [record_of_posted(item, "cloudify_event") for item in body.get("events") or []]
    records += [record_of_posted(item, "cloudify_log") for item in body.get("logs") or []]
    store.add_events(records)


def change_operation(store: Store, operation_id: str, change: Row) -> None:
    """Store an operation's new state, and do what a manager does because of it."""
    try:
        operation = store.operation(operation_id)
    except LookupError:
        return  # of a graph that is not stored, such as the clean-up before a cancelled execution goes on
    if operation["state"] in ("succeeded", "failed", "rescheduled") and change["state"] != operation["state"]:
        return
    store.update_operation(operation_id, {"state": change["state"]})
    event = event_of_operation(operation, change)
    if event is not None:
        store.add_events([event])
    effect = side_effects(operation, change)
    if effect is None:
        return
    kind, row = effect
    if kind == "state":
        store.update_node_instance(row["node_instance_id"], {"state": row["state"]}, None)
    else:
        row["node_name"] = store.get_node_instance(row["node_instance_id"])["node_id"]
        store.add_events([row])


@route("PATCH", r"/executions/([^/]+)")
def patch_execution(store: Store, call: Call, found: re.Match[str]) -> Answer:
    """The workflow's own report of its status."""
    return Answer(200, store.set_execution_status(call.body["status"], call.body.get("error")))


@route("GET", r"/executions/([^/]+)")
def get_execution(store: Store, call: Call, found: re.Match[str]) -> Answer:
    """This execution."""
    return Answer(200, store.execution())


@route("GET", r"/deployments/([^/]+)")
def get_deployment(store: Store, call: Call, found: re.Match[str]) -> Answer:
    """Its deployment."""
    return Answer(200, store.deployment())


@route("GET", r"/blueprints/([^/]+)")
def get_blueprint(store: Store, call: Call, found: re.Match[str]) -> Answer:
    """Its blueprint."""
    return Answer(200, store.blueprint())


@route("GET", r"/config")
def get_config(store: Store, call: Call, found: re.Match[str]) -> Answer:
    """Retry settings and such."""
    items = store.config()
    name = call.query.get("name")
    if name:
        return next(
            (Answer(200, item) for item in items if item["name"] == name),
            error(404, "not_found_error", f"no setting {name}"),
        )
    return listing(items)


@route("GET", r"/provider/context")
def get_provider_context(store: Store, call: Call, found: re.Match[str]) -> Answer:
    """What genuine managers keep from their bootstrap; nothing here."""
    return Answer(200, {"name": "provider", "context": {"cloudify": {}}})


@route("GET", r"/plugins")
def get_plugins(store: Store, call: Call, found: re.Match[str]) -> Answer:
    """There are none."""
    return listing([])


@route("GET", r"/inter-deployment-dependencies")
def get_dependencies(store: Store, call: Call, found: re.Match[str]) -> Answer:
    """None are kept yet."""
    return listing([])


@route("GET", r"/nodes")
def get_nodes(store: Store, call: Call, found: re.Match[str]) -> Answer:
    """All nodes, or those asked for, with functions evaluated on request."""
    wanted = call.query.get("id") or call.query.get("node_id")
    rows = [
        row for row in store.nodes() if not wanted or row["id"] in ([wanted] if isinstance(wanted, str) else wanted)
    ]
    if is_true(call.query.get("_evaluate_functions")):
        context = {"self": call.query["_instance_context"]} if call.query.get("_instance_context") else None
        rows = call.evaluate("nodes", rows, context, store) if has_functions(rows) else rows
    return listing(rows)


@route("GET", r"/node-instances")
def get_node_instances(store: Store, call: Call, found: re.Match[str]) -> Answer:
    """All instances of the deployment, or of one node."""
    node = call.query.get("node_id") or call.query.get("node_name")
    return listing([row for row in store.node_instances() if not node or row["node_id"] == node])


@route("GET", r"/node-instances/([^/]+)")
def get_node_instance(store: Store, call: Call, found: re.Match[str]) -> Answer:
    """One instance, with functions in its runtime properties evaluated on request."""
    row = store.get_node_instance(found[1])
    if is_true(call.query.get("_evaluate_functions")) and has_functions(row):
        row = call.evaluate("node_instance", row, None, store)
    return Answer(200, row)


@route("PATCH", r"/node-instances/([^/]+)")
def patch_node_instance(store: Store, call: Call, found: re.Match[str]) -> Answer:
    """Optimistic lock: 409 when the sender's version is old, unless it forces."""
    names = ("runtime_properties", "state", "system_properties", "relationships")
    changes = {name: call.body[name] for name in names if call.body.get(name) is not None}
    forced = is_true(call.query.get("force"))
    return Answer(200, store.update_node_instance(found[1], changes, None if forced else int(call.body["version"])))


@route("POST", r"/evaluate/functions")
def evaluate_functions(store: Store, call: Call, found: re.Match[str]) -> Answer:
    """The inputs of an operation; the host has checked that they are the stored ones."""
    payload = call.body["payload"]
    if has_functions(payload):
        payload = call.evaluate("payload", payload, call.body.get("context"), store)
    return Answer(200, {"deployment_id": call.body.get("deployment_id"), "payload": payload})


@route("GET", r"/secrets/([^/]+)")
def get_secret(store: Store, call: Call, found: re.Match[str]) -> Answer:
    """A secret that the plan names (the host has checked that)."""
    return Answer(200, {"key": found[1], "value": store.get_secret(found[1]), "is_hidden_value": False})


@route("GET", r"/tasks_graphs")
def get_task_graphs(store: Store, call: Call, found: re.Match[str]) -> Answer:
    """The graphs of this execution, by name."""
    return listing(store.task_graphs(call.query.get("name")))


@route("POST", r"/tasks_graphs/tasks_graphs")
def create_task_graph(store: Store, call: Call, found: re.Match[str]) -> Answer:
    """A whole graph at once."""
    created = now()
    operations = [stored_operation(row, created) for row in call.body.get("operations") or []]
    return Answer(201, store.create_task_graph(call.body["name"], operations))


@route("GET", r"/operations")
def get_operations(store: Store, call: Call, found: re.Match[str]) -> Answer:
    """The operations of a graph, by pages."""
    rows = store.operations(call.query["graph_id"])
    offset = int(call.query.get("_offset") or 0)
    return listing(rows[offset : offset + PAGE], total=len(rows), offset=offset, size=PAGE)


@route("PUT", r"/operations/([^/]+)")
def put_operation(store: Store, call: Call, found: re.Match[str]) -> Answer:
    """One more operation: a retry."""
    row = stored_operation({**call.body, "id": found[1]}, now())
    return Answer(201, store.put_operation({**row, "tasks_graph_id": call.body["graph_id"]}))


@route("PATCH", r"/operations/([^/]+)")
def patch_operation(store: Store, call: Call, found: re.Match[str]) -> Answer:
    """A new state."""
    change_operation(store, found[1], call.body)
    return Answer(204)


@route("DELETE", r"/operations/([^/]+)")
def delete_operation(store: Store, call: Call, found: re.Match[str]) -> Answer:
    """Not needed any more."""
    store.delete_operation(found[1])
    return Answer(204)


@route("POST", r"/events")
def create_events(store: Store, call: Call, found: re.Match[str]) -> Answer:
    """Events and logs."""
    post_events(store, call)
    return Answer(204)


def stored_operation(row: Row, created: str) -> Row:
    """An operation with all fields of its row."""
    return {
        "id": row.get("id") or str(uuid.uuid4()),
        "name": row["name"],
        "state": row.get("state") or "pending",
        "type": row["type"],
        "dependencies": row.get("dependencies") or [],
        "parameters": row.get("parameters") or {},
        "created_at": created,
    }


def is_true(value: Any) -> bool:
    """A query flag."""
    return value is True or str(value).lower() in ("true", "1")
