"""Rows with a state, and the one way to change it; which words mean what stands beside the states."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db import models, transaction


class RunState(models.TextChoices):
    """Where a run is; a step has the same words and `skipped`."""

    HELD = "held", "Held"  # its lock or its parent's limit keeps it back
    PENDING = "pending", "Waiting to start"
    RUNNING = "running", "Running"
    WAITING = "waiting", "Waiting"  # for something remote; looked at again at next_look_at
    PAUSED = "paused", "Paused"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


class StepState(models.TextChoices):
    """Where a step is."""

    PENDING = "pending", "Waiting to start"
    RUNNING = "running", "Running"
    WAITING = "waiting", "Waiting"
    SUCCEEDED = "succeeded", "Succeeded"
    SKIPPED = "skipped", "Skipped"  # already as wanted
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


FINAL_RUN_STATES = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED})
ACTIVE_RUN_STATES = frozenset({RunState.PENDING, RunState.RUNNING, RunState.WAITING, RunState.PAUSED})
FINAL_STEP_STATES = frozenset({StepState.SUCCEEDED, StepState.SKIPPED, StepState.FAILED, StepState.CANCELLED})
DONE_STEP_STATES = frozenset({StepState.SUCCEEDED, StepState.SKIPPED})

# Look of a state: class of the style sheet and glyph, see docs/glossary.md.
LOOKS: dict[str, tuple[str, str]] = {
    "held": ("hold", "hold"),
    "pending": ("wait", "wait"),
    "running": ("run", "run"),
    "waiting": ("run", "run"),
    "paused": ("hold", "hold"),
    "succeeded": ("ok", "ok"),
    "failed": ("bad", "bad"),
    "cancelled": ("skipd", "skip"),
    "skipped": ("skipd", "skip"),
}


class StateRow(models.Model):
    """A row whose `state` changes only through `move`."""

    state: models.CharField[str, str]

    class Meta:
        abstract = True

    def move(self, to: str, *, only_from: str | Collection[str], **changes: Any) -> bool:
        """Set `state` (and `changes`) if it still is one of `only_from`, and record it; False: somebody was faster.

        One conditional UPDATE and, where the row has a place to tell it, one Event, in one transaction.
        """
        allowed = [only_from] if isinstance(only_from, str) else list(only_from)
        with transaction.atomic():
            rows: models.QuerySet[Any] = type(self)._base_manager.filter(pk=self.pk)
            moved = rows.filter(state__in=allowed).update(state=to, **changes)
            if not moved:
                return False
            before = self.state
            self.state = to
            for name, value in changes.items():
                setattr(self, name, value)
            self.record_move(before, to)
        return True

    def record_move(self, before: str, to: str) -> None:
        """Tell the change where it can be read; rows of runs write an Event."""
