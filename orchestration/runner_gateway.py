"""Answers the REST calls of a running execution from a Store; the meaning of the calls is here, the rows are the Store's."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from orchestration.runner_events import IN_FLIGHT, context_of, event_of_operation, now, record, record_of_posted, side_effects
from orchestration.runner_types import Answer, Call, IllegalStatus, Row, Store, VersionConflict

PAGE = 1_000
Handler = Callable[["RestGateway", Call, "re.Match[str]"], Answer]
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
    pagination = {"total": len(rows) if total is None else total, "offset": offset, "size": len(rows) if size is None else size}
    return Answer(200, {"items": list(rows), "metadata": {"pagination": pagination}})


class RestGateway:
    """The Gateway of one execution on a Store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def handle(self, call: Call) -> Answer:
        """Answer one call."""
        for method, pattern, handler in ROUTES:
            found = pattern.fullmatch(call.path) if method == call.method else None
            if found is not None:
                try:
                    # Evaluation waits for a child process: never inside a transaction.
                    if call.method == "GET" or call.path == "/evaluate/functions":
                        return handler(self, call, found)
                    with self.store.transaction():
                        return handler(self, call, found)
                except LookupError as missing:
                    return error(404, "not_found_error", str(missing.args[0] if missing.args else "not found"))
                except VersionConflict as conflict:
                    return error(409, "conflict_error", str(conflict))
                except IllegalStatus as illegal:
                    return error(400, "invalid_exception_update_status", str(illegal))
        return error(404, "not_found_error", f"{call.method} {call.path} is not available to a running execution")

    def handle_batch(self, calls: Sequence[Call]) -> None:
        """Store events and operation states, in order, in one transaction."""
        with self.store.transaction():
            for call in calls:
                if call.path == "/events":
                    self.post_events(call)
                else:
                    self.change_operation(call.path.rpartition("/")[2], call.body)

    def post_events(self, call: Call) -> None:
        """Append what a child told."""
        body = call.body
        records = [record_of_posted(item, "cloudify_event") for item in body.get("events") or []]
        records += [record_of_posted(item, "cloudify_log") for item in body.get("logs") or []]
        self.store.add_events(records)

    def change_operation(self, operation_id: str, change: Row) -> None:
        """Store an operation's new state, and do what a manager does because of it."""
        operation = self.store.operation(operation_id)
        if operation["state"] in ("succeeded", "failed", "rescheduled") and change["state"] != operation["state"]:
            return
        self.store.update_operation(operation_id, {"state": change["state"]})
        event = event_of_operation(operation, change)
        if event is not None:
            self.store.add_events([event])
        effect = side_effects(operation, change)
        if effect is None:
            return
        kind, row = effect
        if kind == "state":
            self.store.update_node_instance(row["node_instance_id"], {"state": row["state"]}, None)
        else:
            row["node_name"] = self.store.get_node_instance(row["node_instance_id"])["node_id"]
            self.store.add_events([row])

    def reset_for_resume(self, force: bool) -> int:
        """Make the stored operations ready for a resume: what was not finished will run (again). Returns how many.

        Failed and rescheduled ones always; with `force` those caught in the middle too, each with an event that says so.
        """
        reset = 0
        with self.store.transaction():
            for graph in self.store.task_graphs(None):
                for operation in self.store.operations(graph["id"]):
                    again = operation["state"] in ("failed", "rescheduled") or (force and operation["state"] in IN_FLIGHT)
                    if not again or operation["type"] == "SubgraphTask":
                        continue
                    reset += 1
                    if operation["state"] in IN_FLIGHT and operation["type"] == "RemoteWorkflowTask":
                        text = f"'{operation['name']}' was caught in the middle ({operation['state']}) and is run again"
                        self.store.add_events([record("cloudify_log", text, level="warning", logger="runner") | context_of(operation)])
                    self.store.update_operation(operation["id"], {"state": "pending"})
        return reset

    # The calls. Each function answers the route above it.

    @route("PATCH", r"/executions/([^/]+)")
    def patch_execution(self, call: Call, found: re.Match[str]) -> Answer:
        """The workflow's own report of its status."""
        return Answer(200, self.store.set_execution_status(call.body["status"], call.body.get("error")))

    @route("GET", r"/executions/([^/]+)")
    def get_execution(self, call: Call, found: re.Match[str]) -> Answer:
        """This execution."""
        return Answer(200, self.store.execution())

    @route("GET", r"/deployments/([^/]+)")
    def get_deployment(self, call: Call, found: re.Match[str]) -> Answer:
        """Its deployment."""
        return Answer(200, self.store.deployment())

    @route("GET", r"/blueprints/([^/]+)")
    def get_blueprint(self, call: Call, found: re.Match[str]) -> Answer:
        """Its blueprint."""
        return Answer(200, self.store.blueprint())

    @route("GET", r"/config")
    def get_config(self, call: Call, found: re.Match[str]) -> Answer:
        """Retry settings and such."""
        items = self.store.config()
        name = call.query.get("name")
        if name:
            return next((Answer(200, item) for item in items if item["name"] == name), error(404, "not_found_error", f"no setting {name}"))
        return listing(items)

    @route("GET", r"/provider/context")
    def get_provider_context(self, call: Call, found: re.Match[str]) -> Answer:
        """What genuine managers keep from their bootstrap; nothing here."""
        return Answer(200, {"name": "provider", "context": {"cloudify": {}}})

    @route("GET", r"/plugins")
    def get_plugins(self, call: Call, found: re.Match[str]) -> Answer:
        """There are none."""
        return listing([])

    @route("GET", r"/inter-deployment-dependencies")
    def get_dependencies(self, call: Call, found: re.Match[str]) -> Answer:
        """None are kept yet."""
        return listing([])

    @route("GET", r"/nodes")
    def get_nodes(self, call: Call, found: re.Match[str]) -> Answer:
        """All nodes, or those asked for, with functions evaluated on request."""
        wanted = call.query.get("id") or call.query.get("node_id")
        rows = [row for row in self.store.nodes() if not wanted or row["id"] in ([wanted] if isinstance(wanted, str) else wanted)]
        if is_true(call.query.get("_evaluate_functions")):
            context = {"self": call.query["_instance_context"]} if call.query.get("_instance_context") else None
            rows = call.evaluate("nodes", rows, context, self.store) if has_functions(rows) else rows
        return listing(rows)

    @route("GET", r"/node-instances")
    def get_node_instances(self, call: Call, found: re.Match[str]) -> Answer:
        """All instances of the deployment, or of one node."""
        node = call.query.get("node_id") or call.query.get("node_name")
        return listing([row for row in self.store.node_instances() if not node or row["node_id"] == node])

    @route("GET", r"/node-instances/([^/]+)")
    def get_node_instance(self, call: Call, found: re.Match[str]) -> Answer:
        """One instance, with functions in its runtime properties evaluated on request."""
        row = self.store.get_node_instance(found[1])
        if is_true(call.query.get("_evaluate_functions")) and has_functions(row):
            row = call.evaluate("node_instance", row, None, self.store)
        return Answer(200, row)

    @route("PATCH", r"/node-instances/([^/]+)")
    def patch_node_instance(self, call: Call, found: re.Match[str]) -> Answer:
        """Optimistic lock: 409 when the sender's version is old, unless it forces."""
        names = ("runtime_properties", "state", "system_properties", "relationships")
        changes = {name: call.body[name] for name in names if call.body.get(name) is not None}
        forced = is_true(call.query.get("force"))
        return Answer(200, self.store.update_node_instance(found[1], changes, None if forced else int(call.body["version"])))

    @route("POST", r"/evaluate/functions")
    def evaluate_functions(self, call: Call, found: re.Match[str]) -> Answer:
        """The inputs of an operation; the host has checked that they are the stored ones."""
        payload = call.body["payload"]
        if has_functions(payload):
            payload = call.evaluate("payload", payload, call.body.get("context"), self.store)
        return Answer(200, {"deployment_id": call.body.get("deployment_id"), "payload": payload})

    @route("GET", r"/secrets/([^/]+)")
    def get_secret(self, call: Call, found: re.Match[str]) -> Answer:
        """A secret that the plan names (the host has checked that)."""
        return Answer(200, {"key": found[1], "value": self.store.get_secret(found[1]), "is_hidden_value": False})

    @route("GET", r"/tasks_graphs")
    def get_task_graphs(self, call: Call, found: re.Match[str]) -> Answer:
        """The graphs of this execution, by name."""
        return listing(self.store.task_graphs(call.query.get("name")))

    @route("POST", r"/tasks_graphs/tasks_graphs")
    def create_task_graph(self, call: Call, found: re.Match[str]) -> Answer:
        """A whole graph at once."""
        created = now()
        operations = [stored_operation(row, created) for row in call.body.get("operations") or []]
        return Answer(201, self.store.create_task_graph(call.body["name"], operations))

    @route("GET", r"/operations")
    def get_operations(self, call: Call, found: re.Match[str]) -> Answer:
        """The operations of a graph, by pages."""
        rows = self.store.operations(call.query["graph_id"])
        offset = int(call.query.get("_offset") or 0)
        return listing(rows[offset : offset + PAGE], total=len(rows), offset=offset, size=PAGE)

    @route("PUT", r"/operations/([^/]+)")
    def put_operation(self, call: Call, found: re.Match[str]) -> Answer:
        """One more operation: a retry."""
        row = stored_operation({**call.body, "id": found[1]}, now())
        return Answer(201, self.store.put_operation({**row, "tasks_graph_id": call.body["graph_id"]}))

    @route("PATCH", r"/operations/([^/]+)")
    def patch_operation(self, call: Call, found: re.Match[str]) -> Answer:
        """A new state."""
        self.change_operation(found[1], call.body)
        return Answer(204)

    @route("DELETE", r"/operations/([^/]+)")
    def delete_operation(self, call: Call, found: re.Match[str]) -> Answer:
        """Not needed any more."""
        self.store.delete_operation(found[1])
        return Answer(204)

    @route("POST", r"/events")
    def create_events(self, call: Call, found: re.Match[str]) -> Answer:
        """Events and logs."""
        self.post_events(call)
        return Answer(204)

    @route("POST", r"/deployment-modifications")
    def refuse_modification(self, call: Call, found: re.Match[str]) -> Answer:
        """Scaling is not there yet; say so instead of failing in the middle."""
        return error(400, "unsupported_deployment_modification", "Scaling is not supported on this manager yet.")


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


FUNCTIONS = frozenset(
    "get_input get_property get_attribute get_attributes_list get_attributes_dict get_secret get_capability get_group_capability "
    "get_environment_capability get_label get_sys get_consumers concat merge string_find string_replace string_split string_lower "
    "string_upper".split()
)


def has_functions(value: Any) -> bool:
    """Is there anything to evaluate in it? Saves a child for the usual case."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if len(item) == 1 and next(iter(item)) in FUNCTIONS:
                return True
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
    return False
