"""Pages of drills: all of one cluster, and the page that says what one costs before it is started."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render

from accounts.actors import actor_of
from accounts.errors import Conflict
from accounts.permissions import needs
from accounts.requests import TenantRequest
from installs.drills import kinds
from installs.drills.plans import drill_stages
from installs.drills.starting import refusal, start_drill
from installs.models import Drill
from installs.views import rights, the_cluster
from inventory.models import Cluster

PER_PAGE = 50
LONGEST_KEY = 128


@needs("cluster.view")
def drill_list(request: TenantRequest, cluster_id: int) -> HttpResponse:
    """The three drills with what each is, and every one that was run."""
    cluster = the_cluster(request, cluster_id)
    page = Paginator(Drill.objects.filter(cluster=cluster).last_ones(), PER_PAGE).get_page(request.GET.get("page"))
    shown = {"cluster": cluster, "page": page, "drills": page.object_list, "offers": offers(cluster)}
    return render(request, "installs/drills.html", shown | rights(request))


@needs("cluster.view", POST="cluster.change")
def drill(request: TenantRequest, cluster_id: int, kind: str) -> HttpResponse:
    """What one drill does and costs; a POST with the cluster's name typed starts it."""
    cluster = the_cluster(request, cluster_id)
    if request.method != "POST":
        return show(request, cluster, kind)
    if request.POST.get("name", "").strip() != cluster.name:
        return show(
            request,
            cluster,
            kind,
            wrong_name=f"Type {cluster.name} exactly as it is written here. Nothing was started.",
        )
    host, key = request.POST.get("host", ""), request.POST.get("key", "")[:LONGEST_KEY]
    try:
        started = start_drill(by=actor_of(request), cluster=cluster, kind=kind, host=host, key=key)
    except Conflict as error:
        return show(request, cluster, kind, refused=str(error))
    except ValidationError as error:
        return show(request, cluster, kind, refused=" ".join(error.messages))
    return redirect("run", started.run_id)


def show(
    request: TenantRequest, cluster: Cluster, kind: str, *, refused: str = "", wrong_name: str = ""
) -> HttpResponse:
    """The page; `refused` says why nothing was started, `wrong_name` that the name of the cluster was not typed."""
    layout = cluster.layout()
    why = refusal(cluster, kind)
    shown = {
        "cluster": cluster,
        "kind": Drill.Kind(kind),
        "deed": kinds.DEEDS[Drill.Kind(kind)],
        "cost": kinds.cost(kind, layout),
        "along": kinds.taken_along(kind, layout),
        "hosts": [] if kind == Drill.Kind.LEADER else kinds.candidates(kind, layout),
        "host": request.POST.get("host", ""),
        "stages": drill_stages(cluster.pk, layout, kind),
        "expected": kinds.expected_seconds(kind, layout),
        "off": why,
        "refused": refused,
        "wrong_name": wrong_name,
        "key": request.POST.get("key") or uuid.uuid4(),
    }
    status = 409 if refused else 400 if wrong_name else 200
    return render(request, "installs/drill.html", shown | rights(request), status=status)


def offers(cluster: Cluster) -> list[dict[str, Any]]:
    """The three drills: what each does and costs here, why it cannot be run, and the last of its kind."""
    layout = cluster.layout()
    last = {each.kind: each for each in Drill.objects.filter(cluster=cluster).last_of_each()}
    return [
        {
            "kind": kind,
            "deed": kinds.DEEDS[kind],
            "cost": kinds.cost(kind, layout),
            "off": kinds.refusal(kind, layout),
            "last": last.get(kind),
        }
        for kind in Drill.Kind
    ]
