"""Writes what the tasks of a process report: one transaction at a time, each for all who wait, so a busy process has few of them."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Protocol, TypeVar
from uuid import UUID

from django.db import InterfaceError, OperationalError, connection

from runs import clock, executor, parents, written
from runs.context import StepContext
from runs.events import NewEvent
from runs.executor import Outcome
from runs.ledger import Book, opened
from runs.models import Run, Step
from runs.operations import REGISTRY
from runs.states import FINAL_RUN_STATES, RunState, StepState
from runs.workers import me

Item = tuple[int, int, int]  # run, step, attempt of the step: it is taken only if nobody took it since
Report = tuple[StepContext, Outcome]
RETRY_SECONDS = 60.0  # how long the database may be away before a task gives up

logger = logging.getLogger(__name__)
Result = TypeVar("Result")


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


class Crew(Protocol):
    """Who hands in slips, see runs.work."""

    in_hand: dict[int, StepContext]

    def make_room(self, reported: int) -> None:
        """A transaction begins in which so many of its steps end: count how many more it may take."""

    def adopt(self, step: Step) -> UUID | None:
        """See runs.ledger.Adopt."""

    def drop(self, context: StepContext) -> None:
        """The step is not in hand any more: what came of it is written, or is somebody else's concern."""


class Slip:
    """What one crew wants to have written, and the steps that it got for it."""

    def __init__(self, crew: Crew, reports: list[Report], said: list[NewEvent]) -> None:
        self.crew, self.reports, self.said = crew, reports, said
        self.begun: list[StepContext] = []
        self.error: BaseException | None = None
        self.is_done = False


class Desk:
    """Where all tasks of a process have their slips written: whoever finds it free writes those of all, in one transaction."""

    def __init__(self) -> None:
        self._slips: queue.SimpleQueue[Slip] = queue.SimpleQueue()
        self._writing = threading.Lock()

    def write(self, slip: Slip) -> list[StepContext]:
        """The steps that the crew of this slip shall do next."""
        self._slips.put(slip)
        with self._writing:
            if not slip.is_done:
                self.write_all(self.take_slips())
        if slip.error is not None:
            raise slip.error
        return slip.begun

    def write_all(self, slips: list[Slip]) -> None:
        """All of them, or none: what goes wrong is every crew's to know."""
        try:
            ended = persistently(lambda: self.write_reports(slips))
            for slip in slips:
                for context, _ in slip.reports:
                    slip.crew.drop(context)
            if ended:
                persistently(lambda: self.follow(slips, ended))
        except BaseException as error:
            for slip in slips:
                slip.error = error
        for slip in slips:
            slip.is_done = True

    def take_slips(self) -> list[Slip]:
        """All that wait; they are this thread's concern from now on."""
        slips = []
        try:
            while True:
                slips.append(self._slips.get_nowait())
        except queue.Empty:
            return slips

    def write_reports(self, slips: list[Slip]) -> list[Run]:
        """In one transaction: how steps ended, their rows, what was said, and the beginning of what follows. The runs that ended."""
        reports = {context.step_id: (context, outcome) for slip in slips for context, outcome in slip.reports}
        said = [event for slip in slips for event in slip.said]
        crew_of = {context.run_id: slip.crew for slip in slips for context, _ in slip.reports}
        in_hand = {step_id: context for slip in slips for step_id, context in slip.crew.in_hand.items()}
        for slip in slips:
            slip.crew.make_room(len(slip.reports))
            slip.begun = []
        run_ids = {context.run_id for context, _ in reports.values()} | {event.run_id for event in said}
        with opened(run_ids, lambda step: crew_of[step.run_id].adopt(step)) as book:
            mine = {step.pk: step for steps in book.steps.values() for step in steps if is_mine(step, in_hand)}
            book.events += [event for event in said if event.step_id in mine]
            for step_id, (context, _) in list(reports.items()):
                if step_id not in mine or mine[step_id].attempt != context.attempt:
                    logger.warning("Step %s was handed on meanwhile; what came of it here is dropped", step_id)
                    del reports[step_id]
            faults = written.store([context for context, _ in reports.values()])
            for step_id, (context, outcome) in reports.items():
                if fault := faults.get(step_id):
                    outcome = executor.not_stored(outcome, fault, context)
                record(book, mine[step_id], outcome)
            for run_id in crew_of.keys() & book.runs.keys():
                book.settle(book.runs[run_id])
        self.share_out(slips, contexts_of(book), crew_of)
        return book.ended

    def follow(self, slips: list[Slip], ended: list[Run]) -> None:
        """Start what waited for the end of these runs, here as far as there is room."""
        taken: dict[int, Crew] = {}

        def adopt(step: Step) -> UUID | None:
            for slip in slips:
                worker = slip.crew.adopt(step)
                if worker is not None:
                    taken[step.run_id] = slip.crew
                    return worker
            return None

        for book in parents.follow(ended, adopt):
            self.share_out(slips, contexts_of(book), taken)

    def share_out(self, slips: list[Slip], contexts: list[StepContext], crew_of: dict[int, Crew]) -> None:
        """Give begun steps to the crews that said they would take them."""
        slip_of = {id(slip.crew): slip for slip in slips}
        for context in contexts:
            slip_of[id(crew_of[context.run_id])].begun.append(context)


desk = Desk()


def is_mine(step: Step, in_hand: dict[int, StepContext]) -> bool:
    """The fence: is the step still as it was when it was begun here?"""
    held = in_hand.get(step.pk)
    return (
        held is not None and step.state == StepState.RUNNING and step.attempt == held.attempt and step.worker == me.id
    )


def contexts_of(book: Book) -> list[StepContext]:
    """What the operations of the steps begun in this book will hold."""
    return [StepContext(step, book.runs[step.run_id]) for step in book.begun]


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
    at = clock.now() if is_urgent else clock.now() + timedelta(seconds=outcome.later.seconds)
    book.wait(step, outcome.later, at)
