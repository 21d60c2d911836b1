"""Hands the operations of a workflow to the portal, which starts a process for each, and takes their results back."""

from __future__ import annotations

import contextlib
import copy
import queue
import threading
from typing import Any

from cloudify import exceptions
from cloudify.error_handling import deserialize_known_exception
from cloudify.state import current_workflow_ctx

from .wire import Message, Pipe

RUN_AGAIN = {"sent": False, "started": True, "response_sent": True}


class Dispatcher:
    """Stands in for the library's AMQP dispatcher."""

    def __init__(self, workflow_ctx: Any, pipe: Pipe) -> None:
        self.workflow_ctx = workflow_ctx
        self._pipe = pipe
        self._tasks: dict[str, Any] = {}
        self._results: queue.SimpleQueue[Message] = queue.SimpleQueue()
        _current.append(self)
        threading.Thread(target=self._take_results, name="results", daemon=True).start()

    def send_task(self, task: Any, target: str, queue: str) -> None:
        """Ask the portal to run this operation."""
        self._tasks[task.id] = task
        self._pipe.send({"t": "operation", "id": task.id, "kwargs": task.kwargs})

    def wait_for_result(self, task: Any, target: str) -> None:
        """Called before every send; a task restored from the stored graph as sent or started is sent from here."""
        resume = RUN_AGAIN.get(task.get_state())
        if resume is None:
            return
        task.kwargs["__cloudify_context"]["resume"] = resume
        self.send_task(task, target, "")

    def cleanup(self) -> None:
        """Nothing to clean: the portal ends what is left."""

    def on_result(self, message: Message) -> None:
        """Called by the reader of the pipe, which must not wait: setting a state makes REST calls."""
        self._results.put(message)

    def _take_results(self) -> None:
        while True:
            message = self._results.get()
            task = self._tasks.pop(str(message["id"]), None)
            if task is not None and not task.is_terminated:
                with current_workflow_ctx.push(task.workflow_context), contextlib.suppress(Exception):
                    finish(task, message)


def finish(task: Any, message: Message) -> None:
    """Set the task's state and wake up whoever waits for it."""
    error = message.get("error")
    if error is None:
        task.set_state("succeeded", result=message.get("result"))
        task.async_result.result = message.get("result")
        return
    task.error = error
    # deserialize_known_exception changes its argument
    exception = deserialize_known_exception(copy.deepcopy(error))
    retried = isinstance(exception, exceptions.OperationRetry)
    task.set_state("rescheduled" if retried else "failed", exception=exception)
    task.async_result.result = exception


_current: list[Dispatcher] = []


def deliver(message: Message) -> None:
    """Give a result to the dispatcher of this process (one execution a process)."""
    for dispatcher in _current:
        dispatcher.on_result(message)
