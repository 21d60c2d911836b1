"""What a run does next, as a pure function of its flags and its open steps; nothing here reads or writes a row."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime

from runs.models import Run, Step
from runs.states import RunState, StepState


@dataclasses.dataclass
class Decision:
    """What follows from the state of the steps."""

    state: RunState
    why: str = ""
    cause: str = ""
    begin: list[Step] = dataclasses.field(default_factory=list)  # may be begun now, side by side
    cancel: list[Step] = dataclasses.field(default_factory=list)  # were never begun, and will not be
    unready: list[Step] = dataclasses.field(default_factory=list)  # were to begin, and now must not
    next_look_at: datetime | None = None


def is_look(step: Step) -> bool:
    """A waiting step that a worker looks at just now: it keeps the reason of its wait, a step that works has none."""
    return step.state == StepState.RUNNING and bool(step.why)


def decide(run: Run, steps: Sequence[Step]) -> Decision:
    """`steps` are those that are pending, running, waiting or failed, in the order of the plan."""
    failed = [step for step in steps if step.state == StepState.FAILED]
    busy = [step for step in steps if step.state in (StepState.RUNNING, StepState.WAITING)]
    pending = [step for step in steps if step.state == StepState.PENDING]
    begun = [step for step in pending if step.attempt]
    if run.is_cancel_requested:
        # What was begun before may have left something running elsewhere: its operation is asked to cancel it.
        decision = Decision(RunState.CANCELLED, why=why_cancelled(run, failed), begin=begun)
        decision.cancel = [step for step in pending if not step.attempt]
    elif failed and run.mode == Run.Mode.APPLY:
        decision = Decision(RunState.FAILED, why=failed[0].why, cause=failed[0].cause, unready=pending)
    elif run.is_pause_requested and pending:
        decision = Decision(RunState.PAUSED, why=run.request, unready=pending)
    elif busy or pending:
        decision = Decision(RunState.RUNNING, begin=startable(busy, pending))
    elif failed:  # a check that found differences
        words = "; ".join(step.title for step in failed[:5])
        decision = Decision(RunState.FAILED, why=f"{len(failed)} steps differ: {words}", cause=failed[0].cause)
    else:
        decision = Decision(RunState.SUCCEEDED)
    if busy or decision.begin:
        say_why_not_ended(
            decision, run, busy, [step for step in busy if step.state == StepState.RUNNING and not step.why]
        )
    return decision


def startable(busy: Sequence[Step], pending: Sequence[Step]) -> list[Step]:
    """The first pending step of every lane of the present stage that has none at work."""
    present = min(step.stage for step in (*busy, *pending))
    taken = {step.lane for step in busy if step.stage == present}
    first: list[Step] = []
    for step in pending:
        if step.stage == present and step.lane not in taken:
            taken.add(step.lane)
            first.append(step)
    return first


def why_cancelled(run: Run, failed: Sequence[Step]) -> str:
    return f"{run.request} {failed[0].title}: {failed[0].why}" if failed else run.request


def say_why_not_ended(decision: Decision, run: Run, busy: Sequence[Step], at_work: Sequence[Step]) -> None:
    """Steps are still at work, waiting or about to begin: the run goes on, whatever comes after them."""
    target, waiting = decision.state, [step for step in busy if step not in at_work]
    looks = [step.next_look_at for step in waiting if step.next_look_at]
    decision.next_look_at = min(looks, default=None)
    if at_work:
        decision.state, why = RunState.RUNNING, ""
    elif waiting and not decision.begin:
        decision.state, why = RunState.WAITING, waiting[0].why
    else:
        decision.state = RunState.RUNNING if run.started_at else RunState.PENDING
        why = "" if run.started_at else "Waits for a free worker."
    if target == RunState.CANCELLED:
        why = f"{run.request} Waits until this has ended: {(*busy, *decision.begin)[0].title}"
    elif target == RunState.FAILED:
        why = f"A step failed: {decision.why} Waits until this has ended: {busy[0].title}"
    elif target == RunState.PAUSED:
        why = f"{run.request} Goes on until this has ended: {busy[0].title}"
    decision.why, decision.cause = why, ""
