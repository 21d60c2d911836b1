"""Runs the operation processes of one execution: those that wait for a free place, those that run, and what became of them."""

from __future__ import annotations

import selectors
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, Protocol

from orchestration.runner_calls import CallServer
from orchestration.runner_operation import Operation
from orchestration.runner_process import Child, LineTooLong
from orchestration.runner_served import ServedOperations
from orchestration.runner_types import Answer, Row, RunnerSettings

END_WAIT = 10.0
STOPPED = "The operation was stopped: the execution was cancelled"


class Host(Protocol):
    """What an execution needs of RunnerHost."""

    settings: RunnerSettings
    slots: threading.BoundedSemaphore

    def lookers(self) -> Executor: ...
    def spawn(self, kind: str, key: str, first: Row, line_limit: int, **more: Any) -> Child: ...
    def evaluate(self, of: str, payload: Any, context: Row | None, storage: Any) -> Any: ...


class OperationPool:
    """The operations of one execution; all methods are called by the thread that runs it."""

    def __init__(
        self,
        host: Host,
        key: str,
        calls: CallServer,
        selector: selectors.BaseSelector,
        deliver: Callable[[Operation], None],
        served: ServedOperations,
    ) -> None:
        self.host = host
        self.key = key
        self.calls = calls
        self.selector = selector
        self.deliver = deliver
        self.served = served
        self.waiting: list[Operation] = []
        self.active: dict[str, Operation] = {}
        self.stopping = False

    @property
    def is_empty(self) -> bool:
        """Does nothing run or wait?"""
        return not self.active and not self.waiting and self.served.is_empty

    def add(self, message: Row) -> None:
        """The workflow asks for an operation."""
        self.waiting.append(Operation(str(message["id"]), dict(message["kwargs"])))

    def next_deadline(self) -> float | None:
        """When an operation's time is over."""
        return min(
            (operation.deadline for operation in self.active.values() if operation.deadline is not None), default=None
        )

    def expire(self) -> None:
        """End the operations whose time is over."""
        now = time.monotonic()
        for operation in list(self.active.values()):
            if operation.deadline is not None and now > operation.deadline:
                if operation.result is not None and operation.child is not None:
                    operation.child.kill()
                operation.expire()

    def end(self, why: str) -> None:
        """End all that run with this error."""
        for operation in self.active.values():
            operation.end(why)
        self.served.end(why)

    def conclude(self, why: str) -> None:
        """The workflow process is gone: end what is left, and deliver how each ended."""
        for operation in [*self.active.values(), *self.waiting]:
            if operation.child is not None:
                operation.child.kill()
                await_end(operation.child)
                drain(operation.child, lambda message, owner=operation: finish_left(owner, message))
            operation.end(why)
            self.deliver(operation)
        self.waiting.clear()
        self.served.end(why)

    def close(self) -> None:
        """Nothing may live on, whatever happened."""
        for operation in list(self.active.values()):
            if operation.child is not None:
                operation.child.kill()
                await_end(operation.child)
                operation.child.close()
            self._release(operation)

    def start_waiting(self) -> None:
        """Start what a place is free for."""
        while self.waiting:
            if self.stopping:
                operation = self.waiting.pop(0)
                operation.end(STOPPED)
                self.deliver(operation)
                continue
            if self.served.takes(self.waiting[0]):  # it holds no process, hence needs no place
                self.served.start(self.waiting.pop(0))
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
        child = self.host.spawn(
            "operation", self.key, {"kwargs": operation.kwargs}, settings.operation_line, environment=environment
        )
        operation.begin(child)
        self.selector.register(child.pipe, selectors.EVENT_READ, lambda _: self._on_operation(operation, child))
        self.selector.register(child.lifeline, selectors.EVENT_READ, lambda _: self._on_operation_end(operation, child))

    def _on_operation(self, operation: Operation, child: Child) -> None:
        if child.ended:
            # Its end was in the same batch of news, and was taken first.
            return
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
            answer(operation.child, message, self.calls.serve(message, operation))
        elif kind == "done":
            operation.finished(message)
        elif kind == "broken":
            operation.end(f"The operation's process could not start: {message.get('error')}")

    def _on_operation_end(self, operation: Operation, child: Child) -> None:
        child.read_lifeline()
        if not child.ended:
            return
        self.selector.unregister(child.lifeline)
        drain(child, lambda message: self._take_operation_message(operation, message))
        if child.pipe in self.selector.get_map():
            self.selector.unregister(child.pipe)
        if operation.result is None:
            operation.end(f"The operation's process ended without a result ({child.describe_end()})", recoverable=True)
        child.close()
        self._release(operation)
        self.deliver(operation)

    def _release(self, operation: Operation) -> None:
        self.active.pop(operation.id, None)
        if operation.slot:
            operation.slot = False
            self.host.slots.release()


def answer(child: Child | None, message: Row, said: Answer) -> None:
    """Answer a REST call, if the child waits for an answer."""
    if child is not None and "n" in message:
        child.send({"t": "answer", "n": message["n"], "status": said.status, "body": said.body})


def finish_left(operation: Operation, message: Row) -> None:
    """The last words of an operation's process."""
    if message.get("t") == "done":
        operation.finished(message)


def drain(child: Child, take: Any) -> None:
    """What is still in the pipe of an ended child."""
    try:
        child.pipe.settimeout(0.5)
        while (messages := child.read()) is not None:
            for message in messages:
                take(message)
    except LineTooLong:
        return


def await_end(child: Child, seconds: float = END_WAIT) -> None:
    """Wait until the supervisor says that everything of this child is gone."""
    deadline = time.monotonic() + seconds
    child.lifeline.settimeout(1.0)
    while not child.ended and time.monotonic() < deadline:
        child.read_lifeline()
