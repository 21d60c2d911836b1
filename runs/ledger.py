"""The one place that writes the states of runs and steps while they work: many rows in one transaction, under lock of their runs.

It is `move` for many rows: every change is of a row that is locked and was read under that lock, and leaves an event.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from runs import clock
from runs.alarm import expect
from runs.bulk import update_rows
from runs.decide import Decision, decide
from runs.events import NewEvent, insert_events
from runs.models import Run, Step
from runs.operations import Later
from runs.pokes import poke_after_commit
from runs.states import FINAL_RUN_STATES, RunState, StepState

OPEN_STEP_STATES = [StepState.PENDING, StepState.RUNNING, StepState.WAITING, StepState.FAILED]
STEP_FIELDS = (
    "state",
    "why",
    "cause",
    "attempt",
    "worker",
    "is_applied",
    "memory",
    "next_look_at",
    "deadline_at",
    "started_at",
    "ended_at",
)
RUN_FIELDS = (
    "state",
    "why",
    "cause",
    "attempt",
    "is_cancel_requested",
    "is_pause_requested",
    "request",
    "next_look_at",
    "started_at",
    "ended_at",
)
LONGEST_WHY = 512
Adopt = Callable[[Step], UUID | None]  # the worker that takes the step at once, or None: it becomes due for any worker


def nobody(step: Step) -> UUID | None:
    """Adopt nothing: what may begin becomes due."""
    return None


class Book:
    """Some runs, locked, with their open steps; what is changed here is written when the book closes."""

    def __init__(self, run_ids: Collection[int], adopt: Adopt, skip_locked: bool) -> None:
        clock.read_if_old()
        self.now = clock.now()
        self.adopt = adopt
        # NO KEY: events that name a locked run as theirs must not wait for it.
        rows = Run.objects.select_for_update(no_key=True, skip_locked=skip_locked).filter(pk__in=run_ids).order_by("pk")
        self.runs: dict[int, Run] = {run.pk: run for run in rows}
        self.steps: dict[int, list[Step]] = {pk: [] for pk in self.runs}
        open_steps = Step.objects.filter(run_id__in=list(self.runs), state__in=OPEN_STEP_STATES)
        for step in open_steps.order_by("stage", "lane", "position"):
            self.steps[step.run_id].append(step)
        self.begun: list[Step] = []
        self.ended: list[Run] = []
        self.events: list[NewEvent] = []
        self._changed_steps: dict[int, Step] = {}
        self._changed_runs: dict[int, Run] = {}

    def find(self, run_id: int, step_id: int) -> Step | None:
        """The open step, or None when it has ended or is gone."""
        return next((step for step in self.steps.get(run_id, ()) if step.pk == step_id), None)

    # --- steps ---------------------------------------------------------------------------------------------------
    def begin(self, step: Step, worker: UUID) -> None:
        """A worker takes a step that is due: begins it, or looks again at one that waits."""
        if step.state == StepState.PENDING:
            step.attempt += 1
            step.started_at = step.started_at or self.now
            self.tell_step(step, StepState.RUNNING)
            step.why = step.cause = ""
        step.state, step.worker, step.next_look_at = StepState.RUNNING, worker, None
        self._changed_steps[step.pk] = step
        self.begun.append(step)

    def end(self, step: Step, to: StepState, why: str = "", cause: str = "") -> None:
        """A step comes to its final state."""
        step.state, step.why, step.cause = to, why[:LONGEST_WHY], cause
        step.next_look_at = step.deadline_at = None
        step.ended_at = self.now
        self._changed_steps[step.pk] = step
        self.tell_step(step, to)
        if to != StepState.FAILED:
            self.steps[step.run_id].remove(step)

    def wait(self, step: Step, later: Later, at: datetime) -> None:
        """A step waits; told once, and again when the reason changes."""
        why = (later.why or "Waits.")[:LONGEST_WHY]
        is_news = step.why != why
        step.state, step.why, step.next_look_at = StepState.WAITING, why, at
        started = step.started_at or self.now
        step.deadline_at = None if later.deadline is None else started + timedelta(seconds=later.deadline)
        self._changed_steps[step.pk] = step
        if is_news:
            self.tell_step(step, StepState.WAITING)
        expect(at)

    def change_step(self, step: Step) -> None:
        """Remember that fields of the step were set."""
        self._changed_steps[step.pk] = step

    def hand_on(self, step: Step, why: str) -> None:
        """Take a step away from its worker; another one repeats it."""
        run = self.runs[step.run_id]
        run.attempt += 1
        self._changed_runs[run.pk] = run
        step.state, step.why, step.worker = StepState.PENDING, why, None
        self.make_due(step)
        self.tell_step(step, StepState.PENDING)

    def make_due(self, step: Step) -> None:
        """The sweeper will give it to a worker, now."""
        step.next_look_at = self.now
        self._changed_steps[step.pk] = step
        expect(self.now)

    def not_due(self, step: Step) -> None:
        """It must not begin after all."""
        if step.next_look_at is not None:
            step.next_look_at = None
            self._changed_steps[step.pk] = step

    # --- runs ----------------------------------------------------------------------------------------------------
    def move_run(self, run: Run, to: RunState, why: str = "", cause: str = "") -> None:
        """A run comes to a state; told when that is another one."""
        before = (run.state, run.why, run.cause, run.next_look_at)
        is_news = run.state != to
        run.state, run.why, run.cause = to, why[:LONGEST_WHY], cause
        if to == RunState.RUNNING and run.started_at is None:
            run.started_at = self.now
        if to in FINAL_RUN_STATES:
            run.ended_at, run.next_look_at = self.now, None
            run.is_pause_requested = False
            self.ended.append(run)
        if is_news:
            self.tell_run(run, f"run.{to}", run.why or str(to.label))
        if is_news or before != (run.state, run.why, run.cause, run.next_look_at):
            self.change(run)

    def change(self, run: Run) -> None:
        """Remember that fields of the run were set."""
        self._changed_runs[run.pk] = run

    def settle(self, run: Run) -> None:
        """Do what follows from the states of the steps: begin the next ones, wait, pause or end the run."""
        if run.state in FINAL_RUN_STATES or run.state == RunState.HELD or run.is_parent:
            return
        decision = decide(run, self.steps[run.pk])
        for step in decision.cancel:
            self.end(step, StepState.CANCELLED, "Not begun.", "not-started")
        for step in decision.unready:
            self.not_due(step)
        has_begun = self._begin(decision)
        run.next_look_at = decision.next_look_at
        state = RunState.RUNNING if has_begun else decision.state
        self.move_run(run, state, "" if has_begun and state != decision.state else decision.why, decision.cause)

    def _begin(self, decision: Decision) -> bool:
        """Begin what may begin, or make it due; True when a step was begun here."""
        has_begun = False
        for step in decision.begin:
            worker = self.adopt(step)
            if worker is not None:
                self.begin(step, worker)
                has_begun = True
            elif step.next_look_at is None:
                self.make_due(step)
        return has_begun

    # --- telling -------------------------------------------------------------------------------------------------
    def tell_run(self, run: Run, kind: str, message: str, **data: Any) -> None:
        """An event of the run itself."""
        self.events.append(NewEvent(run.pk, run.top_id, None, kind, message, data, self.now))

    def tell_step(self, step: Step, state: StepState) -> None:
        """An event of a step that comes to a state."""
        run = self.runs[step.run_id]
        message = f"{step.title}: {step.why}" if step.why else step.title
        self.events.append(NewEvent(run.pk, run.top_id, step.pk, f"step.{state}", message, {}, self.now))

    def close(self) -> None:
        """Write everything that was changed; in the transaction that read it."""
        update_rows(Step, self._changed_steps.values(), STEP_FIELDS)
        update_rows(Run, self._changed_runs.values(), RUN_FIELDS)
        insert_events(self.events)
        poke_after_commit({event.top_id for event in self.events})


@contextmanager
def opened(run_ids: Collection[int], adopt: Adopt = nobody, *, skip_locked: bool = False) -> Iterator[Book]:
    """A book over these runs in one transaction; with `skip_locked` without those that somebody else has open just now."""
    with transaction.atomic():
        book = Book(run_ids, adopt, skip_locked)
        yield book
        book.close()
