"""Runs one execution: a workflow process and its operation processes, all served by one thread that waits on their pipes."""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from typing import Any

from orchestration.runner_calls import CallServer
from orchestration.runner_operation import Operation
from orchestration.runner_pool import STOPPED, Host, OperationPool, answer, await_end, drain
from orchestration.runner_process import Child, LineTooLong
from orchestration.runner_served import ServedOperations
from orchestration.runner_types import Gateway, Outcome, Row, WorkflowOrder

SLOT_POLL = 0.02
IDLE = 1.0
LAST_GRACE = 5.0
FAR_GRACE = 30.0  # what another manager was told to stop needs longer than a process here
INTERRUPTED = "The operation was interrupted: the process of its workflow ended"


class ExecutionLoop:
    """One execution at work; `run` is called once, `cancel` from any thread."""

    def __init__(self, host: Host, order: WorkflowOrder, gateway: Gateway) -> None:
        self.host = host
        self.order = order
        self.calls = CallServer(host.settings, order, gateway, host.evaluate)
        self.selector = selectors.DefaultSelector()
        self.served = ServedOperations(self.calls, gateway, host.lookers, self._deliver, self._wake)
        self.pool = OperationPool(host, self.key, self.calls, self.selector, self._deliver, self.served)
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
        self._wake()

    @property
    def only_waits(self) -> bool:
        """Is all that it does at present to look at operations that hold no process?"""
        return not self.served.is_empty and not self.pool.active

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
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
                    self.calls.overdue = (
                        f"The execution was ended: it took longer than its limit of {self.order.time_limit:g} seconds"
                    )
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
        self.pool.start_waiting()
        self.served.step()
        self.pool.expire()
        if self.cancel_deadline is not None and time.monotonic() > self.cancel_deadline:
            self._end_grace()
        if self.deferred is not None and self.pool.is_empty:
            message, self.deferred = self.deferred, None
            answer(self.workflow, message, self.calls.serve(message, None))

    def _timeout(self) -> float:
        if self.pool.waiting:
            return SLOT_POLL
        times = (self.pool.next_deadline(), self.served.next_time(), self.cancel_deadline)
        deadlines = [deadline for deadline in times if deadline is not None]
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
            if self.calls.is_cancelled_report(message) and not self.pool.is_empty:
                # "cancelled" is stored when nothing runs any more.
                self.deferred = message
                return
            answer(self.workflow, message, self.calls.serve(message, None))
        elif kind == "operation":
            self.pool.add(message)
        elif kind in ("done", "broken"):
            self.said_done = message

    def _on_workflow_end(self, _: Any) -> None:
        assert self.workflow is not None
        self.workflow.read_lifeline()
        if self.workflow.ended:
            self.selector.unregister(self.workflow.lifeline)
            drain(self.workflow, self._take_workflow_message)

    def _deliver(self, operation: Operation) -> None:
        """Tell the workflow how an operation ended."""
        assert operation.result is not None
        result = self.calls.masked(operation.result)
        self.calls.unrecorded[operation.id] = result
        if self.workflow is not None and not self.workflow.ended:
            self.workflow.send({"t": "result", **result})

    # The end.

    def _on_wake(self, _: Any) -> None:
        self._wake_read.recv(1024)
        while self._wishes:
            self._take_wish(self._wishes.pop(0))

    def _take_wish(self, kind: str) -> None:
        assert self.workflow is not None
        self.cancelled = kind
        self.pool.stopping = True
        if kind == "kill":
            self.served.cancel(kind)
            self.pool.end(STOPPED)
            self.workflow.kill()
            return
        self.workflow.send({"t": "cancel"})
        self.served.cancel(kind)
        grace = self.host.settings.cancel_grace + (0.0 if self.served.is_empty else FAR_GRACE)
        self.cancel_deadline = time.monotonic() + grace
        if kind == "force-cancel":
            self.pool.end(STOPPED)

    def _end_grace(self) -> None:
        """Time is up after a cancel: end the operations; if there are none, the workflow process itself is stuck."""
        assert self.workflow is not None
        if self.pool.is_empty or self.cancelled == "force-cancel":
            self.workflow.kill()
        self.pool.end(STOPPED)
        self.cancel_deadline = time.monotonic() + LAST_GRACE

    def _end_all(self) -> None:
        """Nothing of this execution may live on, whatever happened here."""
        self.pool.close()
        if self.workflow is not None:
            self.workflow.kill()
            await_end(self.workflow)
            self.workflow.close()

    def _conclude(self) -> Outcome:
        """The workflow process is gone: see that everything else is, and that the stored state says how it ended."""
        self.calls.flush()
        assert self.workflow is not None
        self.pool.conclude(STOPPED if self.cancelled else INTERRUPTED)
        self.calls.store_results()
        status, error = self.calls.final_status, self.calls.final_error
        if status is not None:
            return Outcome(status, error)
        if self.cancelled is not None:
            self.calls.report("cancelled", None)
            return Outcome(str(self.calls.final_status), self.calls.final_error)
        said = (self.said_done or {}).get("error")
        why = f"The process that ran the workflow ended unexpectedly ({said or self.workflow.describe_end()}). Resume the execution to go on."
        if self.order.reports_death:
            self.calls.report("failed", why)
        return Outcome("failed", why, died=True)
