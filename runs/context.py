"""What an operation holds while it looks or acts: memory, messages, secrets, rows to store; the desk writes what it said."""

from __future__ import annotations

import threading
import time
from typing import Any, TypeVar

from runs import clock
from runs.events import NewEvent
from runs.models import Run, Step
from runs.operations import Writer
from runs.states import ACTIVE_RUN_STATES

Item = TypeVar("Item")
FLAG_SECONDS = 0.5  # how old the answer of is_cancelled may be


class Cancels:
    """The active runs that are to be cancelled, read at most twice a second for all steps at work in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked_at = -FLAG_SECONDS
        self._runs: frozenset[int] = frozenset()

    def include(self, run_id: int) -> bool:
        with self._lock:
            if time.monotonic() - self._asked_at > FLAG_SECONDS:
                rows = Run.objects.filter(is_cancel_requested=True, state__in=ACTIVE_RUN_STATES)
                asked_at = time.monotonic()
                self._runs = frozenset(rows.values_list("pk", flat=True))
                self._asked_at = asked_at
            return run_id in self._runs


_cancels = Cancels()


class StepContext:
    """Implements runs.operations.Context for one begun step; used by one thread, emptied by another."""

    def __init__(self, step: Step, run: Run) -> None:
        self.run_id = run.pk
        self.run_attempt = run.attempt
        self.step_id = step.pk
        self.attempt = step.attempt
        self.memory: dict[str, Any] = dict(step.memory)
        self.step = step
        self.mode = run.mode
        self.top_id = run.top_id
        self.written: list[tuple[Writer[Any], Any]] = []
        self._is_cancelled = run.is_cancel_requested
        self._read_at = time.monotonic()
        self._hidden: set[str] = set()
        self._said: list[NewEvent] = []
        self._lock = threading.Lock()

    def say(self, message: str, *, kind: str = "message", **data: Any) -> None:
        told, masked = self.mask(message), self.mask_all(data)
        event = NewEvent(self.run_id, self.top_id, self.step_id, kind[:64], told, masked, clock.now())
        with self._lock:
            self._said.append(event)

    def take_said(self) -> list[NewEvent]:
        """What was said since the last call, oldest first."""
        if not self._said:
            return []
        with self._lock:
            said, self._said = self._said, []
        return said

    def write(self, writer: Writer[Item], item: Item) -> None:
        self.written.append((writer, item))

    def hide(self, value: str) -> str:
        if value:
            self._hidden.add(value)
        return value

    def mask(self, text: str) -> str:
        """`text` with *** for every hidden value."""
        for value in sorted(self._hidden, key=len, reverse=True):
            text = text.replace(value, "***")
        return text

    def mask_all(self, value: Any) -> Any:
        """The same in everything inside a JSON value."""
        if isinstance(value, str):
            return self.mask(value)
        if isinstance(value, dict):
            return {self.mask(str(key)): self.mask_all(inner) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.mask_all(inner) for inner in value]
        return value

    def is_cancelled(self) -> bool:
        if not self._is_cancelled and time.monotonic() - self._read_at > FLAG_SECONDS:
            self._is_cancelled = _cancels.include(self.run_id)
        return self._is_cancelled
