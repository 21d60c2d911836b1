"""What pages, API and sockets read of runs: progress, why something waits, the tail of events; writes nothing."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from django.db.models import Count

from runs import clock
from runs.models import Event, Run
from runs.parents import holder_of, why_locked
from runs.states import ACTIVE_RUN_STATES, FINAL_RUN_STATES, RunState, StepState

UNSETTLED_SECONDS = 2.0  # events younger than this may still get an older neighbour: transactions commit out of order


def progress(run: Run) -> dict[str, Any]:
    """How many children, or steps of a run without, are in each state: {"total", "done", "percent", "succeeded", ...}.

    `done` is all that have ended; states that do not occur are 0.
    """
    rows = run.children if run.is_parent else run.steps
    counts: Counter[str] = Counter(dict(rows.order_by().values_list("state").annotate(Count("pk"))))
    total = sum(counts.values())
    done = sum(counts[state] for state in ("succeeded", "skipped", "failed", "cancelled"))
    known = {str(state): counts[state] for state in (*RunState.values, StepState.SKIPPED)}
    return {"total": total, "done": done, "percent": 100 * done // total if total else 0, **known}


def why_waiting(run: Run) -> str:
    """What a run that has not ended waits for, as things are now; "" for one that works or has ended."""
    if run.state in FINAL_RUN_STATES:
        return ""
    if run.state == RunState.HELD:
        holder = holder_of(run.lock)
        if holder is not None and holder.pk != run.pk:
            return why_locked(run, holder)
        parent = run.parent
        if parent is not None and parent.is_pause_requested:
            return f"R-{parent.pk} is paused. {parent.request}"
        if parent is not None and parent.max_parallel:
            active = parent.children.filter(state__in=ACTIVE_RUN_STATES).count()
            return f"Waits for its turn: {active} of at most {parent.max_parallel} are at work."
    return run.why


def events_after(run: Run, cursor: int, limit: int = 1000) -> list[Event]:
    """Events of the run, and of its children, with a greater id, oldest first."""
    events = run.events if run.parent_id else Event.objects.filter(top_id=run.pk)
    return list(events.filter(id__gt=cursor).order_by("id")[:limit])


def tail(run: Run, cursor: int, limit: int = 1000) -> tuple[list[Event], int]:
    """The events after a cursor, and the cursor to ask with next.

    That one stays before events of the last two seconds, so that none is missed that commits late: drop by id what comes twice.
    """
    events = events_after(run, cursor, limit)
    clock.read_if_old()
    settled = clock.now() - timedelta(seconds=UNSETTLED_SECONDS)
    for event in events:
        if event.at >= settled:
            break
        cursor = event.pk
    return events, cursor


def event_json(event: Event) -> dict[str, Any]:
    """{"id", "run", "step", "kind", "message", "data", "at"}, as API and sockets show it."""
    return {
        "id": event.pk,
        "run": event.run_id,
        "step": event.step_id,
        "kind": event.kind,
        "message": event.message,
        "data": event.data,
        "at": event.at.isoformat(),
    }


def causes(run: Run) -> list[dict[str, Any]]:
    """Why children, or steps, failed, the most frequent first: [{"cause", "message", "count"}]."""
    rows = run.children if run.is_parent else run.steps
    failed = rows.filter(state=RunState.FAILED).order_by()
    grouped = failed.values("cause", "why").annotate(count=Count("pk")).order_by("-count", "cause", "why")
    return [{"cause": row["cause"], "message": row["why"], "count": row["count"]} for row in grouped]
