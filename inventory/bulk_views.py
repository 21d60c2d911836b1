"""Pages: what is done to many environments at once, chosen one by one or by the address of the list."""

from __future__ import annotations

import hashlib

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from accounts.actors import actor_of
from accounts.permissions import needs
from accounts.requests import TenantRequest
from inventory import exposing
from inventory.bulk_labels import change_labels, difference
from inventory.choosing import chosen, read_choice
from inventory.forms import BulkLabelsForm
from inventory.models import Environment
from inventory.probe_previews import preview
from inventory.querysets import EnvironmentQuerySet

NAMED = 40  # of the environments, on the page of a bulk act
# Acts that have a page of their own
ELSEWHERE = {
    "rollout": "rollout-new",
    "label": "environments-label",
    "probe": "environments-probe",
    "workflow": "deployments-workflow",
    "uninstall": "deployments-uninstall",
}


@require_POST
@needs("environment.view")
def environments_act(request: TenantRequest) -> HttpResponse:
    """Go on to the page of the act with what was selected; all that the address means where `all` is sent."""
    address = reverse(ELSEWHERE.get(request.POST.get("what", ""), "environments"))
    if request.POST.get("all"):
        query = request.GET.copy()
        query.pop("page", None)
        if request.POST.get("what") in ("workflow", "uninstall"):
            query["of"] = "environments"
        return redirect(f"{address}?{query.urlencode()}")
    picked = [pk for pk in request.POST.getlist("selected") if pk.isdigit()]
    if not picked:
        return nothing_selected(request)
    return redirect(f"{address}?environments={','.join(picked)}")


@needs("environment.probe")
def environments_probe(request: TenantRequest) -> HttpResponse:
    """Check many: first which and when they were last looked at, then a run that looks at them."""
    rows = meant(request)
    if request.method == "POST":
        found = list(rows.select_related("deployment"))
        if not found:
            return nothing_selected(request)
        try:
            run = exposing.probe_many(by=actor_of(request), tenant=request.tenant, environments=found)
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
            return redirect(f"{reverse('environments')}?{request.GET.urlencode()}")
        messages.success(request, f"Checking {len(found):,} environment{'' if len(found) == 1 else 's'}.")
        return redirect("run", run.pk)
    asked = preview(rows)
    if not asked.total:
        return nothing_selected(request)
    shown = {"asked": asked, "most": exposing.MOST_AT_ONCE, "unnamed": asked.total - len(asked.named)}
    return render(request, "inventory/bulk_probe.html", shown)


def nothing_selected(request: TenantRequest) -> HttpResponse:
    """Back to the list, with the reason."""
    messages.error(request, "Nothing was done: select the environments first.")
    return redirect(f"{reverse('environments')}?{request.GET.urlencode()}")


def meant(request: TenantRequest) -> EnvironmentQuerySet:
    """What the address of a bulk page means: `environments=1,2,3`, or a choice of the list. Of this tenant alone."""
    user, tenant = request.user, request.tenant
    if "environments" in request.GET:
        picked = [int(pk) for pk in request.GET["environments"].split(",") if pk.isdigit() and len(pk) < 19]
        found = Environment.objects.visible_to(user, tenant).filter(pk__in=picked)
    else:
        found = chosen(read_choice(request.GET, user, tenant), user, tenant)
    return found.filter(deployment__tenant=tenant)


def fingerprint(form: BulkLabelsForm) -> str:
    """Tells one set of changes from another."""
    text = repr((form.cleaned_data["add"], form.cleaned_data["remove"]))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@needs("deployment.change")
def environments_label(request: TenantRequest) -> HttpResponse:
    """Labels of many: what is asked for, then what that would change, then the change."""
    rows = meant(request).select_related("deployment").order_by("deployment__display_name")
    ids = [row.deployment_id for row in rows]
    if not ids:
        return nothing_selected(request)
    form = BulkLabelsForm(request.POST if request.method == "POST" else None)
    found = None
    if request.method == "POST" and form.is_valid():
        asked = {"ids": ids, "add": form.cleaned_data["add"], "remove": form.cleaned_data["remove"]}
        # What was typed after the preview has not been seen by anybody yet.
        is_seen = request.POST.get("shown") == fingerprint(form)
        if request.POST.get("what") == "apply" and is_seen:
            done = change_labels(by=actor_of(request), tenant=request.tenant, **asked)
            messages.success(
                request, f"Labels of {done.touched:,} environment{'' if done.touched == 1 else 's'} changed."
            )
            return redirect("environments")
        found = difference(**asked)
    shown = {
        "form": form,
        "found": found,
        "shown": fingerprint(form) if found else "",
        "total": len(ids),
        "named": [str(row) for row in rows[:NAMED]],
        "unnamed": max(0, len(ids) - NAMED),
    }
    return render(request, "inventory/bulk_labels.html", shown, status=400 if form.errors else 200)
