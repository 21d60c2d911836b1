"""Serves the REST calls of one execution's processes: checks them against the rules, masks, buffers, hands them to the gateway."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestration.runner_events import now
from orchestration.runner_operation import Operation
from orchestration.runner_rules import (
    OPERATION_CALLS,
    WORKFLOW_CALLS,
    LogFilter,
    Masker,
    compile_rules,
    cut,
    is_allowed,
)
from orchestration.runner_types import Answer, BlueprintProblem, Call, Gateway, Row, RunnerSettings, WorkflowOrder

FINAL = ("terminated", "failed", "cancelled")
OPERATION_ENDS = ("succeeded", "failed", "rescheduled")
NO_INSTANCE = "(?!)"


def refuse(message: str, status: int = 403) -> Answer:
    """An answer that says no."""
    return Answer(status, {"message": message, "error_code": "forbidden_error" if status == 403 else "not_found_error"})


class SecretGuard:
    """The storage that functions are evaluated against: only the plan's secrets, and each value given is remembered for masking."""

    def __init__(self, storage: Any, names: frozenset[str], masker: Masker) -> None:
        self._storage = storage
        self._names = names
        self._masker = masker

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def get_secret(self, name: str) -> Any:
        """One secret of the plan."""
        if name not in self._names:
            raise LookupError(f"Secret '{name}' is not one that this deployment's plan names")
        value = self._storage.get_secret(name)
        self._masker.learn(value)
        return value


