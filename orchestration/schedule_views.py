"""Pages: what runs by itself at which times; made, switched off and on, removed."""

from __future__ import annotations

import datetime
import itertools
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from accounts.actors import actor_of
from accounts.permissions import needs
from accounts.requests import TenantRequest
from accounts.roles import may
from inventory.querysets import visible
from orchestration import schedules
from orchestration.errors import Refused
from orchestration.page_reads import ancestors, workflows_of
from orchestration.schedule_forms import ScheduleForm
from orchestration.schedule_models import ExecutionSchedule
from orchestration.views import the_local

PER_PAGE = 50
SHOWN = 3  # of the times to come
ACTS = {
    "enable": "runs at its times from now on.",
    "disable": "is switched off.",
    "delete": "is removed. What it started stays.",
}


def seen(request: TenantRequest) -> QuerySet[ExecutionSchedule]:
    """Schedules that the person may see: as visible as their deployments."""
    rows = ExecutionSchedule.objects.filter(visible(request.user, request.tenant, "local__deployment__"))
    rows = rows.select_related("local__deployment__tenant", "latest_execution", "created_by")
    return rows.defer("local__plan", "local__inputs", "local__given_inputs", "latest_execution__parameters")


def told(row: ExecutionSchedule) -> dict[str, Any]:
    """A schedule as the pages show it, with the first of the times to come."""
    times: list[datetime.datetime] = []
    if row.next_at is not None:
        before = row.next_at - datetime.timedelta(microseconds=1)
        times = list(itertools.islice(schedules.timing_of(row).later_than(before), SHOWN))
    return {"row": row, "when": when_of(row), "times": times}


def when_of(row: ExecutionSchedule) -> str:
    """Its rule as people read it."""
    rule = row.rule
    if rule.get("rrule"):
        return str(rule["rrule"])
    if not rule.get("recurrence"):
        return "once"
    words = [f"every {rule['recurrence']}"]
    words += [f"on {', '.join(rule['weekdays'])}"] if rule.get("weekdays") else []
    words += [f"{rule['count']} times"] if rule.get("count") else []
    return ", ".join(words)


@needs("execution.view")
def schedule_list(request: TenantRequest) -> HttpResponse:
    """All of them, what is due first."""
    search = request.GET.get("q", "").strip()
    rows = seen(request)
    if search:
        rows = rows.filter(wire_id__icontains=search) | rows.filter(workflow__icontains=search)
    page = Paginator(rows.order_by("-is_enabled", "next_at", "pk"), PER_PAGE).get_page(request.GET.get("page"))
    shown = {"page": page, "rows": [told(row) for row in page], "search": search}
    return render(request, "orchestration/schedules.html", shown)


@needs("execution.view", POST="execution.start")
def deployment_schedules(request: TenantRequest, deployment_id: int) -> HttpResponse:
    """Those of one deployment, and the form of another one."""
    local = the_local(request, deployment_id)
    is_own = local.deployment.tenant_id == request.tenant.pk
    form = ScheduleForm(request.POST if request.method == "POST" else None, workflows=workflows_of(local))
    if request.method == "POST":
        if not is_own:
            raise Http404
        if form.is_valid():
            try:
                name = form.cleaned_data["name"]
                schedules.create(by=actor_of(request), local=local, wire_id=name, changes=form.changes())
                messages.success(request, f"{name} runs at its times from now on.")
                return redirect("deployment-schedules", deployment_id)
            except Refused as refusal:
                form.add_error(None, refusal.message)
            except ValidationError as error:
                form.add_error(None, error)
    shown = {
        "deployment": local.deployment,
        "crumbs": ancestors(local.deployment, request.user, request.tenant),
        "rows": [told(row) for row in seen(request).filter(local=local).order_by("-is_enabled", "next_at", "pk")],
        "form": form,
        "may_start": is_own and may(request.user, "execution.start", request.tenant),
    }
    return render(request, "orchestration/deployment_schedules.html", shown, status=400 if form.errors else 200)


@require_POST
@needs("execution.start")
def schedule_act(request: TenantRequest, deployment_id: int, schedule_id: int, verb: str) -> HttpResponse:
    """Switch one off or on, or remove it."""
    row = get_object_or_404(seen(request).filter(local__deployment=deployment_id), pk=schedule_id)
    if row.local.deployment.tenant_id != request.tenant.pk or verb not in ACTS:
        raise Http404
    try:
        if verb == "delete":
            schedules.delete(by=actor_of(request), row=row)
        else:
            schedules.update(by=actor_of(request), row=row, changes=schedules.Changes(is_enabled=verb == "enable"))
        messages.success(request, f"{row.wire_id} {ACTS[verb]}")
    except Refused as refusal:
        messages.error(request, refusal.message)
    return redirect("deployment-schedules", deployment_id)
