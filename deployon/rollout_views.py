"""Pages: rollouts, and the live page of one with what can be done about it."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from accounts.actors import actor_of
from accounts.errors import Conflict
from accounts.permissions import needs
from accounts.requests import TenantRequest
from deployon import reads, rollouts
from deployon.models import Placement, Rollout, Target
from deployon.reviewing import by_reason
from deployon.views import rights
from runs import reads as run_reads
from runs.models import Run
from runs.states import FINAL_RUN_STATES, RunState
from runs.views import tail_of

# (word, cell of the wall, states that count, class of the bar or "")
LEGEND = (
    ("done", "succeeded", "succeeded", "ok"),
    ("left as is", "stays", "stays skipped", "ok hatch"),
    ("differs, left alone", "differs", "differs", "warn hatch"),
    ("failed", "failed", "failed", "bad"),
    ("cancelled", "cancelled", "cancelled", "idle"),
    ("running", "running", "running waiting", "run hatch"),
    ("paused", "paused", "paused", ""),
    ("waiting to start", "held", "held pending", ""),
)
MOST_CAUSES = 20
SETTLED = frozenset({"succeeded", "stays", "skipped", "differs", "failed", "cancelled"})
SAID = {
    "pause": "Pausing: what runs finishes first, nothing new starts.",
    "resume": "It goes on.",
    "cancel": "Cancelling: the managers are told to stop.",
}
ACTS = {"pause": rollouts.pause_rollout, "resume": rollouts.resume_rollout, "cancel": rollouts.cancel_rollout}


@needs("rollout.view")
def rollout_list(request: TenantRequest) -> HttpResponse:
    """Rollouts, newest first."""
    rows = reads.rollout_list(request.tenant.pk)
    page = Paginator(rows, 50).get_page(request.GET.get("page"))
    return render(request, "deployon/rollouts.html", {"page": page} | rights(request))


@needs("rollout.view")
def rollout_detail(request: TenantRequest, rollout_id: int) -> HttpResponse:
    """The live page: the whole in one bar, a cell and a row an environment, failures by cause, events."""
    rollout = the_rollout(request, rollout_id)
    run = rollout.run
    tail = tail_of(run)  # before the rows: what happens in between comes once more through the websocket
    rows = [shown_row(row) for row in reads.rollout_rows(rollout)]
    counts = Counter(row["state"] for row in rows)
    is_single_site = len({row["site"] for row in rows}) <= 1
    excluded = rollout.preview.get("excluded", [])
    shown = {
        "rollout": rollout,
        "run": run,
        "rows": rows,
        "wall": sorted(rows, key=lambda row: row["target"]),  # a cell keeps its place whatever happens to it
        "counts": counts,
        "legend": legend_of(counts, len(rows)),
        "done": sum(counts[state] for state in SETTLED),
        "excluded": excluded,
        "excluded_by_reason": by_reason(excluded),
        "has_sites": not is_single_site or any(row["site"] for row in rows),
        "names": {row["run"]: row["name"] for row in rows if row["run"]},
    }
    shown |= tail | why_of(run) | causes_of(rollout) | acts_of(request, rollout)
    return render(request, "deployon/rollout.html", shown)


def legend_of(counts: Counter[str], total: int) -> list[dict[str, Any]]:
    """Parts of the bar with their words, the key to the wall."""
    parts = []
    for words, cell, states, look in LEGEND:
        count = sum(counts[state] for state in states.split())
        width = f"{100 * count / max(1, total):.2f}%"
        parts.append({"word": words, "cell": cell, "states": states, "look": look, "count": count, "width": width})
    return parts


def shown_row(row: reads.TargetRow) -> dict[str, Any]:
    """A target as the wall and the table show it; one that has no run is what the plan said of it."""
    state = row.state
    width = 100 if state in SETTLED else round(100 * row.finished / row.total) if row.total else 0
    return {
        "key": row.run or f"t{row.target}",
        "target": row.target,
        "environment": row.environment,
        "name": row.name,
        "site": row.site,
        "state": state,
        "why": row.why if state != RunState.SUCCEEDED else "",
        "run": row.run,
        "finished": row.finished,
        "total": row.total,
        "width": f"{width}%",
        "seconds": "" if row.seconds is None else f"{row.seconds:,.1f}",
        "capabilities": row.capabilities,
    }


def the_rollout(request: TenantRequest, rollout_id: int) -> Rollout:
    """A rollout of the current tenant, or 404."""
    rows = Rollout.objects.select_related("version__service", "run", "created_by", "tenant")
    return get_object_or_404(rows, pk=rollout_id, tenant=request.tenant)


def why_of(run: Run | None) -> dict[str, Any]:
    """Variables of deployon/why.html: how many wait, and what the first of them waits for."""
    if run is None or run.state in FINAL_RUN_STATES:
        return {"run": run, "why": "", "waiting": 0}
    held = run.children.filter(state__in=[RunState.HELD, RunState.PENDING])
    first = held.select_related("parent").order_by("position").first()
    why = run_reads.why_waiting(first) if first and run.state != RunState.PAUSED else run_reads.why_waiting(run)
    return {"run": run, "why": why, "waiting": held.count() if first else 0}


def causes_of(rollout: Rollout) -> dict[str, Any]:
    """Variables of deployon/causes.html."""
    causes = reads.failures_by_cause(rollout)
    count = sum(cause["count"] for cause in causes)
    return {"causes": causes[:MOST_CAUSES], "kinds": len(causes), "failed": count, "is_final": is_final(rollout.run)}


def is_final(run: Run | None) -> bool:
    """Has it ended?"""
    return run is not None and run.state in FINAL_RUN_STATES


def acts_of(request: TenantRequest, rollout: Rollout) -> dict[str, Any]:
    """Variables of deployon/acts.html: what can be done next, and to how many."""
    run, has_ended = rollout.run, is_final(rollout.run)
    placed = rollout.targets.filter(intent=Target.Intent.CREATE, attempts__gt=0, placement__isnull=False)
    return {
        "rollout": rollout,
        "is_final": has_ended,
        "is_paused": run is not None and (run.state == RunState.PAUSED or run.is_pause_requested),
        "is_cancelling": run is not None and run.is_cancel_requested and not has_ended,
        "to_retry": rollouts.unfinished(rollout).count() if has_ended else 0,
        "to_undo": placed.exclude(placement__state=Placement.State.ABSENT).count() if has_ended else 0,
    } | rights(request)


@needs("rollout.view")
def rollout_why(request: TenantRequest, rollout_id: int) -> HttpResponse:
    """Fragment: why it waits."""
    return render(request, "deployon/why.html", why_of(the_rollout(request, rollout_id).run))


@needs("rollout.view")
def rollout_causes(request: TenantRequest, rollout_id: int) -> HttpResponse:
    """Fragment: failures by cause."""
    return render(request, "deployon/causes.html", causes_of(the_rollout(request, rollout_id)))


@needs("rollout.view")
def rollout_acts(request: TenantRequest, rollout_id: int) -> HttpResponse:
    """Fragment: the buttons."""
    return render(request, "deployon/acts.html", acts_of(request, the_rollout(request, rollout_id)))


@require_POST
@needs("rollout.start")
def rollout_act(request: TenantRequest, rollout_id: int, verb: str) -> HttpResponse:
    """Pause, go on with, cancel or retry a rollout."""
    rollout = the_rollout(request, rollout_id)
    by = actor_of(request)
    try:
        if verb == "retry":
            key = rollouts.Key(request.POST.get("key") or str(uuid.uuid4()), f"retry {rollout_id}")
            rollouts.retry_rollout(by=by, rollout=rollout, key=key)
            messages.success(request, "Trying again what failed, was cancelled or never started.")
        else:
            ACTS[verb](by=by, rollout=rollout)
            messages.success(request, SAID[verb])
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    except Conflict as error:
        messages.error(request, str(error))
    return redirect("rollout", rollout_id)
