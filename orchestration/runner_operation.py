"""The operation processes of one execution: which wait for a free place, which run, until when, and what became of them."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from orchestration.runner_process import Child
from orchestration.runner_types import Row

EXIT_GRACE = 5.0


@dataclasses.dataclass
class Operation:
    """One operation that the workflow asked for; `child` once it runs."""

    id: str
    kwargs: Row
    child: Child | None = None
    slot: bool = False
    deadline: float | None = None
    result: Row | None = None
    rules: list[Any] = dataclasses.field(default_factory=list)

    @property
    def context(self) -> Row:
        """The operation's __cloudify_context."""
        return dict(self.kwargs.get("__cloudify_context") or {})

    @property
    def instances(self) -> list[str]:
        """The node instances that it may change: its own, or both ends of the relationship."""
        related = self.context.get("related") or {}
        return [str(name) for name in (self.context.get("node_id"), related.get("node_id")) if name]

    @property
    def inputs(self) -> Row:
        """Its arguments without the context."""
        return {key: value for key, value in self.kwargs.items() if key != "__cloudify_context"}

    def begin(self, child: Child) -> None:
        """It runs now."""
        self.child = child
        seconds = self.context.get("timeout")
        self.deadline = time.monotonic() + float(seconds) if seconds else None

    def expire(self) -> None:
        """Its time is over: end it, and say so in its result."""
        self.deadline = None
        if self.result is None:
            seconds = self.context.get("timeout")
            recoverable = self.context.get("timeout_recoverable") is not False
            self.end(
                f"The operation was ended: it took longer than its timeout of {seconds} seconds",
                recoverable=recoverable,
            )

    def end(self, why: str, *, recoverable: bool = False) -> None:
        """End it with this error, unless it has already said how it ended."""
        self.result = self.result or {"id": self.id, "error": error_of(why, recoverable=recoverable)}
        if self.child is not None:
            self.child.kill()

    def finished(self, message: Row) -> None:
        """Its process has said how it ended; it has a moment to go."""
        if self.result is None:
            error = message.get("error")
            error = (
                error
                if error is None or is_error(error)
                else error_of("The operation reported an error that cannot be read")
            )
            self.result = {"id": self.id, "error": error, "result": message.get("result")}
        self.deadline = time.monotonic() + EXIT_GRACE


def error_of(message: str, *, recoverable: bool = False) -> Row:
    """An error of an operation as the library serializes one."""
    kind = "RecoverableError" if recoverable else "NonRecoverableError"
    return {
        "exception_type": kind,
        "message": message,
        "known_exception_type": kind,
        "known_exception_type_args": [],
        "known_exception_type_kwargs": {"causes": [{"message": message, "type": kind, "traceback": None}]},
        "append_message": False,
        "traceback": "",
    }


KNOWN_ERRORS = (
    "NonRecoverableError",
    "RecoverableError",
    "OperationRetry",
    "HttpException",
    "StopAgent",
    "WorkflowFailed",
)


def is_error(error: Any) -> bool:
    """Has it the shape that the workflow process can turn into an exception? (Code of a blueprint may have sent it.)"""
    return (
        isinstance(error, dict)
        and error.get("known_exception_type") in KNOWN_ERRORS
        and isinstance(error.get("message"), str)
        and isinstance(error.get("known_exception_type_args"), list)
        and isinstance(error.get("known_exception_type_kwargs"), dict)
        and set(error["known_exception_type_kwargs"]) <= {"causes"}
        and isinstance(error.get("append_message"), bool)
    )
