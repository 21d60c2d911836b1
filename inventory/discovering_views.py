"""Page: all tenants that a credential sees at one manager, and exposing the wanted ones."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render

from accounts.actors import actor_of
from accounts.errors import Conflict
from accounts.forms import show_errors
from accounts.permissions import needs
from accounts.requests import TenantRequest
from inventory import discovering
from inventory.discovering_forms import TenantsForm
from inventory.exposing_views import problems_of, wanted_of

FOR_ALL = ("name_template", "site", "labels")  # of what is made; not needed to look
MAKE = "expose"


@needs("environment.change")
def environments_discover(request: TenantRequest) -> HttpResponse:
    """Look for tenants, then expose those that were ticked; with scripts the list is a fragment beside what was typed."""
    form = TenantsForm(request.POST if request.method == "POST" else None, tenant=request.tenant, user=request.user)
    found, ticked = None, set(request.POST.getlist("selected"))
    is_making = request.POST.get("intent") == MAKE
    if request.method == "POST":
        form.is_valid()
        if not form.errors or (not is_making and not set(form.errors) - set(FOR_ALL)):
            wanted = wanted_of(form)
            if is_making and (reply := _exposed(request, form, wanted, ticked)):
                return reply
            found = _found(request, form, wanted, is_shown=not is_making)
    problems = problems_of(form)
    tenants = sorted(found.tenants, key=lambda each: (not each.is_free, not each.environments)) if found else []
    rows = [(each, each.is_free and (each.name in ticked or not is_making)) for each in tenants]
    shown: dict[str, Any] = {
        "found": found,
        "rows": rows,
        "ticked": sum(is_ticked for _, is_ticked in rows),
        "free": sum(each.is_free for each, _ in rows),
    }
    if request.headers.get("HX-Request") and not is_making:
        return render(request, "inventory/tenants_there.html", shown | {"problems": problems})
    status = 400 if form.errors else 200
    if request.method == "POST":
        form.ask_again()
    shown |= {"form": form, "has_secrets": form.has_stored_secrets}
    return render(request, "inventory/discover.html", shown, status=status)


def _found(
    request: TenantRequest, form: TenantsForm, wanted: dict[str, Any], *, is_shown: bool
) -> discovering.Discovery | None:
    """What the manager says; `is_shown` is False where another problem is told already."""
    fields = {name: value for name, value in wanted.items() if name not in FOR_ALL}
    try:
        return discovering.discover_tenants(by=actor_of(request), tenant=request.tenant, **fields)
    except ValidationError as error:
        if is_shown:
            show_errors(form, error)
        return None


def _exposed(
    request: TenantRequest, form: TenantsForm, wanted: dict[str, Any], ticked: set[str]
) -> HttpResponse | None:
    """Make them; None where the form says why not."""
    try:
        done = discovering.expose_tenants(
            by=actor_of(request), tenant=request.tenant, remote_tenants=sorted(ticked), **wanted
        )
    except (ValidationError, Conflict) as error:
        show_errors(form, error)
        return None
    count, left = len(done.made), len(done.skipped)
    kept = f" {left:,} {'is' if left == 1 else 'are'} exposed already." if left else ""
    messages.success(request, f"{count:,} tenant{'' if count == 1 else 's'} exposed.{kept}")
    return redirect("run", done.run.pk) if done.run else redirect("environments")
