"""The one rule of execution, for one look at one step: check; else apply, and check again. Writes nothing."""

from __future__ import annotations

import dataclasses
import logging
import traceback
from collections.abc import Iterable
from typing import Any

from runs import clock
from runs.context import StepContext
from runs.decide import is_look
from runs.models import Run
from runs.operations import REGISTRY, Cancelled, Later, Operation, OperationError, rebuild
from runs.states import StepState

logger = logging.getLogger(__name__)
CANCELLED = "Cancelled."


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How one look at a step ended."""

    state: StepState  # a final one, or WAITING with `later`
    why: str = ""
    cause: str = ""
    later: Later | None = None
    is_applied: bool = False
    is_cancelling: bool = False  # `later` waits for the end of a cancel
    memory: dict[str, Any] = dataclasses.field(default_factory=dict)


def perform(context: StepContext) -> Outcome:
    """Look at the step once, act where needed; whatever an operation raises becomes an outcome."""
    outcome = _guarded(context)
    return dataclasses.replace(
        outcome,
        why=context.mask(outcome.why),
        memory=context.memory,
        is_applied=outcome.is_applied or context.step.is_applied,
    )


def _guarded(context: StepContext) -> Outcome:
    try:
        operation = rebuild(context.step.operation, context.step.args)
        is_begun = is_look(context.step) or context.attempt > 1
        if is_begun and operation.is_interruptible and context.is_cancelled():
            return _cancel(operation, context)
        return _check_only(operation, context) if context.mode == Run.Mode.CHECK else _bring_about(operation, context)
    except Cancelled as stopped:
        return Outcome(StepState.CANCELLED, stopped.message or CANCELLED)
    except OperationError as error:
        return Outcome(StepState.FAILED, error.message, error.cause)
    except KeyError as error:
        if context.step.operation in str(error):
            return Outcome(StepState.FAILED, str(error.args[0]), "unknown-operation")
        return _broken(error, context)
    except Exception as error:
        return _broken(error, context)


def _broken(error: Exception, context: StepContext) -> Outcome:
    """A fault of the program; its trace goes to the log, masked, and the step names it."""
    logger.error(
        "Step %s (%s) broke:\n%s",
        context.step_id,
        context.step.operation,
        context.mask("".join(traceback.format_exception(error))),
    )
    why = f"{type(error).__name__}: {error}. This is a fault of the program: the log of the worker has its trace."
    return Outcome(StepState.FAILED, why, "broken")


def not_stored(outcome: Outcome, error: Exception, context: StepContext) -> Outcome:
    """What came of the look cannot be stored, so it did not come about as far as anybody can see."""
    fault = _broken(error, context)
    return dataclasses.replace(outcome, state=fault.state, why=context.mask(fault.why), cause=fault.cause, later=None)


def prepare(contexts: Iterable[StepContext]) -> None:
    """Let each kind of operation read in bulk for its steps that begin together. What fails here, each step meets again alone."""
    begun: dict[str, list[StepContext]] = {}
    for context in contexts:
        begun.setdefault(context.step.operation, []).append(context)
    for key, steps in begun.items():
        try:
            REGISTRY[key].prepare([(rebuild(key, context.step.args), context) for context in steps])
        except Exception as error:
            logger.warning("%s could not be prepared for %d steps: %s", key, len(steps), type(error).__name__)


def _bring_about(operation: Operation, context: StepContext) -> Outcome:
    is_applied = context.step.is_applied
    found = operation.check(context)
    if found is True:
        # A step that was begun before and is now as wanted was brought about, by this run.
        return Outcome(StepState.SUCCEEDED if is_applied or context.attempt > 1 else StepState.SKIPPED)
    if isinstance(found, Later):
        return _later(found, context, is_applied)
    applied = operation.apply(context)
    if isinstance(applied, Later):
        return _later(applied, context, True)
    found = operation.check(context)
    if isinstance(found, Later):
        return _later(found, context, True)
    if found is True:
        return Outcome(StepState.SUCCEEDED, is_applied=True)
    return Outcome(StepState.FAILED, "It was carried out, and still is not as wanted.", "no-effect", is_applied=True)


def _check_only(operation: Operation, context: StepContext) -> Outcome:
    found = operation.check(context)
    if isinstance(found, Later):
        return _later(found, context, False)
    return Outcome(StepState.SKIPPED) if found else Outcome(StepState.FAILED, "It is not as wanted.", "differs")


def _later(later: Later, context: StepContext, is_applied: bool) -> Outcome:
    """Wait, unless the step has had all the time that the operation allows it."""
    started = context.step.started_at
    if later.deadline is not None and started and (clock.now() - started).total_seconds() >= later.deadline:
        return Outcome(
            StepState.FAILED, f"Not done after {later.deadline:.0f} s: {later.why}", "timeout", is_applied=is_applied
        )
    return Outcome(StepState.WAITING, later.why, later=later, is_applied=is_applied)


def _cancel(operation: Operation, context: StepContext) -> Outcome:
    try:
        answer = operation.cancel(context)
    except OperationError as error:
        why = f"The cancel did not get through, what was begun may still be at work there: {error.message}"
        return Outcome(StepState.FAILED, why, error.cause)
    if isinstance(answer, Later):
        outcome = _later(answer, context, False)
        return dataclasses.replace(outcome, is_cancelling=True)
    return Outcome(StepState.CANCELLED, CANCELLED)
