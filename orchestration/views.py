"""Pages: deployments from the top down, what was deployed on this installation, and its executions."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from accounts.actors import actor_of
from accounts.permissions import needs
from accounts.requests import TenantRequest
from accounts.roles import may
from inventory.label_columns import in_order_of, label_values_of, read_columns
from inventory.labels import label_keys
from inventory.models import Deployment, Filter
from orchestration import deployments, executions
from orchestration.deployment_choice import KINDS, chosen, read_choice
from orchestration.errors import Refused
from orchestration.evaluation import section_of
from orchestration.forms import WorkflowForm
from orchestration.models import Execution, LocalDeployment
from orchestration.page_reads import (
    LEVELS,
    WORST_FIRST,
    address_of,
    ancestors,
    drifted_of,
    events_of,
    nodes_of,
    workflows_of,
    worst_first,
)

PER_PAGE = 50
MOST_KEYS = 100  # of labels, to choose a column from
EVENTS_PER_PAGE = 200
ACTS = {"cancel": "Asked to end", "force-cancel": "Asked to end at once", "kill": "Killed", "resume": "Resumed"}


@needs("deployment.view")
def deployment_list(request: TenantRequest) -> HttpResponse:
    """What stands at the top, or below one deployment: environments, services, counted down to the leaves."""
    user, tenant, query = request.user, request.tenant, request.GET
    try:
        choice = read_choice(query, user, tenant)
    except Deployment.DoesNotExist as error:
        raise Http404 from error
    rows, parent = chosen(choice, user, tenant, in_every_status=True), choice.parent
    counted = dict(rows.order_by().values_list("deployment_status").annotate(Count("pk")))
    if choice.status:
        rows = rows.filter(deployment_status=choice.status)
    columns = read_columns(query)
    page = Paginator(in_order_of(worst_first(rows), columns), PER_PAGE).get_page(query.get("page"))
    drifted, values = drifted_of(page), label_values_of(page, [one.key for one in columns])
    for row in page:
        row.cells = [  # type: ignore[attr-defined]
            ", ".join(values.get((row.pk, one.key), ())) for one in columns
        ]
        row.address, row.drifted = address_of(row), drifted.get(row.pk, 0)  # type: ignore[attr-defined]
    rest = query.copy()
    rest.pop("page", None)
    shown = {
        "page": page,
        "counts": [(value, counted.get(value, 0)) for value in WORST_FIRST],
        "choice": choice,
        "parent": parent,
        "parent_address": address_of(parent) if parent else "",
        "crumbs": ancestors(parent, user, tenant) if parent else [],
        "kinds": KINDS.items(),
        "saved_filters": Filter.objects.visible_to(user, tenant).filter(is_system=False).order_by("name"),
        "address": f"?{rest.urlencode()}" if rest else "",
        "columns": columns,
        "sort": query.get("sort", "") if any(one.direction for one in columns) else "",
        "label_keys": [key for key in label_keys(user, tenant) if not key.startswith("csys-")][:MOST_KEYS],
        "may_start": may(user, "execution.start", tenant),
        "may_delete": may(user, "deployment.change", tenant),
    }
    return render(request, "orchestration/deployments.html", shown)


def the_local(request: TenantRequest, deployment_id: int) -> LocalDeployment:
    """What was deployed here and the person may see, or 404."""
    seen = Deployment.objects.visible_to(request.user, request.tenant)
    rows = LocalDeployment.objects.select_related(
        "deployment__tenant", "deployment__site", "deployment__created_by", "blueprint"
    )
    return get_object_or_404(rows, deployment__in=seen, deployment=deployment_id)


@needs("deployment.view")
def deployment_detail(request: TenantRequest, deployment_id: int) -> HttpResponse:
    """What it is, its nodes, what ran on it, what can be started; environments and placements have pages of their own."""
    seen = Deployment.objects.visible_to(request.user, request.tenant).select_related("environment", "placement")
    deployment = get_object_or_404(seen, pk=deployment_id)
    if deployment.kind != Deployment.Kind.LOCAL:
        return redirect(address_of(deployment))
    local = the_local(request, deployment_id)
    return show_deployment(request, local, WorkflowForm(workflows=workflows_of(local)))


def show_deployment(
    request: TenantRequest, local: LocalDeployment, form: WorkflowForm, status: int = 200
) -> HttpResponse:
    """The page of one deployment."""
    user, deployment = request.user, local.deployment
    is_own = deployment.tenant_id == request.tenant.pk
    ran = local.executions.select_related("created_by", "run").order_by("-created_at")
    shown = {
        "local": local,
        "deployment": deployment,
        "crumbs": ancestors(deployment, user, request.tenant),
        "labels": deployment.labels.order_by("key", "value"),
        "inputs": [(name, as_text(value)) for name, value in sorted((local.inputs or {}).items())],
        "nodes": nodes_of(local),
        "updates": list(
            local.updates.select_related("old_blueprint", "new_blueprint", "execution", "created_by").defer(
                "old_blueprint__plan", "new_blueprint__plan"
            )[:PER_PAGE]
        ),
        "executions": list(ran[:PER_PAGE]),
        "form": form,
        "may_start": is_own and may(user, "execution.start", request.tenant),
        "may_delete": is_own and may(user, "deployment.change", request.tenant),
    }
    return render(request, "orchestration/deployment.html", shown, status=status)


def as_text(value: Any) -> str:
    """A value as people read it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


