"""Runs one execution: a workflow process and its operation processes, all served by one thread that waits on their pipes."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Iterable
from typing import Any, Protocol

from orchestration.runner_calls import CallServer
from orchestration.runner_operation import Operation
from orchestration.runner_process import Child, LineTooLong
from orchestration.runner_types import Answer, Gateway, Outcome, Row, RunnerSettings, WorkflowOrder

SLOT_POLL = 0.02
IDLE = 1.0
END_WAIT = 10.0
STOPPED = "The operation was stopped: the execution was cancelled"
INTERRUPTED = "The operation was interrupted: the process of its workflow ended"


class Host(Protocol):
    """What an execution needs of RunnerHost."""

    settings: RunnerSettings
    slots: threading.BoundedSemaphore

    def spawn(self, kind: str, key: str, first: Row, line_limit: int, **more: Any) -> Child: ...
    def evaluate(self, of: str, payload: Any, context: Row | None, storage: Any) -> Any: ...


class ExecutionLoop:
    """One execution at work; `run` is called once, `cancel` from any thread."""

    def __init__(self, host: Host, order: WorkflowOrder, gateway: Gateway) -> None:
        self.host = host
        self.order = order
        self.calls = CallServer(host.settings, order, gateway, host.evaluate)
        self.selector = selectors.DefaultSelector()
        self.waiting: list[Operation] = []
        self.active: dict[str, Operation] = {}
        self.workflow: Child | None = None
        self.said_done: Row | None = None
        self.cancelled: str | None = None
        self.cancel_deadline: float | None = None
        self.deferred: Row | None = None
        self._wishes: list[str] = []
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)

    @property
    def key(self) -> str:
        """Whose processes these are."""
        return f"{self.order.tenant}/{self.order.deployment_id}"

    def cancel(self, kind: str) -> None:
        """Ask for a cancel, force-cancel or kill."""
        self._wishes.append(kind)
        self._wake_write.send(b"!")

    def run(self) -> Outcome:
        """To the end; every process of the execution is gone when this returns."""
        end = time.monotonic() + self.order.time_limit
        self.selector.register(self._wake_read, selectors.EVENT_READ, self._on_wake)
        try:
            self._start_workflow()
            assert self.workflow is not None
            while not self.workflow.ended:
                if time.monotonic() > end and self.calls.overdue is None:
                    self.calls.overdue = f"The execution was ended: it took longer than its limit of {self.order.time_limit:g} seconds"
                    self._take_wish("cancel")
                self._step()
            return self._conclude()
        finally:
            self._end_all()
            self.selector.close()
            self._wake_read.close()
            self._wake_write.close()

    def _start_workflow(self) -> None:
        order = self.order
        context = {
            "execution_id": order.execution_id, "workflow_id": order.workflow_id, "task_name": order.workflow_function,
            "deployment_id": order.deployment_id, "deployment_display_name": order.deployment_display_name or order.deployment_id,
            "deployment_creator": order.creator, "deployment_resource_tags": order.resource_tags, "blueprint_id": order.blueprint_id,
            "tenant": {"name": order.tenant}, "resume": order.resume, "dry_run": order.dry_run,
            "execution_creator_username": order.creator,
        }  # fmt: skip
        first = {"context": context, "parameters": order.parameters}
        self.workflow = self.host.spawn("workflow", self.key, first, self.host.settings.workflow_line)
        self.selector.register(self.workflow.pipe, selectors.EVENT_READ, self._on_workflow)
        self.selector.register(self.workflow.lifeline, selectors.EVENT_READ, self._on_workflow_end)

    def _step(self) -> None:
        for ready, _ in self.selector.select(self._timeout()):
            ready.data(ready.fileobj)
        self.calls.flush()
        self._start_waiting()
        now = time.monotonic()
        for operation in list(self.active.values()):
            if operation.deadline is not None and now > operation.deadline:
                if operation.result is not None and operation.child is not None:
                    operation.child.kill()
                operation.expire()
        if self.cancel_deadline is not None and now > self.cancel_deadline:
            self._end_operations(STOPPED)
            self.cancel_deadline = None if self.cancelled == "cancel" and self.active else self._kill_workflow()
        if self.deferred is not None and not self.active and not self.waiting:
            message, self.deferred = self.deferred, None
            self._answer(self.workflow, message, self.calls.serve(message, None))

    def _timeout(self) -> float:
        if self.waiting:
            return SLOT_POLL
        deadlines = [operation.deadline for operation in self.active.values() if operation.deadline is not None]
        if self.cancel_deadline is not None:
            deadlines.append(self.cancel_deadline)
        return max(0.0, min([IDLE, *(deadline - time.monotonic() for deadline in deadlines)]))

    # What the workflow process says.

    def _on_workflow(self, _: Any) -> None:
        assert self.workflow is not None
        try:
            messages = self.workflow.read()
            if messages is None:
                self.selector.unregister(self.workflow.pipe)
                return
            for message in messages:
                self._take_workflow_message(message)
        except LineTooLong:
            self.workflow.kill()

    def _take_workflow_message(self, message: Row) -> None:
        kind = message.get("t")
        if kind == "rest":
            if self.calls.is_cancelled_report(message) and (self.active or self.waiting):
                # "cancelled" is stored when nothing runs any more.
                self.deferred = message
                return
            self._answer(self.workflow, message, self.calls.serve(message, None))
        elif kind == "operation":
            self.waiting.append(Operation(str(message["id"]), dict(message["kwargs"])))
        elif kind in ("done", "broken"):
            self.said_done = message

    @staticmethod
    def _answer(child: Child | None, message: Row, answer: Answer) -> None:
        if child is not None:
            child.send({"t": "answer", "n": message.get("n"), "status": answer.status, "body": answer.body})

    def _on_workflow_end(self, _: Any) -> None:
        assert self.workflow is not None
        self.workflow.read_lifeline()
        if self.workflow.ended:
            self.selector.unregister(self.workflow.lifeline)
            self._drain(self.workflow, self._take_workflow_message)

    @staticmethod
    def _drain(child: Child, take: Any) -> None:
        """What is still in the pipe of an ended child."""
        try:
            child.pipe.settimeout(0.5)
            while (messages := child.read()) is not None:
                for message in messages:
                    take(message)
        except LineTooLong:
            return

    # Operations.

    def _start_waiting(self) -> None:
        while self.waiting:
            if self.cancelled is not None:
                operation = self.waiting.pop(0)
                operation.end(STOPPED)
                self._deliver(operation)
                continue
            if not self.host.slots.acquire(blocking=False):
                return
            operation = self.waiting.pop(0)
            operation.slot = True
            self._start_operation(operation)

    def _start_operation(self, operation: Operation) -> None:
        settings = self.host.settings
        self.active[operation.id] = operation
        operation.rules = self.calls.rules_for(operation)
        # Stored before it runs: if everything is killed now, it is known to have been caught in the middle.
        self.calls.set_operation_state(operation.id, {"state": "started"})
        environment = {}
        if settings.deployments_root is not None:
            environment["CFY_RESOURCES_ROOT"] = str(settings.deployments_root)
        child = self.host.spawn("operation", self.key, {"kwargs": operation.kwargs}, settings.operation_line, environment=environment)
        operation.begin(child)
        self.selector.register(child.pipe, selectors.EVENT_READ, lambda _: self._on_operation(operation, child))
        self.selector.register(child.lifeline, selectors.EVENT_READ, lambda _: self._on_operation_end(operation, child))

    def _on_operation(self, operation: Operation, child: Child) -> None:
        try:
            messages = child.read()
            if messages is None:
                self.selector.unregister(child.pipe)
                return
            for message in messages:
                self._take_operation_message(operation, message)
        except LineTooLong:
            operation.end("The operation was ended: it sent more at once than it may")

    def _take_operation_message(self, operation: Operation, message: Row) -> None:
        kind = message.get("t")
        if kind == "rest":
            self._answer(operation.child, message, self.calls.serve(message, operation))
        elif kind == "done":
            operation.finished(message)
        elif kind == "broken":
            operation.end(f"The operation's process could not start: {message.get('error')}")

    def _on_operation_end(self, operation: Operation, child: Child) -> None:
        child.read_lifeline()
        if not child.ended:
            return
        self.selector.unregister(child.lifeline)
        self._drain(child, lambda message: self._take_operation_message(operation, message))
        if child.pipe in self.selector.get_map():
            self.selector.unregister(child.pipe)
        if operation.result is None:
            operation.end(f"The operation's process ended without a result ({child.describe_end()})", recoverable=True)
        child.close()
        self._release(operation)
        self._deliver(operation)

    def _release(self, operation: Operation) -> None:
        self.active.pop(operation.id, None)
        if operation.slot:
            operation.slot = False
            self.host.slots.release()

    def _deliver(self, operation: Operation) -> None:
        assert operation.result is not None
        if self.workflow is not None and not self.workflow.ended:
            self.workflow.send({"t": "result", **self.calls.masked(operation.result)})

    # The end.

    def _on_wake(self, _: Any) -> None:
        self._wake_read.recv(1024)
        while self._wishes:
            self._take_wish(self._wishes.pop(0))

    def _take_wish(self, kind: str) -> None:
        assert self.workflow is not None
        self.cancelled = kind
        if kind == "kill":
            self._end_operations(STOPPED)
            self.workflow.kill()
            return
        self.workflow.send({"t": "cancel"})
        self.cancel_deadline = time.monotonic() + self.host.settings.cancel_grace
        if kind == "force-cancel":
            self._end_operations(STOPPED)

    def _end_operations(self, why: str) -> None:
        for operation in self.active.values():
            operation.end(why)

    def _kill_workflow(self) -> None:
        """It had its time to end by itself, and nothing of its own runs any more."""
        if self.workflow is not None:
            self.workflow.kill()

    def _end_all(self) -> None:
        """Nothing of this execution may live on, whatever happened here."""
        children = [operation.child for operation in self.active.values() if operation.child is not None]
        children += [self.workflow] if self.workflow is not None else []
        for child in children:
            child.kill()
        for child in children:
            await_end(child)
            child.close()
        for operation in list(self.active.values()):
            self._release(operation)

    def _conclude(self) -> Outcome:
        """The workflow process is gone: see that everything else is, and that the stored state says how it ended."""
        self.calls.flush()
        assert self.workflow is not None
        left: Iterable[Operation] = [*self.active.values(), *self.waiting]
        for operation in left:
            if operation.child is not None:
                operation.child.kill()
                await_end(operation.child)
                self._drain(operation.child, lambda message, owner=operation: self._finish_left(owner, message))
            operation.end(STOPPED if self.cancelled else INTERRUPTED)
            assert operation.result is not None
            self.calls.store_result(operation.id, self.calls.masked(operation.result))
        status, error = self.calls.final_status, self.calls.final_error
        if status is not None:
            return Outcome(status, error)
        if self.cancelled is not None:
            self.calls.report("cancelled", None)
            return Outcome(str(self.calls.final_status), self.calls.final_error)
        said = (self.said_done or {}).get("error")
        why = f"The process that ran the workflow ended unexpectedly ({said or self.workflow.describe_end()}). Resume the execution to go on."
        self.calls.report("failed", why)
        return Outcome("failed", why, died=True)

    @staticmethod
    def _finish_left(operation: Operation, message: Row) -> None:
        if message.get("t") == "done":
            operation.finished(message)


def await_end(child: Child, seconds: float = END_WAIT) -> None:
    """Wait until the supervisor says that everything of this child is gone."""
    deadline = time.monotonic() + seconds
    child.lifeline.settimeout(1.0)
    while not child.ended and time.monotonic() < deadline:
        child.read_lifeline()
