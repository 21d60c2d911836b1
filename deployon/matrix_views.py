"""Pages: what runs where, and its export."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import render

from accounts.permissions import needs
from accounts.requests import TenantRequest
from deployon import matrix
from deployon.models import Placement
from deployon.views import rights
from inventory.choosing import Choice, chosen, read_choice, worst_first
from inventory.models import Filter, Site
from inventory.querysets import EnvironmentQuerySet
from inventory.views import chosen_labels, chosen_rules

PER_PAGE = 50
KINDS = {"csv": "text/csv", "json": "application/json"}
STANDING = [state for state in Placement.State.values if state != Placement.State.ABSENT]


def asked(request: TenantRequest) -> tuple[Choice, list[str], str, EnvironmentQuerySet]:
    """(choice of environments, names of services, wanted state, the environments) of the address of a page."""
    query = request.GET
    names = list(dict.fromkeys(filter(None, query.getlist("service"))))
    state = query.get("standing", "")
    state = state if state in STANDING or state == "none" else ""
    choice = read_choice(query, request.user, request.tenant)
    rows: Any = matrix.standing(chosen(choice, request.user, request.tenant), names, state)
    return choice, names, state, rows


@needs("rollout.view")
def matrix_page(request: TenantRequest) -> HttpResponse:
    """Environments down, services across; both by the page."""
    tenant, query = request.tenant, request.GET
    choice, names, state, rows = asked(request)
    services = Paginator(matrix.services_of(tenant, names), matrix.COLUMNS_A_PAGE).get_page(query.get("services"))
    page = Paginator(worst_first(rows).select_related("deployment__site"), PER_PAGE).get_page(query.get("page"))
    columns = list(services)
    found = matrix.lines(tenant, page, [service.pk for service in columns])
    rest = query.copy()
    for key in ("page", "services"):
        rest.pop(key, None)
    shown = {
        "page": page,
        "services": services,
        "columns": columns,
        "rows": [(line, [line.services.get(service.name) for service in columns]) for line in found],
        "choice": choice,
        "names": names,
        "standing": state,
        "states": [*STANDING, "none"],
        "all_services": matrix.services_of(tenant).values_list("name", flat=True)[:500],
        "sites": Site.objects.filter(tenant=tenant),
        "saved_filters": Filter.objects.visible_to(request.user, tenant).filter(is_system=False).order_by("name"),
        "chosen_labels": chosen_labels(query),
        "chosen_rules": chosen_rules(query),
        "is_filtered": bool(names or state or not choice.is_everything),
        "address": f"?{rest.urlencode()}&" if rest else "?",
    }
    return render(request, "deployon/matrix.html", shown | rights(request))


@needs("rollout.view")
def matrix_export(request: TenantRequest) -> HttpResponse:
    """All that the page's address means, of all its pages, as a file."""
    _, names, _, rows = asked(request)
    kind = "json" if request.GET.get("as") == "json" else "csv"
    services = matrix.services_of(request.tenant, names).values_list("pk", flat=True)
    found = matrix.all_lines(request.tenant, worst_first(rows), list(services))
    text = matrix.as_json(found) if kind == "json" else matrix.as_csv(found)
    reply = HttpResponse(text, content_type=f"{KINDS[kind]}; charset=utf-8")
    reply["Content-Disposition"] = f'attachment; filename="what-runs-where.{kind}"'
    return reply
