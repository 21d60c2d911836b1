"""The part of a cluster's page that says how it is now; fetched after the page, so that hosts that hang hold nobody up."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render

from accounts.permissions import needs
from accounts.requests import TenantRequest
from installs.health.looking import checkup_of
from installs.health.shown import for_page
from installs.views import the_cluster


@needs("cluster.view")
def health_now(request: TenantRequest, cluster_id: int) -> HttpResponse:
    """How the cluster is, from a few seconds ago at most."""
    cluster = the_cluster(request, cluster_id)
    return render(request, "installs/health_now.html", {"health": for_page(cluster, checkup_of(cluster))})
