"""Pages: what ran and runs, step by step, live."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from accounts.actors import actor_of
from accounts.errors import Conflict
from accounts.permissions import needs
from accounts.requests import TenantRequest
from accounts.roles import may
from runs import clock, reads, services
from runs.models import Event, Run, Step
from runs.states import FINAL_RUN_STATES, RunState

MOST_CHILDREN = 1000
TAIL = 100  # events rendered with the page; the rest come through the websocket


@needs("run.view")
def run_list(request: TenantRequest) -> HttpResponse:
    """Runs of the tenant, newest first; children are shown with their parent."""
    rows = Run.objects.filter(tenant=request.tenant, parent__isnull=True).select_related("started_by")
    state = request.GET.get("state", "")
    if state in RunState.values:
        rows = rows.filter(state=state)
    search = request.GET.get("q", "").strip()
    if search:
        rows = rows.filter(title__icontains=search)
    page = Paginator(rows, 50).get_page(request.GET.get("page"))
    return render(
        request, "runs/runs.html", {"page": page, "state": state, "states": RunState.choices, "search": search}
    )


@needs("run.view")
def run_detail(request: TenantRequest, run_id: int) -> HttpResponse:
    """Stages and lanes as they happen, and the tail of events."""
    run = get_object_or_404(
        Run.objects.select_related("plan", "started_by", "parent"), pk=run_id, tenant=request.tenant
    )
    shown = tail_of(run)
    children = list(run.children.order_by("position")[:MOST_CHILDREN])
    shown |= {
        "run": run,
        "stages": stages_of(run),
        "children": children,
        "names": {child.pk: child.title for child in children},
        "progress": reads.progress(run),
        "why": reads.why_waiting(run),
        "may_control": may(request.user, "run.control", request.tenant),
        "is_final": run.state in FINAL_RUN_STATES,
    }
    return render(request, "runs/run.html", shown)


def tail_of(run: Run | None) -> dict[str, Any]:
    """The last events for the page, newest first, and the cursor from which the websocket goes on.

    Read it before what the page shows of the run. The cursor stays before events of the last seconds: they come once more, and with
    them any that is committed late.
    """
    if run is None:
        return {"events": [], "cursor": 0}
    own = run.events if run.parent_id else Event.objects.filter(top=run)
    latest = list(own.order_by("-id")[:TAIL])
    clock.read_if_old()
    settled = clock.now() - timedelta(seconds=reads.UNSETTLED_SECONDS)
    cursor = next((event.pk for event in latest if event.at < settled), latest[-1].pk - 1 if latest else 0)
    return {"events": latest, "cursor": cursor}


def stages_of(run: Run) -> list[dict[str, Any]]:
    """[{"title", "lanes": [{"title", "steps": [Step]}]}] with the steps' present states; a run of many has no plan of its own."""
    steps: dict[int, dict[int, list[Step]]] = {}
    for step in run.steps.all():
        steps.setdefault(step.stage, {}).setdefault(step.lane, []).append(step)
    if run.plan is None:
        return [
            {"title": "Steps", "lanes": [{"title": "", "steps": some} for some in lanes.values()]}
            for lanes in steps.values()
        ]
    return [
        {
            "title": stage["title"],
            "lanes": [
                {"title": lane["title"], "steps": steps.get(stage_at, {}).get(lane_at, [])}
                for lane_at, lane in enumerate(stage["lanes"])
            ],
        }
        for stage_at, stage in enumerate(run.plan.stages)
    ]


@require_POST
@needs("run.control")
def run_act(request: TenantRequest, run_id: int, verb: str) -> HttpResponse:
    """Pause, go on with, or cancel a run."""
    run = get_object_or_404(Run, pk=run_id, tenant=request.tenant)
    act = {"pause": services.pause_run, "resume": services.resume_run, "cancel": services.cancel_run}[verb]
    said = {
        "pause": "Pausing: what is under way finishes first.",
        "resume": "Goes on.",
        "cancel": "Cancelling: what is under way is told to stop.",
    }
    try:
        act(run=run, by=actor_of(request))
        messages.success(request, said[verb])
    except Conflict as error:
        messages.error(request, str(error))
    return redirect("run", run_id)
