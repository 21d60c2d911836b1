"""Pages: what is not as recorded, both ways, and what is not as wanted; asking anew, and setting right. Adoption is in adoption_views."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from accounts.actors import actor_of
from accounts.errors import Conflict
from accounts.permissions import needs
from accounts.requests import TenantRequest
from accounts.roles import may
from deployon import drift, mending, orphans, scans
from deployon.matrix_views import asked as asked_of_matrix
from deployon.views import rights
from inventory.models import Site
from inventory.querysets import EnvironmentQuerySet
from inventory.views import chosen_labels

PER_PAGE, DRIFTED_PER_PAGE = 50, 200
WORDS = {
    "unreachable": "Not reached",
    "orphans": "With orphans",
    "unseen": "Not asked yet",
    "clear": "As recorded",
    "empty": "Nothing there",
}
LOOKS = {"unreachable": "unreachable", "orphans": "differs", "unseen": "unknown", "clear": "ready", "empty": "absent"}


def own(request: TenantRequest) -> tuple[Any, EnvironmentQuerySet]:
    """(choice, own environments) that the address means."""
    choice, _, _, rows = asked_of_matrix(request)
    return choice, rows.filter(deployment__tenant=request.tenant)


def powers(request: TenantRequest) -> dict[str, bool]:
    """What the person may do here."""
    return rights(request) | {"may_ask": may(request.user, "environment.probe", request.tenant)}


@needs("rollout.view")
def orphans_page(request: TenantRequest) -> HttpResponse:
    """Environments with what is there without a record here, and the reverse; the worst first."""
    choice, rows = own(request)
    listed = rows.select_related("deployment__site").order_by("deployment__display_name", "pk")
    found = orphans.reports(request.tenant, listed)
    counts = Counter(report.state for report in found)
    told = request.GET.get("told", "")
    shown_reports = [report for report in found if not told or report.state == told]
    shown_reports.sort(key=lambda report: orphans.STATES.index(report.state))
    page = Paginator(shown_reports, PER_PAGE).get_page(request.GET.get("page"))
    shown = {
        "page": page,
        "counts": [(state, LOOKS[state], WORDS[state], counts[state]) for state in orphans.STATES],
        "words": WORDS,
        "looks": LOOKS,
        "told": told,
        "choice": choice,
        "sites": Site.objects.filter(tenant=request.tenant),
        "chosen_labels": chosen_labels(request.GET),
        "total": len(found),
        "is_filtered": bool(told or not choice.is_everything),
        "address": f"?{request.GET.urlencode()}" if request.GET else "",
    }
    return render(request, "deployon/orphans.html", shown | powers(request))


@needs("rollout.view")
def drift_page(request: TenantRequest) -> HttpResponse:
    """Placements that the last look found not as wanted, by service and version."""
    choice, rows = own(request)
    found = orphans.drifted(request.tenant, rows)
    page = Paginator(found, DRIFTED_PER_PAGE).get_page(request.GET.get("page"))
    groups: dict[tuple[str, int | None], list[orphans.Drifted]] = {}
    for each in page:
        version = each.placement.desired_version
        groups.setdefault((each.placement.service.name, version.number if version else None), []).append(each)
    asked = rows.filter(scan__seen_at__isnull=False).count()
    shown = {
        "groups": [
            {"service": service, "version": version, "rows": each, "fixable": sum(one.is_fixable for one in each)}
            for (service, version), each in groups.items()
        ],
        "total": len(found),
        "page": page,
        "asked": asked,
        "unasked": rows.count() - asked,
        "kinds": drift.KINDS,
        "choice": choice,
        "sites": Site.objects.filter(tenant=request.tenant),
        "chosen_labels": chosen_labels(request.GET),
        "is_filtered": not choice.is_everything,
        "address": f"?{request.GET.urlencode()}" if request.GET else "",
    }
    return render(request, "deployon/drift.html", shown | powers(request))


@require_POST
@needs("environment.probe")
def scan_now(request: TenantRequest) -> HttpResponse:
    """Ask the sub-managers of all environments that the address means."""
    _, rows = own(request)
    done = scans.scan(scans.for_asking(rows.order_by("pk")))
    failed = sum(bool(scan.error) for scan in done)
    many = f"{len(done):,} environment{'' if len(done) == 1 else 's'}"
    messages.success(request, f"Asked {many}; {failed:,} could not be asked." if failed else f"Asked {many}.")
    name = "drift" if request.POST.get("back") == "drift" else "orphans"
    return redirect(f"{reverse(name)}?{request.GET.urlencode()}")


@require_POST
@needs("rollout.start")
def mend(request: TenantRequest) -> HttpResponse:
    """On to the review of a rollout that puts the chosen placements as they are wanted."""
    keys = [int(key) for key in request.POST.getlist("placement") if key.isdigit()]
    try:
        preview = mending.preview_mending(by=actor_of(request), tenant=request.tenant, placements=keys)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("orphans" if request.POST.get("back") == "orphans" else "drift")
    return redirect("rollout-review", preview.digest)


@require_POST
@needs("rollout.start")
def forget(request: TenantRequest) -> HttpResponse:
    """Say which records would be forgotten, then forget them."""
    keys = [int(key) for key in request.POST.getlist("placement") if key.isdigit()]
    is_sure = request.POST.get("sure") == "1"
    try:
        names = mending.forget_placements(
            by=actor_of(request), tenant=request.tenant, placements=keys, dry_run=not is_sure
        )
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("orphans")
    except Conflict as error:
        messages.error(request, str(error))
        return redirect("orphans")
    if not is_sure:
        return render(request, "deployon/forget.html", {"names": names, "keys": keys})
    messages.success(request, f"Forgotten here: {', '.join(names)}.")
    return redirect("orphans")
