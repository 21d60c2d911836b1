"""What people and the domain ask of a run that exists: look now, pause, resume, cancel. The audit trail is written by services."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import transaction

from accounts.actors import Actor
from accounts.errors import Conflict
from runs import clock, parents
from runs.ledger import nobody, opened
from runs.models import Event, Run
from runs.operations import REGISTRY
from runs.pokes import poke_after_commit
from runs.states import ACTIVE_RUN_STATES, FINAL_RUN_STATES, RunState, StepState

AT_ONCE = 200  # children changed in one transaction


def refuse_ended(run: Run, verb: str) -> None:
    if run.state in FINAL_RUN_STATES:
        raise Conflict(f"R-{run.pk} has ended ({run.get_state_display().lower()}): there is nothing to {verb}.")


def say_asked(run: Run, kind: str, message: str) -> None:
    """An event of what somebody asked for."""
    Event.objects.create(run_id=run.pk, top_id=run.top_id, kind=kind, message=message)
    poke_after_commit({run.top_id})


def active_children(parent: Run) -> Iterator[list[int]]:
    """Ids of the children that are at work, in batches."""
    ids = list(parent.children.filter(state__in=ACTIVE_RUN_STATES).order_by("pk").values_list("pk", flat=True))
    for start in range(0, len(ids), AT_ONCE):
        yield ids[start : start + AT_ONCE]


def flag(run: Run, **changes: object) -> bool:
    """Set what was asked for, unless the run has ended meanwhile."""
    changed = Run.objects.filter(pk=run.pk).exclude(state__in=FINAL_RUN_STATES).update(**changes)
    run.refresh_from_db()
    return bool(changed)


def wake(run: Run) -> None:
    """Look again now at every step of the run, or of its children, that waits."""
    batches = active_children(run) if run.is_parent else iter([[run.pk]])
    for ids in batches:
        with opened(ids) as book:
            for steps in book.steps.values():
                for step in steps:
                    if step.state == StepState.WAITING:
                        book.make_due(step)


def pause(run: Run, by: Actor) -> None:
    """Begin no new step; what is at work comes to its end. Conflict when the run has ended."""
    refuse_ended(run, "pause")
    if run.is_cancel_requested:
        raise Conflict(f"R-{run.pk} is being cancelled: it cannot be paused.")
    request = f"Paused by {by.name}; resume it to go on."
    with transaction.atomic():
        if not flag(run, is_pause_requested=True, request=request):
            refuse_ended(run, "pause")
        say_asked(run, "run.pause", request)
    if run.is_parent:
        for ids in active_children(run):
            _pause(ids, request)
        parents.advance(run)
    else:
        _pause([run.pk], request)
        if run.parent_id:
            parents.advance_with(run.parent_id, nobody)
    run.refresh_from_db()


def _pause(ids: list[int], request: str) -> None:
    with opened(ids) as book:
        for run in book.runs.values():
            if run.state in ACTIVE_RUN_STATES:
                run.is_pause_requested, run.request = True, request
                book.change(run)
                book.settle(run)


def set_parallel(run: Run, max_parallel: int) -> None:
    """How many children of a parent may be at work at once from now on (0: no limit); those at work go on."""
    if flag(run, max_parallel=max_parallel):
        parents.advance(run)
        run.refresh_from_db()


def resume(run: Run, by: Actor) -> None:
    """Go on: with a paused run, or with a failed one at its first unfinished step. Conflict when there is nothing to resume."""
    if run.is_parent and run.state in FINAL_RUN_STATES:
        raise Conflict(f"R-{run.pk} has ended: start what failed in it again from where it was started.")
    if run.state == RunState.FAILED:
        resume_failed(run, by)
    elif run.is_pause_requested:
        _resume_paused(run, by)
    else:
        raise Conflict(
            f"R-{run.pk} is neither paused nor failed ({run.get_state_display().lower()}): there is nothing to resume."
        )
    run.refresh_from_db()


def _resume_paused(run: Run, by: Actor) -> None:
    with transaction.atomic():
        flag(run, is_pause_requested=False, request="")
        say_asked(run, "run.resume", f"Resumed by {by.name}.")
    for ids in active_children(run) if run.is_parent else iter([[run.pk]]):
        with opened(ids) as book:
            for one in book.runs.values():
                if one.state in ACTIVE_RUN_STATES:
                    one.is_pause_requested, one.request = False, ""
                    book.change(one)
                    book.settle(one)
    if run.is_parent:
        parents.advance(run)
    elif run.state == RunState.HELD and not run.parent_id and parents.admit(run):
        parents.start(run)


def resume_failed(run: Run, by: Actor) -> None:
    """Back to work, once its lock is free; steps that failed are repeated, those that were done are not."""
    parent = run.parent
    if parent is not None and parent.state in FINAL_RUN_STATES:
        raise Conflict(f"R-{run.pk} belongs to R-{parent.pk}, which has ended: start it again from there.")
    with opened([run.pk]) as book:
        locked = book.runs[run.pk]
        if locked.state != RunState.FAILED:
            raise Conflict(f"R-{run.pk} was resumed a moment ago.")
        for step in book.steps[run.pk]:
            if step.state == StepState.FAILED:
                step.state, step.why, step.cause, step.started_at, step.ended_at = StepState.PENDING, "", "", None, None
                book.not_due(step)
                book.change_step(step)
        locked.attempt += 1
        locked.ended_at = None
        book.tell_run(locked, "run.resume", f"Resumed by {by.name} at its first unfinished step.")
        book.move_run(locked, RunState.HELD, why="Waits for its lock." if run.lock else parents.TURN)
    run.refresh_from_db()
    if run.parent_id:
        parents.advance_with(run.parent_id, nobody)
    elif parents.admit(run):
        parents.start(run)


def cancel(run: Run, by: Actor) -> None:
    """Begin nothing more, and have what was begun cancelled where it runs. Conflict when the run has ended."""
    refuse_ended(run, "cancel")
    request = f"Cancel asked for by {by.name}."
    with transaction.atomic():
        if not flag(run, is_cancel_requested=True, is_pause_requested=False, request=request):
            refuse_ended(run, "cancel")
        say_asked(run, "run.cancel", request)
    if run.is_parent:
        with transaction.atomic():
            Run.objects.select_for_update(no_key=True).get(pk=run.pk)  # nothing is released meanwhile
            parents.cancel_held(run.children.all(), f"Not started. {request}")
        for ids in active_children(run):
            _cancel(ids, request)
        if not _end_held(run, request):
            parents.advance(run)
    elif not _end_held(run, request):
        _cancel([run.pk], request)
    run.refresh_from_db()


def _end_held(run: Run, request: str) -> bool:
    """A run that was never started is cancelled as it stands."""
    ended = run.move(
        RunState.CANCELLED, only_from=RunState.HELD, why=request, cause=parents.NOT_STARTED, ended_at=clock.now()
    )
    if ended:
        parents.follow([run])
    return ended


def _cancel(ids: list[int], request: str) -> None:
    with opened(ids) as book:
        for run in book.runs.values():
            if run.state not in ACTIVE_RUN_STATES:
                continue
            run.is_cancel_requested, run.is_pause_requested, run.request = True, False, request
            book.change(run)
            for step in book.steps[run.pk]:
                known = REGISTRY.get(step.operation)
                if step.state == StepState.WAITING and (known is None or known.is_interruptible):
                    book.make_due(step)
            book.settle(run)
    parents.follow(book.ended)
