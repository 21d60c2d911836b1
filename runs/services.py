"""What people ask of a run, with its entry in the audit trail; starting one is the business of the domain that planned it."""

from __future__ import annotations

from collections.abc import Callable

from django.db import transaction

from accounts import audit
from accounts.actors import Actor
from runs import control
from runs.models import Run


def pause_run(*, by: Actor, run: Run) -> None:
    """Begin no new step. Conflict when the run has ended."""
    _ask(control.pause, "run.pause", by, run)


def resume_run(*, by: Actor, run: Run) -> None:
    """Go on with a paused run, or with a failed one at its first unfinished step. Conflict when there is nothing to resume."""
    _ask(control.resume, "run.resume", by, run)


def cancel_run(*, by: Actor, run: Run) -> None:
    """Begin nothing more and have what was begun cancelled. Conflict when the run has ended."""
    _ask(control.cancel, "run.cancel", by, run)


def _ask(verb: Callable[[Run, Actor], None], action: str, by: Actor, run: Run) -> None:
    before = {"state": run.state}
    with transaction.atomic():
        verb(run, by)
        audit.record(by=by, action=action, row=run, tenant=run.tenant, before=before, after={"state": run.state})
