"""Pages: sites, the places where environments stand."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from accounts.actors import actor_of
from accounts.errors import Conflict
from accounts.forms import show_errors
from accounts.permissions import needs
from accounts.requests import TenantRequest
from accounts.revisions import SEEN, Changed, revision_of
from accounts.roles import may
from inventory import editable, sites
from inventory.forms import SiteForm
from inventory.models import Environment, Site
from inventory.pins import pins

PER_PAGE = 50
FIELDS = ("name", "latitude", "longitude", "time_zone")


@needs("site.view", POST="site.change")
def site_list(request: TenantRequest, site_id: int | None = None) -> HttpResponse:
    """Sites; make one, or change the named one."""
    tenant = request.tenant
    changing = get_object_or_404(Site, pk=site_id, tenant=tenant) if site_id else None
    initial = {name: getattr(changing, name) for name in FIELDS} if changing else None
    form = SiteForm(request.POST or None, initial=initial)
    seen, code = request.POST.get(SEEN, ""), 400
    if changing and request.method != "POST":
        seen = revision_of(editable.of_site(changing))
    if request.method == "POST" and form.is_valid():
        try:
            if changing:
                sites.update_site(by=actor_of(request), site=changing, seen=seen, **form.cleaned_data)
            else:
                sites.create_site(by=actor_of(request), tenant=tenant, **form.cleaned_data)
            messages.success(request, f"Site {form.cleaned_data['name']} is saved.")
            return redirect("sites")
        except Changed as changed:
            show_errors(form, changed)
            seen, code = changed.revision, 409
        except (ValidationError, Conflict) as error:
            show_errors(form, error)
    rows = Site.objects.filter(tenant=tenant).annotate(environments=Count("deployments__environment")).order_by("name")
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    shown = {
        "form": form,
        "changing": changing,
        "seen": seen,
        "page": page,
        "counts": counts_at(request, [site.pk for site in page]),
        # Beside the place that is picked, so that one sees where one is.
        "known": [{"name": each.name, "at": [each.latitude, each.longitude]} for each in page if each.location],
        "may_change": may(request.user, "site.change", tenant),
    }
    return render(request, "inventory/sites.html", shown, status=code if form.errors else 200)


def counts_at(request: TenantRequest, sites: list[int]) -> dict[str, list[tuple[str, int]]]:
    """Site -> its environments by state, worst first: one query."""
    rows = Environment.objects.visible_to(request.user, request.tenant).filter(deployment__site__in=sites)
    return {pin.site: list(pin.counts.items()) for pin in pins(rows)}


@require_POST
@needs("site.change")
def site_delete(request: TenantRequest, site_id: int) -> HttpResponse:
    """Remove a place; environments there lose their site."""
    site = get_object_or_404(Site, pk=site_id, tenant=request.tenant)
    try:
        sites.delete_site(by=actor_of(request), site=site)
        messages.success(request, f"Site {site.name} is deleted.")
    except Conflict as error:
        messages.error(request, str(error))
    return redirect("sites")
