"""Pages: the list of clusters and one of them; its host keys, and forgetting it. Describing is in describing_views."""

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
from accounts.permissions import needs
from accounts.requests import TenantRequest
from accounts.roles import may
from installs import importing
from installs.health.shown import for_page
from installs.host_keys import look_at_host_key, look_at_host_keys
from installs.models import Certificate, Checkup
from installs.picture import draw
from installs.services import cluster_findings
from inventory import cluster_hosts, clusters
from inventory.models import Cluster, ClusterNode, HostKey

PER_PAGE = 50


@needs("cluster.view")
def cluster_list(request: TenantRequest) -> HttpResponse:
    """Clusters by name."""
    rows = Cluster.objects.filter(tenant=request.tenant).select_related("site").annotate(host_count=Count("nodes"))
    search = request.GET.get("q", "").strip()
    shown = rows.filter(name__icontains=search) if search else rows
    page = Paginator(shown.order_by("name"), PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "installs/clusters.html", {"page": page, "search": search} | rights(request))


@needs("cluster.view")
def cluster_detail(request: TenantRequest, cluster_id: int) -> HttpResponse:
    """One cluster: picture, hosts, certificates, and everything that is wrong with it."""
    cluster = the_cluster(request, cluster_id)
    found = cluster_findings(cluster)
    certificates = Certificate.objects.filter(cluster=cluster).exclude(state=Certificate.State.REPLACED)
    hosts = list(cluster.nodes.all())
    for node in hosts:
        node.shown_key = key_to_show(node)  # type: ignore[attr-defined]
    shown = {
        "cluster": cluster,
        "hosts": hosts,
        "findings": found,
        "errors": sum(finding.is_error for finding in found),
        "picture": draw(cluster.layout(), found),
        "certificates": certificates,
        "health": for_page(cluster, Checkup.objects.filter(cluster=cluster).first()) if cluster.is_built else None,
        "untrusted": sum(node.trusted_key() is None for node in hosts),
    }
    return render(request, "installs/cluster.html", shown | rights(request))


@needs("cluster.view")
def cluster_export(request: TenantRequest, cluster_id: int) -> HttpResponse:
    """The description as a file; `?as=csv` for its hosts alone."""
    cluster = the_cluster(request, cluster_id)
    kind = "csv" if request.GET.get("as") == "csv" else "yaml"
    reply = HttpResponse(importing.export_layout(cluster, kind), content_type="text/plain; charset=utf-8")
    reply["Content-Disposition"] = f'attachment; filename="{cluster.name}.{kind}"'
    return reply


@require_POST
@needs("cluster.change")
def cluster_remove(request: TenantRequest, cluster_id: int) -> HttpResponse:
    """Forget a cluster; nothing changes on its hosts."""
    cluster = the_cluster(request, cluster_id)
    try:
        clusters.delete_cluster(by=actor_of(request), cluster=cluster, is_forced=request.POST.get("force") == "1")
        messages.success(request, f"Cluster {cluster.name} is forgotten. Nothing was changed on its hosts.")
    except Conflict as error:
        messages.error(request, str(error))
        return redirect("cluster", cluster_id)
    return redirect("clusters")


@require_POST
@needs("cluster.change")
def keys_look(request: TenantRequest, cluster_id: int) -> HttpResponse:
    """Ask all hosts without a trusted key for theirs."""
    nodes = [node for node in the_cluster(request, cluster_id).nodes.all() if node.trusted_key() is None]
    for problem in look_at_host_keys(nodes):
        messages.warning(request, problem)
    return redirect("cluster", cluster_id)


@require_POST
@needs("cluster.change")
def key_look(request: TenantRequest, cluster_id: int, host_id: int) -> HttpResponse:
    """Ask one host for its key, also where another is trusted."""
    node = the_host(request, cluster_id, host_id)
    try:
        key = look_at_host_key(node)
        messages.success(request, f"{node.name} shows {key.fingerprint}. Compare it at the host before you trust it.")
    except Conflict as error:
        messages.error(request, str(error))
    return redirect("cluster", cluster_id)


@require_POST
@needs("cluster.change")
def key_trust(request: TenantRequest, cluster_id: int, host_id: int) -> HttpResponse:
    """Trust the key with that fingerprint."""
    node = the_host(request, cluster_id, host_id)
    try:
        cluster_hosts.trust_host_key(by=actor_of(request), node=node, fingerprint=request.POST.get("fingerprint", ""))
        messages.success(request, f"The key of {node.name} is trusted.")
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect("cluster", cluster_id)


def key_to_show(node: ClusterNode) -> HostKey | None:
    """The newest key that waits for a decision, else the trusted one."""
    offered = [key for key in node.host_keys.all() if key.state == HostKey.State.OFFERED]
    trusted = node.trusted_key()
    newest = offered[0] if offered else None
    return newest if newest and (trusted is None or newest.seen_at > trusted.seen_at) else trusted


def rights(request: TenantRequest) -> dict[str, bool]:
    """What the person may do here, for the buttons."""
    return {"may_change": may(request.user, "cluster.change", request.tenant)}


def the_cluster(request: TenantRequest, cluster_id: int) -> Cluster:
    """The cluster of that id in the current tenant, with hosts and keys; 404 otherwise."""
    cluster: Cluster = get_object_or_404(Cluster.objects.with_hosts(), pk=cluster_id, tenant=request.tenant)
    return cluster


def the_host(request: TenantRequest, cluster_id: int, host_id: int) -> ClusterNode:
    """The host of that id in that cluster."""
    rows = ClusterNode.objects.select_related("cluster__tenant")
    return get_object_or_404(rows, pk=host_id, cluster=cluster_id, cluster__tenant=request.tenant)
