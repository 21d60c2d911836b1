"""Pages: execution groups, how far each is, and its executions; cancelled, resumed and paced together."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from accounts.actors import actor_of
from accounts.permissions import needs
from accounts.requests import TenantRequest
from accounts.roles import may
from orchestration import execution_groups
from orchestration.bulk_forms import ConcurrencyForm
from orchestration.errors import Refused
from orchestration.executions import CREATE, DELETE
from orchestration.exposed import UNINSTALL
from orchestration.group_models import ExecutionGroup
from orchestration.group_reads import WORST_FIRST, executions_seen, groups_seen, progress_of, why_of, worst_first
from orchestration.models import ExecutionEvent

PER_PAGE = 50
ROWS = 100
ACTS = {
    "cancel": "Asked to end: what was queued is cancelled, what runs is told to stop.",
    "force-cancel": "Asked to end at once.",
    "kill": "Killed.",
    "resume": "Resumed: what failed or was cancelled goes on where it stood.",
    "force-resume": "Resumed, with what was caught in the middle repeated.",
}


@needs("execution.view")
def execution_group_list(request: TenantRequest) -> HttpResponse:
    """All of them, newest first."""
    search = request.GET.get("q", "").strip()
    rows = groups_seen(request.user, request.tenant)
    if search:
        rows = rows.filter(workflow__icontains=search)
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    progress = progress_of(page, request.user, request.tenant)
    shown = {"page": page, "rows": [(group, progress[str(group.pk)]) for group in page], "search": search}
    return render(request, "orchestration/execution_groups.html", shown)


def the_group(request: TenantRequest, group_id: uuid.UUID) -> ExecutionGroup:
    """A group that the person may see, or 404."""
    rows = groups_seen(request.user, request.tenant)
    return get_object_or_404(rows.select_related("success_group__tenant", "failure_group__tenant"), pk=group_id)


@needs("execution.view")
def execution_group_detail(request: TenantRequest, group_id: uuid.UUID) -> HttpResponse:
    """How far it is, worst first; asks again by itself while something runs."""
    group = the_group(request, group_id)
    user, tenant = request.user, request.tenant
    progress = progress_of([group], user, tenant)[str(group.pk)]
    state = request.GET.get("state", "")
    rows = executions_seen(group, user, tenant)
    page = Paginator(worst_first(rows.filter(state=state) if state in progress.counts else rows), ROWS).get_page(
        request.GET.get("page")
    )
    for row in page:
        row.why = why_of(row)  # type: ignore[attr-defined]
    may_start = group.tenant_id == tenant.pk and may(user, "execution.start", tenant)
    shown = {
        "group": group,
        "progress": progress,
        "page": page,
        "state": state,
        "counts": [(value, progress.counts[value]) for value in WORST_FIRST if value in progress.counts],
        "said": list(ExecutionEvent.objects.filter(group=group, level="warning").order_by("-id")[:5]),
        "is_held": group.concurrency == 0 and not progress.is_final,
        "may_start": may_start,
        "may_resume": may_start and progress.is_final and bool(progress.failed or progress.counts.get("cancelled"))
        and group.workflow not in (CREATE, DELETE),
        "is_uninstall": group.workflow == UNINSTALL,
        "may_delete": group.tenant_id == tenant.pk and may(user, "deployment.change", tenant),
    }  # fmt: skip
    is_part = bool(getattr(request, "htmx", False))
    return render(request, f"orchestration/{'group_progress' if is_part else 'execution_group'}.html", shown)


@require_POST
@needs("execution.start")
def execution_group_act(request: TenantRequest, group_id: uuid.UUID, verb: str) -> HttpResponse:
    """Cancel, kill, resume; or how many at once."""
    group = the_group(request, group_id)
    if group.tenant_id != request.tenant.pk or verb not in (*ACTS, "concurrency"):
        raise Http404
    try:
        if verb == "concurrency":
            form = ConcurrencyForm(request.POST)
            if not form.is_valid():
                messages.error(request, f"Nothing was changed. {form.first_error()}")
                return redirect("execution-group", group_id)
            count = form.cleaned_data["concurrency"]
            execution_groups.set_concurrency(by=actor_of(request), group=group, concurrency=count)
            words = f"{count:,} at once from now on." if count else "Paused: what runs goes on, nothing more begins."
        else:
            execution_groups.act(by=actor_of(request), group=group, action=verb)
            words = ACTS[verb]
        messages.success(request, words)
    except Refused as refusal:
        nothing_left = "Nothing is left to cancel: all of them have ended."
        messages.error(request, nothing_left if refusal.status == 404 else refusal.message)
    return redirect("execution-group", group_id)
