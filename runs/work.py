"""One task of a worker: takes steps that are due, works on them side by side, and goes on with what follows where that is cheap."""

from __future__ import annotations

import queue
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from uuid import UUID

from django.conf import settings
from django.db import connections

from runs import executor
from runs.context import StepContext
from runs.desk import Item, Report, Slip, claim, desk, persistently
from runs.models import Step
from runs.operations import REGISTRY
from runs.workers import hand_on, me

BATCH = 100  # steps of cheap operations in one task
BUDGET_SECONDS = 20.0  # after that a task begins nothing more: what comes next is due for any worker
FLUSH_SECONDS = 0.2  # how long a message of an operation at work may stay unwritten


@cache
def pool() -> ThreadPoolExecutor:
    """The threads in which operations of this process run."""
    return ThreadPoolExecutor(max_workers=settings.RUN_THREADS, thread_name_prefix="operation")


class Crew:
    """The steps that one task has in hand."""

    def __init__(self) -> None:
        self.began_at = time.monotonic()
        self.in_hand: dict[int, StepContext] = {}
        self.done: queue.SimpleQueue[Report] = queue.SimpleQueue()
        self.free = 0  # how many more steps it may take in the transaction that is being written

    def work(self, items: Sequence[Item]) -> None:
        """Until nothing is in hand any more."""
        try:
            self.take(persistently(lambda: claim(items)))
            while self.in_hand:
                self.turn()
        finally:
            if self.in_hand:
                self.give_up()

    def turn(self) -> None:
        """Wait for something to end or to be said, have it written, take what comes next."""
        reports: list[Report] = []
        try:
            reports.append(self.done.get(timeout=FLUSH_SECONDS))
            while True:
                reports.append(self.done.get_nowait())
        except queue.Empty:
            pass
        said = [event for context in self.in_hand.values() for event in context.take_said()]
        if reports or said:
            self.take(desk.write(Slip(self, reports, said)))

    def make_room(self, reported: int) -> None:
        """A transaction begins in which so many of its steps end: count how many more it may take."""
        self.free = BATCH - len(self.in_hand) + reported

    def adopt(self, step: Step) -> UUID | None:
        """Go on with this step at once: when time is left, and either it is cheap or nothing else is in hand."""
        if me.is_stopping.is_set() or time.monotonic() - self.began_at > BUDGET_SECONDS:
            return None
        known = REGISTRY.get(step.operation)
        is_cheap = known is not None and known.is_batchable
        if self.free <= (0 if is_cheap else BATCH - 1):
            return None
        self.free -= 1
        return me.id

    def take(self, contexts: list[StepContext]) -> None:
        """Start the operations of steps that were begun here."""
        for context in contexts:
            self.in_hand[context.step_id] = context
            me.in_hand[context.step_id] = context.attempt
        executor.prepare(contexts)
        for context in contexts:
            if settings.RUN_THREADS:
                pool().submit(self.perform, context)
            else:
                self.done.put((context, executor.perform(context)))

    def perform(self, context: StepContext) -> None:
        """In a thread of the pool."""
        try:
            self.done.put((context, executor.perform(context)))
        finally:
            release_connections()

    def drop(self, context: StepContext) -> None:
        """The step is not in hand any more: what came of it is written, or is somebody else's concern."""
        self.in_hand.pop(context.step_id, None)
        me.in_hand.pop(context.step_id, None)

    def give_up(self) -> None:
        """The task breaks off: others go on with what it has in hand."""
        left = list(self.in_hand.values())
        for context in left:
            self.drop(context)
        persistently(lambda: hand_on(context.step for context in left))


def release_connections() -> None:
    """Back to the connection pool, where there is one; a thread without keeps its connection."""
    for one in connections.all(initialized_only=True):
        if one.settings_dict["OPTIONS"].get("pool"):
            one.close()
