"""Pages: blueprints of this installation; uploaded, looked at, deployed from, removed."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Count, QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from accounts.actors import actor_of
from accounts.errors import Conflict
from accounts.forms import show_errors
from accounts.permissions import needs
from accounts.requests import TenantRequest
from accounts.roles import may
from inventory.querysets import visible
from orchestration import blueprints, deployments, executions
from orchestration.blueprint_forms import DeployForm, UploadForm
from orchestration.downloads import archive_of
from orchestration.errors import Refused
from orchestration.fetching import FetchError
from orchestration.models import Blueprint, Execution, ExecutionEvent, LocalDeployment
from orchestration.value_fields import ValuesForm
from orchestration.views import as_text

PER_PAGE = 50
PREPARED_SECONDS = 10.0  # a deployment is mostly prepared within one; whoever asked is not kept waiting for longer
GROUPS = {
    "uploaded": ("Usable", frozenset({Blueprint.State.UPLOADED})),
    "parsing": ("Being read", blueprints.BUSY),
    "failed": ("Refused", blueprints.FAILED),
}


def seen(request: TenantRequest) -> QuerySet[Blueprint]:
    """Blueprints that the person may see, without their plans; what is only being validated is no row of a list."""
    rows = Blueprint.objects.filter(visible(request.user, request.tenant), is_hidden=False)
    return rows.select_related("tenant", "created_by").defer("plan")


def the_blueprint(request: TenantRequest, blueprint_id: int, *, is_own: bool = False) -> Blueprint:
    """The blueprint, or 404; `is_own`: one of another tenant that is seen here, too."""
    rows = seen(request).defer(None)
    return get_object_or_404(rows.filter(tenant=request.tenant) if is_own else rows, pk=blueprint_id)


@needs("blueprint.view")
def blueprint_list(request: TenantRequest) -> HttpResponse:
    """All of them, the newest first."""
    search, group = request.GET.get("q", "").strip(), request.GET.get("state", "")
    rows = seen(request)
    if search:
        rows = rows.filter(wire_id__icontains=search)
    counted = dict(rows.order_by().values_list("state").annotate(Count("pk")))
    if group in GROUPS:
        rows = rows.filter(state__in=GROUPS[group][1])
    standing = visible(request.user, request.tenant, "deployments__deployment__")
    rows = rows.annotate(deployment_count=Count("deployments", filter=standing, distinct=True))
    shown = {
        "page": Paginator(rows.order_by("-created_at", "-pk"), PER_PAGE).get_page(request.GET.get("page")),
        "groups": [
            (name, words, sum(counted.get(state, 0) for state in states)) for name, (words, states) in GROUPS.items()
        ],
        "group": group,
        "search": search,
        "may_change": may(request.user, "blueprint.change", request.tenant),
    }
    return render(request, "orchestration/blueprints.html", shown)


@needs("blueprint.change")
def blueprint_upload(request: TenantRequest) -> HttpResponse:
    """A file or a URL; then the page of the blueprint, which says how it is read."""
    given: tuple[Any, ...] = (request.POST, request.FILES) if request.method == "POST" else ()
    initial = {"wire_id": request.GET.get("id", "")}
    form = UploadForm(*given, user=request.user, tenant=request.tenant, initial=initial)
    if request.method == "POST" and form.is_valid():
        names = ("wire_id", "content", "url", "file_name", "main_file", "visibility", "labels")
        try:
            row, _ = blueprints.upload(
                by=actor_of(request), tenant=request.tenant, **{name: form.cleaned_data[name] for name in names}
            )
            return redirect("blueprint", row.pk)
        except FetchError as error:
            form.add_error("url", str(error))
        except Refused as refusal:
            form.add_error(None, refusal.message)
        except (ValidationError, Conflict) as error:
            show_errors(form, error)
    if request.method == "POST":
        form.ask_again()
    code = 400 if request.method == "POST" else 200
    return render(request, "orchestration/blueprint_upload.html", {"form": form}, status=code)


@needs("blueprint.view")
def blueprint_detail(request: TenantRequest, blueprint_id: int) -> HttpResponse:
    """What it asks for and what it makes, what was noticed when it was read, what stands of it; asks again until it is read."""
    row = the_blueprint(request, blueprint_id)
    plan = row.plan or {}
    needed = row.requirements or {}
    upload = Execution.objects.filter(pk=row.upload_execution).first() if row.upload_execution else None
    warnings = ExecutionEvent.objects.filter(execution=upload, level="warning").order_by("reported_at", "id")
    standing = LocalDeployment.objects.filter(
        visible(request.user, request.tenant, "deployment__"), blueprint=row
    ).count()
    is_own, user, tenant = row.tenant_id == request.tenant.pk, request.user, request.tenant
    is_usable = row.state == Blueprint.State.UPLOADED
    shown = {
        "blueprint": row,
        "is_busy": row.state in blueprints.BUSY,
        "warnings": list(warnings.values_list("message", flat=True)[:PER_PAGE]) if upload else [],
        "inputs": [(name, facts, as_text(facts.get("default"))) for name, facts in (plan.get("inputs") or {}).items()],
        "nodes": [(node.get("name") or node.get("id"), node.get("type")) for node in plan.get("nodes") or ()],
        "exports": [
            (name, (facts or {}).get("description") or "") for name, facts in (plan.get("capabilities") or {}).items()
        ],
        "secrets": [as_text(name) for name in needed.get("secrets") or ()],
        "from_parent": [
            ".".join(as_text(part) for part in path) for path in needed.get("parent_capabilities") or () if path
        ],
        "standing": standing,
        "may_change": is_own and may(user, "blueprint.change", tenant),
        "may_deploy": is_usable and may(user, "deployment.change", tenant),
    }
    is_part = bool(getattr(request, "htmx", False))
    return render(request, f"orchestration/blueprint{'_body' if is_part else ''}.html", shown)


@needs("blueprint.view")
def blueprint_archive(request: TenantRequest, blueprint_id: int) -> HttpResponse:
    """Its archive, as it was uploaded."""
    reply = archive_of(the_blueprint(request, blueprint_id))
    if reply is None:
        raise Http404
    return reply


@require_POST
@needs("blueprint.change")
def blueprint_delete(request: TenantRequest, blueprint_id: int) -> HttpResponse:
    """Remove it, where nothing stands of it."""
    row = the_blueprint(request, blueprint_id, is_own=True)
    try:
        blueprints.delete(by=actor_of(request), blueprint=row)
    except Refused as refusal:
        messages.error(request, refusal.message)
        return redirect("blueprint", row.pk)
    messages.success(request, f"Blueprint {row.wire_id} is removed.")
    return redirect("blueprints")


@needs("deployment.change")
def blueprint_deploy(request: TenantRequest, blueprint_id: int) -> HttpResponse:
    """A deployment of it on this installation: made, prepared, and installed if that is wanted."""
    row = the_blueprint(request, blueprint_id)
    if row.state != Blueprint.State.UPLOADED:
        messages.error(request, f"Blueprint {row.wire_id} is not usable: {row.get_state_display().lower()}.")
        return redirect("blueprint", row.pk)
    posted = request.POST if request.method == "POST" else None
    values = ValuesForm((row.plan or {}).get("inputs") or {}, posted)
    form = DeployForm(posted, user=request.user, tenant=request.tenant, widest=row.visibility)
    may_install = may(request.user, "execution.start", request.tenant)
    if not may_install:
        del form.fields["install"]
    if posted is not None and all([values.is_valid(), form.is_valid()]):
        names = ("wire_id", "display_name", "site", "labels", "visibility")
        given = {name: form.cleaned_data[name] for name in names}
        try:
            local = deployments.create(
                by=actor_of(request), tenant=request.tenant, blueprint=row, inputs=values.values(), **given
            )
            return begun(request, local, form.cleaned_data.get("install", False))
        except Refused as refusal:
            form.add_error(None, refusal.message)
        except (ValidationError, Conflict) as error:
            show_errors(form, error)
    shown = {"blueprint": row, "form": form, "values": values}
    return render(request, "orchestration/blueprint_deploy.html", shown, status=200 if posted is None else 400)


def begun(request: TenantRequest, local: LocalDeployment, is_wanted: bool) -> HttpResponse:
    """The page of what is at work now: the installation, or the preparation before it."""
    pk = local.deployment_id
    creation = executions.wait_for(Execution.objects.get(pk=local.create_execution or ""), PREPARED_SECONDS)
    if creation.state != Execution.State.TERMINATED:
        if is_wanted and creation.state not in Execution.FINAL:
            messages.warning(request, "It is still being prepared. Start install on its page when that has ended.")
        return redirect("execution", pk, creation.pk)
    if not is_wanted:
        messages.success(request, f"{local.deployment.wire_id} is prepared. Nothing is installed yet.")
        return redirect("deployment", pk)
    try:
        execution = executions.start(by=actor_of(request), local=local, workflow="install")
    except Refused as refusal:
        messages.error(request, refusal.message)
        return redirect("deployment", pk)
    return redirect("execution", pk, execution.pk)