class CallServer:
    """Between the pipes of one execution and its gateway."""

    def __init__(
        self, settings: RunnerSettings, order: WorkflowOrder, gateway: Gateway, evaluate: Callable[..., Any]
    ) -> None:
        self.settings = settings
        self.order = order
        self.gateway = gateway
        self.masker = Masker()
        self.logs = LogFilter(settings.max_logs, settings.message_limit)
        self.final_status: str | None = None
        self.final_error: str | None = None
        self.overdue: str | None = None
        """Set when the execution was cancelled because its time was over: what it ends with instead of cancelled."""
        self.unrecorded: dict[str, Row] = {}
        """Results of operations that the workflow process was told and has not stored yet."""
        self._evaluate = evaluate
        self._buffer: list[Call] = []
        self._names = {
            "execution": re.escape(order.execution_id),
            "deployment": re.escape(order.deployment_id),
            "blueprint": re.escape(order.blueprint_id),
        }
        self._workflow_rules = compile_rules(WORKFLOW_CALLS, **self._names)

    def rules_for(self, operation: Operation) -> list[tuple[str, re.Pattern[str]]]:
        """What this operation's process may call."""
        instances = "|".join(map(re.escape, operation.instances)) or NO_INSTANCE
        return compile_rules(OPERATION_CALLS, instances=instances, **self._names)

    def evaluate(self, of: str, payload: Any, context: Row | None, storage: Any) -> Any:
        """Evaluate functions for the gateway, within this execution's secrets."""
        return self._evaluate(of, payload, context, SecretGuard(storage, self.order.secret_names, self.masker))

    def serve(self, message: Row, operation: Operation | None) -> Answer:
        """Answer one call of the workflow process (operation None) or of an operation's process."""
        call = Call(
            str(message.get("method")),
            str(message.get("path")),
            dict(message.get("query") or {}),
            message.get("body"),
            self.evaluate,
        )
        rules = self._workflow_rules if operation is None else operation.rules
        if not is_allowed(rules, call.method, call.path):
            return refuse(f"{call.method} {cut(call.path, 200)} is not allowed from here")
        if operation is not None and (problem := self._check_operation_call(call, operation)) is not None:
            return problem
        if call.path == "/resource":
            return self._resource(call)
        if call.path.startswith("/secrets/"):
            return self._secret(call)
        return self._store(call, operation)

    def _check_operation_call(self, call: Call, operation: Operation) -> Answer | None:
        if call.path == "/evaluate/functions":
            body = call.body if isinstance(call.body, dict) else {}
            # A script could otherwise ask for `{get_secret: ...}` of its own.
            if body.get("payload") != operation.inputs:
                return refuse("Only the stored inputs of this operation are evaluated")
            context = body.get("context") or {}
            if any(context.get(name) not in (None, *operation.instances) for name in ("self", "source", "target")):
                return refuse("Functions are evaluated only for this operation's own node instances")
        if call.method == "PATCH" and call.query.get("force"):
            return refuse("An operation may not force a change of a node instance")
        return None

    def _store(self, call: Call, operation: Operation | None) -> Answer:
        if call.method == "POST" and call.path == "/events":
            body = self.logs.clean(call.body if isinstance(call.body, dict) else {}, untrusted=operation is not None)
            return self._later(Call("POST", "/events", {}, self.masker.mask(body), self.evaluate))
        if call.method == "PATCH" and call.path.startswith("/operations/"):
            if call.body.get("state") in OPERATION_ENDS:
                self.unrecorded.pop(call.path.rpartition("/")[2], None)
            body = {
                **call.body,
                **self.masked({name: call.body.get(name) for name in ("result", "exception", "exception_causes")}),
            }
            return self._later(Call("PATCH", call.path, {}, body, self.evaluate))
        self.flush()
        if call.method == "PATCH" and call.path.startswith("/executions/"):
            return self._status(call)
        try:
            return self.gateway.handle(call)
        except BlueprintProblem as problem:
            return Answer(400, {"message": problem.message, "error_code": "evaluation_error"})

    def _later(self, call: Call) -> Answer:
        """Answered now, stored with others in one transaction before any other call is."""
        self._buffer.append(call)
        return Answer(204)

    def flush(self) -> None:
        """Store what was answered already."""
        if self._buffer:
            calls, self._buffer = self._buffer, []
            self.gateway.handle_batch(calls)

    def _status(self, call: Call) -> Answer:
        body = self.masked({"status": call.body.get("status"), "error": call.body.get("error")})
        if self.overdue is not None and body["status"] == "cancelled":
            body = {"status": "failed", "error": self.overdue}
            self._tell("failed", self.overdue)
            self.flush()
        answer = self.gateway.handle(Call(call.method, call.path, {}, body, self.evaluate))
        if answer.status == 200 and answer.body.get("status") in FINAL:
            stored = answer.body  # its end may have turned out otherwise than the workflow thought
            self.final_status, self.final_error = stored.get("status"), stored.get("error", body["error"])
        return answer

    def is_cancelled_report(self, message: Row) -> bool:
        """Does the workflow say that it is cancelled?"""
        is_status = message.get("method") == "PATCH" and str(message.get("path")).startswith("/executions/")
        return is_status and (message.get("body") or {}).get("status") == "cancelled"

    def masked(self, value: Row) -> Row:
        """The value without the secrets that were given out."""
        return dict(self.masker.mask(value))

    def _secret(self, call: Call) -> Answer:
        name = call.path.removeprefix("/secrets/")
        if name not in self.order.secret_names:
            return refuse(f"Secret '{cut(name, 100)}' is not one that this deployment's plan names")
        self.flush()
        answer = self.gateway.handle(call)
        if answer.status == 200:
            self.masker.learn(answer.body.get("value"))
        return answer

    def _resource(self, call: Call) -> Answer:
        answer = self._resource_in(self.order.blueprint_folder, call)
        if answer.status == 404 and self.order.older_folder is not None:
            older = self._resource_in(self.order.older_folder, call)
            return older if older.status == 200 else answer
        return answer

    def _resource_in(self, folder: Path, call: Call) -> Answer:
        root = os.path.realpath(folder)
        path = str(call.query.get("path") or "").lstrip("/")
        real = os.path.realpath(os.path.join(root, path.rpartition("--")[2]))
        if "\0" in path or os.path.commonpath([real, root]) != root or not os.path.exists(real):
            return refuse(f"The blueprint has no file '{cut(path, 200)}'", 404)
        if call.query.get("list"):
            files = [
                str(file.relative_to(real))
                for file in sorted(Path(real).rglob("*"))
                if file.is_file() and not file.is_symlink()
            ]
            return Answer(200, {"files": files})
        if not os.path.isfile(real):
            return refuse(f"'{cut(path, 200)}' is a folder of the blueprint, not a file", 404)
        if os.path.getsize(real) > self.settings.resource_limit:
            return refuse(f"'{cut(path, 200)}' is larger than {self.settings.resource_limit} bytes", 404)
        return Answer(200, {"content": base64.b64encode(Path(real).read_bytes()).decode()})

    # What the host itself asks and stores.

    def ask(self, method: str, path: str, query: Row | None = None, body: Any = None) -> Answer:
        """A call of the portal's own; what cannot be evaluated is an answer, too."""
        self.flush()
        try:
            return self.gateway.handle(Call(method, path, query or {}, body, self.evaluate))
        except BlueprintProblem as problem:
            return Answer(400, {"message": problem.message, "error_code": "evaluation_error"})

    def words_of(self, answer: Answer) -> str:
        """What an answer that is none says."""
        text = answer.body.get("message") if isinstance(answer.body, dict) else ""
        return str(text or f"The portal did not find what it is about ({answer.status}).")

    def say(self, operation: Operation, level: str, text: str) -> None:
        """A log line of an operation that the portal carries out."""
        context = {**operation.context, "operation": (operation.context.get("operation") or {}).get("name")}
        line = {
            "level": level,
            "logger": "component",
            "timestamp": now(),
            "message": {"text": text},
            "context": context,
        }
        body = self.logs.clean({"logs": [line]}, untrusted=False)
        self._later(Call("POST", "/events", {}, self.masker.mask(body), self.evaluate))

    def set_operation_state(self, operation_id: str, change: Row) -> None:
        """As a PATCH of the operation, at once."""
        self._buffer.append(Call("PATCH", f"/operations/{operation_id}", {}, change, self.evaluate))
        self.flush()

    def store_results(self) -> None:
        """The ends of operations that the workflow process did not store, because it is gone."""
        results, self.unrecorded = self.unrecorded, {}
        for operation_id, result in results.items():
            self._store_result(operation_id, result)

    def _store_result(self, operation_id: str, result: Row) -> None:
        error = result.get("error")
        if error is None:
            self.set_operation_state(operation_id, {"state": "succeeded", "result": result.get("result")})
        else:
            causes = (error.get("known_exception_type_kwargs") or {}).get("causes")
            self.set_operation_state(
                operation_id, {"state": "failed", "exception": error["message"], "exception_causes": causes}
            )

    def report(self, status: str, why: str | None) -> None:
        """The end of an execution that could not report it itself: the event, then the status."""
        if self.overdue is None:
            self._tell(status, why)
            self.flush()
        self._status(
            Call("PATCH", f"/executions/{self.order.execution_id}", {}, {"status": status, "error": why}, self.evaluate)
        )

    def _tell(self, status: str, why: str | None) -> None:
        text = f"'{self.order.workflow_id}' workflow execution {status}" + (f": {why}" if why else "")
        event = {"event_type": f"workflow_{status}", "timestamp": now(), "message": {"text": text}}
        self._later(Call("POST", "/events", {}, {"events": [event], "logs": []}, self.evaluate))
