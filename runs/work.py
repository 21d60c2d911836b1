"""One task of a worker: takes steps that are due, works on them side by side, writes how they ended, goes on where that is cheap.

The thread of the task is the only one that writes: what ends while it writes goes into its next transaction. The operations run in
a pool of threads that the whole process shares.
"""
from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import cache
from typing import TypeVar
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, connections
from django.utils import timezone

from runs import executor, parents
from runs.context import StepContext
from runs.executor import Outcome
from runs.ledger import Book, opened
from runs.models import Event, Run, Step
from runs.operations import REGISTRY
from runs.states import FINAL_RUN_STATES, RunState, StepState
from runs.workers import hand_on, me

Item = tuple[int, int, int]  # run, step, attempt of the step: it is taken only if nobody took it since
BATCH = 50  # steps of cheap operations in one task
BUDGET_SECONDS = 20.0  # after that a task begins nothing more: what comes next is due for any worker
FLUSH_SECONDS = 0.2  # how long a message of an operation at work may stay unwritten
RETRY_SECONDS = 60.0  # how long the database may be away before a task gives up

logger = logging.getLogger(__name__)
Result = TypeVar("Result")


@cache
def pool() -> ThreadPoolExecutor:
    """The threads in which operations of this process run."""
    return ThreadPoolExecutor(max_workers=settings.RUN_THREADS, thread_name_prefix="operation")


def persistently(write: Callable[[], Result]) -> Result:
    """Carry out a transaction; where the database is away or its lock is taken for long, try again for a while."""
    until, pause = time.monotonic() + RETRY_SECONDS, 0.1
    while True:
        try:
            return write()
        except (OperationalError, InterfaceError) as error:
            if connection.in_atomic_block or time.monotonic() > until:
                raise
            logger.warning("The database did not take a transaction and is asked again in %.1f s: %s", pause, error)
            connection.close()
            time.sleep(pause)
            pause = min(pause * 2, 5.0)


class Crew:
    """The steps that one task has in hand, and what came of them."""

    def __init__(self) -> None:
        self.began_at = time.monotonic()
        self.in_hand: dict[int, StepContext] = {}
        self.done: queue.SimpleQueue[tuple[StepContext, Outcome]] = queue.SimpleQueue()
        self.adopted = 0

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
        """Wait for something to end or to be said, write it, take what comes next."""
        reports: list[tuple[StepContext, Outcome]] = []
        try:
            reports.append(self.done.get(timeout=FLUSH_SECONDS))
            while True:
                reports.append(self.done.get_nowait())
        except queue.Empty:
            pass
        said = [event for context in self.in_hand.values() for event in context.take_said()]
        if not reports and not said:
            return
        begun, ended = persistently(lambda: self.write(reports, said))
        for context, _ in reports:
            self.in_hand.pop(context.step_id)
            me.in_hand.pop(context.step_id, None)
        self.take(begun)
        if ended:
            self.take(persistently(lambda: self.follow(ended)))

    def write(self, reports: list[tuple[StepContext, Outcome]], said: list[Event]) -> tuple[list[StepContext], list[Run]]:
        self.adopted = len(self.in_hand) - len(reports)
        run_ids = {context.run_id for context, _ in reports} | {event.run_id for event in said}
        with opened(run_ids, self.adopt) as book:
            mine = {step.pk for steps in book.steps.values() for step in steps if is_mine(step, self.in_hand)}
            book.events += [event for event in said if event.step_id in mine]
            for context, outcome in reports:
                step = book.find(context.run_id, context.step_id)
                if step is None or step.pk not in mine:
                    logger.warning("Step %s was handed on meanwhile; what came of it here is dropped", context.step_id)
                    continue
                record(book, step, outcome)
            for run_id in {context.run_id for context, _ in reports} & book.runs.keys():
                book.settle(book.runs[run_id])
        return contexts_of(book), book.ended

    def follow(self, ended: list[Run]) -> list[StepContext]:
        self.adopted = len(self.in_hand)
        return [context for book in parents.follow(ended, self.adopt) for context in contexts_of(book)]

    def adopt(self, step: Step) -> UUID | None:
        """Go on with this step at once: when time is left, and either it is cheap or nothing else is in hand."""
        if me.is_stopping.is_set() or time.monotonic() - self.began_at > BUDGET_SECONDS:
            return None
        known = REGISTRY.get(step.operation)
        limit = BATCH if known is not None and known.is_batchable else 1
        if self.adopted >= limit:
            return None
        self.adopted += 1
        return me.id

    def take(self, contexts: list[StepContext]) -> None:
        """Start the operations of steps that were begun here."""
        for context in contexts:
            self.in_hand[context.step_id] = context
            me.in_hand[context.step_id] = context.attempt
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

    def give_up(self) -> None:
        """The task breaks off: others go on with what it has in hand."""
        for step_id in self.in_hand:
            me.in_hand.pop(step_id, None)
        persistently(lambda: hand_on(context.step for context in self.in_hand.values()))


def release_connections() -> None:
    """Back to the connection pool, where there is one; a thread without keeps its connection."""
    for one in connections.all(initialized_only=True):
        if one.settings_dict["OPTIONS"].get("pool"):
            one.close()


def is_mine(step: Step, in_hand: dict[int, StepContext]) -> bool:
    """The fence: is the step still as it was when it was begun here?"""
    held = in_hand.get(step.pk)
    return held is not None and step.state == StepState.RUNNING and step.attempt == held.attempt and step.worker == me.id


def contexts_of(book: Book) -> list[StepContext]:
    """What the operations of the steps begun in this book will hold."""
    return [
        StepContext(
            step,
            mode=book.runs[step.run_id].mode,
            top_id=book.runs[step.run_id].top_id,
            is_cancel_requested=book.runs[step.run_id].is_cancel_requested,
        )
        for step in book.begun
    ]


def claim(items: Sequence[Item]) -> list[StepContext]:
    """Take the steps that still are as the message says and may begin."""
    with opened({run_id for run_id, _, _ in items}) as book:
        for run_id, step_id, attempt in items:
            step, run = book.find(run_id, step_id), book.runs.get(run_id)
            if step is None or run is None or step.attempt != attempt or run.state in FINAL_RUN_STATES:
                continue
            if step.state == StepState.WAITING:
                book.begin(step, me.id)
            elif step.state == StepState.PENDING and step.next_look_at is not None:
                if not run.is_cancel_requested:
                    book.move_run(run, RunState.RUNNING)
                book.begin(step, me.id)
    return contexts_of(book)


def record(book: Book, step: Step, outcome: Outcome) -> None:
    """Write what came of one look at a step."""
    step.memory, step.is_applied = outcome.memory, outcome.is_applied
    if outcome.later is None:
        book.end(step, outcome.state, outcome.why, outcome.cause)
        return
    operation = REGISTRY.get(step.operation)
    # A cancel that came while the operation looked is told at once, unless the operation must come to its own end.
    is_urgent = (
        book.runs[step.run_id].is_cancel_requested
        and not outcome.is_cancelling
        and operation is not None
        and operation.is_interruptible
    )
    at = timezone.now() if is_urgent else timezone.now() + timedelta(seconds=outcome.later.seconds)
    book.wait(step, outcome.later, at)
