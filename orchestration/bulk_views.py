"""Pages: what is done to many deployments at once; nothing begins before its preview was looked at."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from accounts.actors import actor_of
from accounts.permissions import needs
from accounts.requests import TenantRequest
from inventory.models import Deployment
from inventory.querysets import visible
from orchestration import bulk_removals, bulk_runs
from orchestration.bulk_forms import PaceForm, RemovalForm
from orchestration.bulk_looks import MOST, Preview
from orchestration.bulk_runs import Changed, Wish
from orchestration.deployment_choice import PARTS, meant, number
from orchestration.errors import Refused
from orchestration.group_models import DeploymentGroup
from orchestration.value_fields import ValuesForm

# Acts of the list that have a page of their own: (name of its address, what is added to the query)
ELSEWHERE = {
    "workflow": ("deployments-workflow", ""),
    "uninstall": ("deployments-uninstall", ""),  # of the portal: it takes what rollouts placed as well
    "update": ("deployments-update", ""),
    "delete": ("deployments-delete", ""),
    "group": ("deployments-group", ""),
}


@require_POST
@needs("deployment.view")
def deployments_act(request: TenantRequest) -> HttpResponse:
    """Go on to the page of the act with what was ticked; with all that the address means where `all` is sent."""
    name, more = ELSEWHERE.get(request.POST.get("what", ""), ("deployments", ""))
    picked = [pk for pk in request.POST.getlist("selected") if pk.isdigit()]
    if request.POST.get("all"):
        query = request.GET.copy()
        query.pop("page", None)
        return redirect(f"{reverse(name)}?{query.urlencode()}{more}")
    if not picked:
        return nothing_chosen(request, "Nothing was done: tick the deployments first.")
    return redirect(f"{reverse(name)}?deployments={','.join(picked)}{more}")


def nothing_chosen(request: TenantRequest, why: str) -> HttpResponse:
    """Back to the list, with the reason."""
    messages.error(request, why)
    return redirect("deployments")


def the_rows(request: TenantRequest) -> list[Deployment]:
    """What the address of a bulk page means, by name; 404 where it names a parent that cannot be seen."""
    try:
        found = meant(request.GET, request.user, request.tenant)
    except Deployment.DoesNotExist as error:
        raise Http404 from error
    rows = found.select_related("tenant", "environment", "placement", "local")
    rows = rows.defer("local__plan", "local__inputs", "local__given_inputs")
    return list(rows.order_by("display_name", "pk")[: MOST + 1])


def the_group(request: TenantRequest) -> DeploymentGroup | None:
    """The group whose members the address means; None: it means others."""
    rows = DeploymentGroup.objects.filter(visible(request.user, request.tenant), tenant=request.tenant)
    return rows.filter(pk=number(request.GET["group"])).first() if "group" in request.GET else None


def refused_choice(request: TenantRequest, rows: list[Deployment]) -> HttpResponse | None:
    """Back to the list where there is nothing, or too much, to act on; a choice of environments may be changed on the page."""
    if len(rows) > MOST:
        return nothing_chosen(
            request, f"These are more than {MOST:,} deployments. Choose fewer by a filter, then the rest."
        )
    if not rows and not is_of_environments(request):
        return nothing_chosen(request, "Nothing was done: there is no such deployment any more, or none was ticked.")
    return None


def is_of_environments(request: TenantRequest) -> bool:
    """Does the address name environments, and not deployments?"""
    return "environments" in request.GET or request.GET.get("of") == "environments"


def surroundings(request: TenantRequest, rows: list[Deployment], preview: Preview | None) -> dict[str, Any]:
    """What all bulk pages show."""
    return {
        "total": len(rows),
        "chosen_rows": rows[:40],
        "unnamed": max(0, len(rows) - 40),
        "parts": PARTS.items() if is_of_environments(request) else (),
        "part": request.GET.get("part") if request.GET.get("part") in PARTS else "below",
        "preview": preview,
        "digest": preview.digest if preview else "",
        "has_changed": False,
    }


@needs("execution.start")
def deployments_workflow(request: TenantRequest) -> HttpResponse:
    """A workflow on many: which one, with which parameters, what that would begin on, then the start."""
    rows = the_rows(request)
    if refusal := refused_choice(request, rows):
        return refusal
    offers = bulk_runs.offers(rows)
    offer = next((one for one in offers if one.name == request.GET.get("workflow")), None)
    posted = request.POST if request.method == "POST" else None
    values, pace = ValuesForm(offer.parameters if offer else {}, posted), PaceForm(posted)
    preview, has_changed = None, False
    if posted is not None and offer is not None and all([values.is_valid(), pace.is_valid()]):
        wish = Wish(offer.name, values.values(), pace.cleaned_data["concurrency"], pace.cleaned_data["force"])
        preview = bulk_runs.preview(rows=rows, tenant=request.tenant, wish=wish)
        if posted.get("what") == "start":
            try:
                group = bulk_runs.start(
                    by=actor_of(request),
                    tenant=request.tenant,
                    rows=rows,
                    wish=wish,
                    digest=posted.get("shown", ""),
                    group=the_group(request),
                )
                return redirect("execution-group", group.pk)
            except Changed as changed:
                preview, has_changed = changed.preview, True
            except Refused as refusal_:
                pace.add_error(None, refusal_.message)
    shown = surroundings(request, rows, preview) | {
        "offers": offers,
        "offer": offer,
        "values": values,
        "form": pace,
        "has_changed": has_changed,
    }
    return render(
        request, "orchestration/bulk_workflow.html", shown, status=400 if values.errors or pace.errors else 200
    )


@needs("deployment.change")
def deployments_delete(request: TenantRequest) -> HttpResponse:
    """Many deployments taken away here, what stands on them first; what is left out and why is said before."""
    rows = the_rows(request)
    if refusal := refused_choice(request, rows):
        return refusal
    posted = request.POST if request.method == "POST" else None
    form = RemovalForm(posted)
    force = bool(posted and posted.get("force"))
    preview, has_changed = bulk_removals.preview(rows=rows, tenant=request.tenant, force=force), False
    if posted is not None and posted.get("what") == "start":
        try:
            group = bulk_removals.start(
                by=actor_of(request), tenant=request.tenant, rows=rows, force=force, digest=posted.get("shown", "")
            )
            return redirect("execution-group", group.pk)
        except Changed as changed:
            preview, has_changed = changed.preview, True
        except Refused as refusal_:
            messages.error(request, refusal_.message)
    shown = surroundings(request, rows, preview) | {"form": form, "force": force, "has_changed": has_changed}
    return render(request, "orchestration/bulk_delete.html", shown)
