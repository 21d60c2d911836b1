"""Page: who uses a deployment and whom it uses."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render

from accounts.permissions import needs
from accounts.requests import TenantRequest
from inventory.models import Deployment
from orchestration.dependency_reads import USED_BY, USES, Edge, count_above, neighbours
from orchestration.page_reads import address_of, ancestors

SHOWN = 100  # of each kind


@needs("deployment.view")
def deployment_dependencies(request: TenantRequest, deployment_id: int) -> HttpResponse:
    """Both ways, by what makes them depend on each other; of environments and placed services as well."""
    seen = Deployment.objects.visible_to(request.user, request.tenant).select_related("environment", "placement")
    deployment = get_object_or_404(seen, pk=deployment_id)
    found = neighbours(deployment, request.user, request.tenant)
    shown = {
        "deployment": deployment,
        "address": address_of(deployment),
        "crumbs": ancestors(deployment, request.user, request.tenant),
        "sides": [
            ("What it uses", "It uses no other deployment.", sections(found.of(USES))),
            ("What uses it", "Nothing uses it: it may be uninstalled and deleted.", sections(found.of(USED_BY))),
        ],
        "hidden": found.hidden,
        "needed_by": count_above(deployment),
    }
    return render(request, "orchestration/dependencies.html", shown)


def sections(kinds: list[tuple[str, list[Edge]]]) -> list[tuple[str, list[tuple[Edge, str]], int]]:
    """(words, [(edge, address of its own page of dependencies)], how many are not shown)."""
    return [
        (
            words,
            [(one, address_of(one.deployment) if one.deployment else "") for one in edges[:SHOWN]],
            max(0, len(edges) - SHOWN),
        )
        for words, edges in kinds
    ]
