"""Pages: an update of one deployment or of many, previewed and started; what was updated before."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from accounts.actors import actor_of
from accounts.permissions import needs
from accounts.requests import TenantRequest
from inventory.querysets import visible
from orchestration import update_previews, updates
from orchestration.bulk_forms import PlainPaceForm, UpdateForm
from orchestration.bulk_looks import Preview
from orchestration.bulk_runs import Changed
from orchestration.bulk_views import nothing_chosen, refused_choice, surroundings, the_rows
from orchestration.deployment_choice import numbers
from orchestration.errors import Refused
from orchestration.models import Blueprint, LocalDeployment
from orchestration.page_reads import ancestors
from orchestration.update_models import DeploymentUpdate
from orchestration.update_previews import words_of
from orchestration.value_fields import ValuesForm
from orchestration.views import as_text, the_local


def blueprints_seen(request: TenantRequest) -> QuerySet[Blueprint]:
    """Blueprints that something may be updated to, without their plans."""
    rows = Blueprint.objects.filter(visible(request.user, request.tenant), state=Blueprint.State.UPLOADED)
    return rows.filter(is_hidden=False).defer("plan").order_by("wire_id")


def blueprint_named(request: TenantRequest) -> Blueprint | None:
    """The one that the address names; None: none."""
    name = request.GET.get("blueprint_id", "")
    rows = blueprints_seen(request).defer(None).filter(wire_id=name) if name else ()
    found = sorted(rows, key=lambda row: row.tenant_id != request.tenant.pk)
    return found[0] if found else None


def digest_of(outlook: update_previews.Outlook, local: LocalDeployment, wanted: updates.Wanted) -> str:
    """Tells whether the update is still the one that was looked at."""
    preview = Preview([local.deployment], [], update_previews.told(wanted))
    preview.stamps = update_previews.stamps_of([local.deployment])
    preview.notes = {local.deployment_id: [outlook.steps, outlook.anew, outlook.by_operation]}
    return preview.digest


@needs("execution.start")
def deployment_update(request: TenantRequest, deployment_id: int) -> HttpResponse:
    """Another blueprint, other inputs: the steps, then the start."""
    local = the_local(request, deployment_id)
    if local.deployment.tenant_id != request.tenant.pk:
        raise Http404
    blueprint = blueprint_named(request) or local.blueprint
    posted = request.POST if request.method == "POST" else None
    declared = (blueprint.plan or {}).get("inputs") or {}
    present = {name: value for name, value in (local.inputs or {}).items() if name in declared}
    values, form = ValuesForm(declared, posted, present=present, keeps=True), UpdateForm(posted)
    outlook, digest, has_changed = None, "", False
    if posted is not None and all([values.is_valid(), form.is_valid()]):
        given = {
            name: value for name, value in values.values().items() if name not in present or present[name] != value
        }
        wanted = updates.Wanted(
            blueprint=blueprint if blueprint != local.blueprint else None, inputs=given, flags=form.flags()
        )
        try:
            outlook = update_previews.outlook(actor_of(request), local, wanted)
            digest = digest_of(outlook, local, wanted)
            if posted.get("what") == "start" and posted.get("shown") == digest:
                update = updates.initiate(by=actor_of(request), local=local, wanted=wanted)
                return redirect("deployment-update-detail", deployment_id, update.pk)
            has_changed = posted.get("what") == "start"
        except Refused as refusal:
            form.add_error(None, refusal.message)
    shown = {
        "local": local,
        "deployment": local.deployment,
        "crumbs": ancestors(local.deployment, request.user, request.tenant),
        "blueprints": blueprints_seen(request),
        "blueprint": blueprint,
        "values": values,
        "form": form,
        "outlook": outlook,
        "inputs": [(name, as_text(old), as_text(new)) for name, old, new in outlook.inputs] if outlook else [],
        "digest": digest,
        "has_changed": has_changed,
    }
    return render(request, "orchestration/update.html", shown, status=400 if values.errors or form.errors else 200)


@needs("deployment.view")
def deployment_update_detail(request: TenantRequest, deployment_id: int, update_id: int) -> HttpResponse:
    """One update: from what to what, its steps, how it went."""
    local = the_local(request, deployment_id)
    rows = DeploymentUpdate.objects.select_related("old_blueprint", "new_blueprint", "execution", "created_by")
    update = get_object_or_404(rows.defer("old_blueprint__plan", "new_blueprint__plan"), pk=update_id, local=local)
    old, new = update.old_inputs or {}, update.new_inputs or {}
    shown = {
        "deployment": local.deployment,
        "crumbs": ancestors(local.deployment, request.user, request.tenant),
        "update": update,
        "is_final": update.state in (DeploymentUpdate.State.SUCCESSFUL, DeploymentUpdate.State.FAILED),
        "steps": [(step["action"], words_of(step)) for step in update.steps],
        "inputs": [
            (name, as_text(old.get(name)), as_text(new.get(name)))
            for name in sorted({*old, *new})
            if old.get(name) != new.get(name)
        ],
        "options": sorted(name for name, value in update.options.items() if value),
    }
    is_part = bool(getattr(request, "htmx", False))
    return render(request, f"orchestration/{'update_progress' if is_part else 'update_detail'}.html", shown)


@needs("execution.start")
def deployments_update(request: TenantRequest) -> HttpResponse:
    """The same blueprint, the same inputs for many, or only what has drifted: the outlook of each, then the start."""
    rows = the_rows(request)
    if refusal := refused_choice(request, rows):
        return refusal
    if len(rows) > update_previews.MOST:
        return nothing_chosen(
            request,
            f"An update is previewed for at most {update_previews.MOST:,} deployments. Choose fewer by a filter.",
        )
    blueprint = blueprint_named(request)
    posted = request.POST if request.method == "POST" else None
    values = ValuesForm(declared_by(blueprint, rows), posted, are_required=False, keeps=True)
    form, pace = UpdateForm(posted), PlainPaceForm(posted)
    preview, has_changed = None, False
    if posted is not None and all([values.is_valid(), form.is_valid(), pace.is_valid()]):
        wanted = updates.Wanted(blueprint=blueprint, inputs=values.values(), flags=form.flags())
        by, tenant = actor_of(request), request.tenant
        try:
            if posted.get("what") == "start":
                picked = set(numbers(posted.get("acting", "")))
                group = update_previews.start_many(
                    by=by,
                    tenant=tenant,
                    rows=[row for row in rows if row.pk in picked],
                    wanted=wanted,
                    concurrency=pace.cleaned_data["concurrency"],
                    digest=posted.get("shown", ""),
                )
                return redirect("execution-group", group.pk)
        except Changed:
            has_changed = True
        except Refused as refusal_:
            messages.error(request, refusal_.message)
        preview = update_previews.preview_many(by=by, rows=rows, tenant=tenant, wanted=wanted)
    shown: dict[str, Any] = surroundings(request, rows, preview) | {
        "blueprints": blueprints_seen(request),
        "blueprint": blueprint,
        "values": values,
        "form": form,
        "pace": pace,
        "has_changed": has_changed,
        "acting": ",".join(str(row.pk) for row in preview.acting) if preview else "",
    }
    wrong = values.errors or form.errors or pace.errors
    return render(request, "orchestration/bulk_update.html", shown, status=400 if wrong else 200)


def declared_by(blueprint: Blueprint | None, rows: list[Any]) -> dict[str, Any]:
    """Inputs that may be given: of the new blueprint, else of those that the deployments have."""
    plans = [blueprint.plan] if blueprint is not None else []
    if blueprint is None:
        used = Blueprint.objects.filter(deployments__deployment__in=[row.pk for row in rows]).distinct()
        plans = list(used.values_list("plan", flat=True)) if len(rows) else []
    declared: dict[str, Any] = {}
    for plan in plans:
        declared |= (plan or {}).get("inputs") or {}
    return declared
