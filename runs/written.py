"""Rows of the domain that operations hand in: stored in the transaction in which the outcome of their step is recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import InterfaceError, OperationalError, transaction

from runs.context import StepContext
from runs.operations import Writer


def store(contexts: Sequence[StepContext]) -> dict[int, Exception]:
    """Have the writers store what these steps handed in; {step: what went wrong with its rows}, of which then nothing is stored.

    All in one go; where that fails, step by step, so that one target's odd value does not stop the others. A database that
    is away is nobody's fault: the whole transaction is tried again.
    """
    contexts = [context for context in contexts if context.written]
    if not contexts:
        return {}
    try:
        with transaction.atomic():
            _store(contexts)
        return {}
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        if len(contexts) == 1:
            return {contexts[0].step_id: error}
    return {step_id: error for context in contexts for step_id, error in store([context]).items()}


def _store(contexts: Sequence[StepContext]) -> None:
    """Each writer gets all that is meant for it at once, in the order of the steps, and within a step as it was handed in."""
    items_of: dict[Writer[Any], list[Any]] = {}
    for context in contexts:
        for writer, item in context.written:
            items_of.setdefault(writer, []).append(item)
    for writer, items in items_of.items():
        writer(items)