@needs("deployment.view")
def deployment_exports(request: TenantRequest, deployment_id: int) -> HttpResponse:
    """Fragment: capabilities and outputs, evaluated now, which takes a moment."""
    local = the_local(request, deployment_id)
    sections: list[tuple[str, list[tuple[str, str]], str]] = []
    for of in ("capabilities", "outputs"):
        try:
            found = section_of(local.deployment, of, request.user)
            sections.append((of, [(name, as_text(value)) for name, value in sorted(found.items())], ""))
        except Refused as refusal:
            sections.append((of, [], refusal.message))
    return render(request, "orchestration/exports.html", {"sections": sections})


@require_POST
@needs("execution.start")
def deployment_start(request: TenantRequest, deployment_id: int) -> HttpResponse:
    """Start a workflow, then watch it."""
    local = the_local(request, deployment_id)
    if local.deployment.tenant_id != request.tenant.pk:
        raise Http404
    form = WorkflowForm(request.POST, workflows=workflows_of(local))
    if form.is_valid():
        try:
            execution = executions.start(by=actor_of(request), local=local, **form.cleaned_data)
            return redirect("execution", deployment_id, execution.pk)
        except Refused as refusal:
            form.add_error(None, refusal.message)
        except ValidationError as error:
            form.add_error(None, error)
    return show_deployment(request, local, form, 400)


@require_POST
@needs("deployment.change")
def deployment_delete(request: TenantRequest, deployment_id: int) -> HttpResponse:
    """Remove it from here; with its name typed once more, whatever still runs or stands."""
    local = the_local(request, deployment_id)
    if local.deployment.tenant_id != request.tenant.pk:
        raise Http404
    name, typed = local.deployment.wire_id, request.POST.get("confirm", "").strip()
    if typed and typed != name:
        messages.error(request, f"To delete it although it is in use, type its id exactly as it is written: {name}")
        return redirect("deployment", deployment_id)
    try:
        execution = deployments.delete(by=actor_of(request), local=local, force=bool(typed))
    except Refused as refusal:
        messages.error(request, refusal.message)
        return redirect("deployment", deployment_id)
    messages.success(request, f"{name} is being deleted.")
    return redirect("run", execution.run_id) if execution.run_id else redirect("deployments")


def the_execution(request: TenantRequest, deployment_id: int, execution_id: str) -> Execution:
    """An execution of a deployment that the person may see, or 404."""
    local = the_local(request, deployment_id)
    rows = Execution.objects.select_related("created_by", "run", "local__deployment__tenant")
    return get_object_or_404(rows, pk=execution_id, local=local)


@needs("execution.view")
def execution_detail(request: TenantRequest, deployment_id: int, execution_id: str) -> HttpResponse:
    """How far it is, and what it said; asks again by itself while it runs."""
    execution = the_execution(request, deployment_id, execution_id)
    level, search = request.GET.get("level", ""), request.GET.get("q", "").strip()
    page = Paginator(events_of(execution, level, search), EVENTS_PER_PAGE).get_page(request.GET.get("page"))
    shown = {
        "execution": execution,
        "deployment": execution.local.deployment if execution.local else None,
        "page": page,
        "level": level,
        "levels": LEVELS,
        "search": search,
        "is_final": execution.state in Execution.FINAL,
        "parameters": [(name, as_text(value)) for name, value in sorted(execution.parameters.items())],
        "may_steer": may(request.user, "execution.start", request.tenant) and execution.tenant_id == request.tenant.pk,
        "may_resume": execution.state in (Execution.State.FAILED, Execution.State.CANCELLED)
        and execution.workflow not in (executions.CREATE, executions.DELETE),
    }
    is_part = bool(getattr(request, "htmx", False))
    return render(request, "orchestration/progress.html" if is_part else "orchestration/execution.html", shown)


@require_POST
@needs("execution.start")
def execution_act(request: TenantRequest, deployment_id: int, execution_id: str, verb: str) -> HttpResponse:
    """Cancel, kill or resume."""
    execution = the_execution(request, deployment_id, execution_id)
    if execution.tenant_id != request.tenant.pk or verb not in ACTS:
        raise Http404
    try:
        executions.act(by=actor_of(request), execution=execution, action=verb)
        messages.success(request, f"{ACTS[verb]}: {execution.workflow}.")
    except Refused as refusal:
        messages.error(request, refusal.message)
    return redirect("execution", deployment_id, execution_id)
