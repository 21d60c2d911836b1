"""Answers the REST calls of a running execution from a Store, and makes a stored graph ready to be resumed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from orchestration.runner_events import IN_FLIGHT, context_of, record
from orchestration.runner_functions import has_functions
from orchestration.runner_modifications import START
from orchestration.runner_routes import ROUTES, change_operation, error, post_events
from orchestration.runner_types import Answer, Call, IllegalStatus, Served, Store, VersionConflict

__all__ = ["RestGateway", "has_functions"]


class RestGateway:
    """The Gateway of one execution on a Store."""

    def __init__(self, store: Store, serve: Callable[[str], Served | None] = lambda function: None) -> None:
        self.store = store
        self._serve = serve

    def served(self, function: str) -> Served | None:
        """What carries out this operation of components and shared resources."""
        return self._serve(function)

    def handle(self, call: Call) -> Answer:
        """Answer one call."""
        for method, pattern, handler in ROUTES:
            found = pattern.fullmatch(call.path) if method == call.method else None
            if found is not None:
                try:
                    if call.method == "PATCH" and call.path.startswith("/executions/"):
                        status, why = self.store.conclude(str(call.body["status"]), call.body.get("error"))
                        call = dataclasses.replace(call, body={**call.body, "status": status, "error": why})
                    # Evaluation and finding what to scale wait for a child process: never inside a transaction.
                    if call.method == "GET" or call.path in ("/evaluate/functions", START):
                        return handler(self.store, call, found)
                    with self.store.transaction():
                        return handler(self.store, call, found)
                except LookupError as missing:
                    return error(404, "not_found_error", str(missing.args[0] if missing.args else "not found"))
                except VersionConflict as conflict:
                    return error(409, "conflict_error", str(conflict))
                except IllegalStatus as illegal:
                    return error(400, "invalid_exception_status_update", str(illegal))
        return error(404, "not_found_error", f"{call.method} {call.path} is not available to a running execution")

    def handle_batch(self, calls: Sequence[Call]) -> None:
        """Store events and operation states, in order, in one transaction."""
        with self.store.transaction():
            for call in calls:
                if call.path == "/events":
                    post_events(self.store, call)
                else:
                    change_operation(self.store, call.path.rpartition("/")[2], call.body)

    def reset_for_resume(self, force: bool) -> int:
        """Make the stored operations ready for a resume: what was not finished will run (again). Returns how many.

        Failed and rescheduled ones always; with `force` those caught in the middle too, each with an event that says so.
        """
        reset = 0
        with self.store.transaction():
            for graph in self.store.task_graphs(None):
                for operation in self.store.operations(graph["id"]):
                    again = operation["state"] in ("failed", "rescheduled") or (
                        force and operation["state"] in IN_FLIGHT
                    )
                    if not again or operation["type"] == "SubgraphTask":
                        continue
                    reset += 1
                    if operation["state"] in IN_FLIGHT and operation["type"] == "RemoteWorkflowTask":
                        text = f"'{operation['name']}' was caught in the middle ({operation['state']}) and is run again"
                        self.store.add_events(
                            [record("cloudify_log", text, level="warning", logger="runner") | context_of(operation)]
                        )
                    self.store.update_operation(operation["id"], {"state": "pending"})
        return reset
