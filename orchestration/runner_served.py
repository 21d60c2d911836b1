"""Operations that the portal carries out itself, for an execution: no process of their own, looked at from time to time until they end.

A look runs in a thread of a pool, and between two looks nothing but this bookkeeping is left. What they do is not known here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from orchestration.runner_calls import CallServer
from orchestration.runner_operation import Operation, error_of
from orchestration.runner_types import Gateway, Look, Row, Served, Subject

PLUGIN = "cfy_extensions"
UNFORESEEN = "The operation ended for a reason that was not foreseen ({}). Look at the log of the portal, then resume."


class Work:
    """One operation under way."""

    def __init__(self, operation: Operation, served: Served) -> None:
        self.operation = operation
        self.served = served
        self.next_look = time.monotonic()
        self.look: Future[Look] | None = None
        self.is_cancelled = False


class ServedOperations:
    """Those of one execution; all methods are called by the thread that runs it."""

    def __init__(
        self,
        calls: CallServer,
        gateway: Gateway,
        executor: Callable[[], Executor],
        deliver: Callable[[Operation], None],
        wake: Callable[[], None],
    ) -> None:
        self._calls = calls
        self._gateway = gateway
        self._executor = executor
        self._deliver = deliver
        self._wake = wake
        self._works: list[Work] = []

    @property
    def is_empty(self) -> bool:
        """Is none under way?"""
        return not self._works

    def takes(self, operation: Operation) -> bool:
        """Is this one for the portal itself?"""
        plugin = str((operation.context.get("plugin") or {}).get("name") or "")
        return plugin.rpartition("--")[2] == PLUGIN

    def start(self, operation: Operation) -> None:
        """Begin: read what it is about, with functions evaluated; the first look follows at once."""
        # Stored before it runs: if everything is killed now, it is known to have been caught in the middle.
        self._calls.set_operation_state(operation.id, {"state": "started"})
        served = self._gateway.served(str(operation.context.get("task_name") or ""))
        problem = "This manager has nobody to carry it out." if served is None else ""
        subject = None if served is None else self._subject(operation)
        if isinstance(subject, str):
            problem = subject
        elif served is not None and subject is not None:
            problem = served.prepare(subject)
        if problem or served is None:
            self._end(operation, problem)
            return
        self._works.append(Work(operation, served))

    def step(self) -> None:
        """Take in the looks that are over, and begin those that are due."""
        for work in list(self._works):
            if work.look is not None and work.look.done():
                self._take(work, work.look)
            if work in self._works and work.look is None and time.monotonic() >= work.next_look:
                work.look = self._executor().submit(work.served.look)
                work.look.add_done_callback(lambda _: self._wake())

    def next_time(self) -> float | None:
        """When the next look is due; None while all are being looked at, which wakes us."""
        return min((work.next_look for work in self._works if work.look is None), default=None)

    def cancel(self, kind: str) -> None:
        """Pass on that somebody wants an end: cancel, force-cancel or kill."""
        for work in self._works:
            work.served.cancel(kind)
            work.is_cancelled = True
            work.next_look = time.monotonic()

    def end(self, why: str) -> None:
        """End all with this error; what was cancelled and goes on elsewhere is told so once more, without waiting for it."""
        for work in list(self._works):
            if work.is_cancelled and work.look is None:
                self._executor().submit(work.served.look)
            self._works.remove(work)
            self._end(work.operation, f"{why}. {work.served.describe()}".strip())

    def _take(self, work: Work, future: Future[Look]) -> None:
        work.look = None
        error = future.exception()
        if error is not None:
            look = Look(error=UNFORESEEN.format(type(error).__name__))
        else:
            look = future.result()
        for level, text in look.said:
            self._calls.say(work.operation, level, text)
        if look.properties is not None and not self._store(work.operation, look.properties):
            look = Look(error="What it found could not be stored. Resume the execution to go on.")
        if look.error or look.is_done:
            self._works.remove(work)
            self._end(work.operation, look.error, look.result)
        else:
            work.next_look = time.monotonic() + look.wait

    def _end(self, operation: Operation, error: str, result: Any = None) -> None:
        told = error_of(error) if error else None
        operation.result = operation.result or {"id": operation.id, "error": told, "result": result}
        self._deliver(operation)

    def _subject(self, operation: Operation) -> Subject | str:
        """Whom it is about and with what inputs, or what is wrong with them."""
        context = operation.context
        related = context.get("related") or {}
        own, other = str(context.get("node_id") or ""), str(related.get("node_id") or "")
        # Of a relationship it is the target that an operation of ours is about.
        instance_id = other if related.get("is_target") else own
        ends = {"self": own} if not related else {"source": own, "target": other}
        if related and not related.get("is_target"):
            ends = {"source": other, "target": own}
        inputs = self._calls.ask("POST", "/evaluate/functions", body={"payload": operation.inputs, "context": ends})
        instance = self._calls.ask("GET", f"/node-instances/{instance_id}")
        if instance.status != 200 or inputs.status != 200:
            return self._calls.words_of(inputs if inputs.status != 200 else instance)
        query = {"id": instance.body["node_id"], "_evaluate_functions": True, "_instance_context": instance_id}
        nodes = self._calls.ask("GET", "/nodes", query)
        if nodes.status != 200 or not nodes.body["items"]:
            return self._calls.words_of(nodes)
        return Subject(
            instance_id=instance_id,
            operation=str((context.get("operation") or {}).get("name") or ""),
            properties=nodes.body["items"][0].get("properties") or {},
            runtime_properties=instance.body.get("runtime_properties") or {},
            inputs=inputs.body["payload"],
            folder=self._calls.order.blueprint_folder,
        )

    def _store(self, operation: Operation, changes: Row) -> bool:
        """Put these into the runtime properties; None takes one out."""
        related = operation.context.get("related") or {}
        name = related["node_id"] if related.get("is_target") else operation.context.get("node_id")
        instance = self._calls.ask("GET", f"/node-instances/{name}")
        if instance.status != 200:
            return False
        whole = {**(instance.body.get("runtime_properties") or {}), **self._calls.masked(changes)}
        body = {
            "runtime_properties": {key: value for key, value in whole.items() if value is not None},
            "version": instance.body["version"],
        }
        return self._calls.ask("PATCH", f"/node-instances/{name}", {"force": True}, body).status == 200
