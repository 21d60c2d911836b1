"""Clusters as a whole: described, brought to another description, and everything that is wrong with them."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.actors import Actor
from accounts.models import Tenant
from installs import certificates
from installs.describing import Description
from installs.findings import Finding, in_order, refuse
from installs.topology import findings
from inventory import cluster_hosts, clusters
from inventory.models import Cluster, ClusterNode, Site


@transaction.atomic
def describe_cluster(*, by: Actor, tenant: Tenant, description: Description, is_draft: bool = False) -> Cluster:
    """A new cluster. ValidationError with every error of its layout, by field; a draft is kept in spite of them."""
    if not is_draft:
        refuse(findings(description.layout))
    cluster = clusters.create_cluster(
        by=by,
        tenant=tenant,
        layout=description.layout,
        access=description.access,
        access_by_host=description.access_by_host,
        site=site_named(tenant, description.site),
        description=description.description,
    )
    _set_beside(by, cluster, description)
    return cluster


@transaction.atomic
def redescribe_cluster(*, by: Actor, cluster: Cluster, description: Description, is_draft: bool = False) -> Cluster:
    """Bring a cluster to a description: fields, hosts in their order; hosts that it does not name are removed."""
    if not is_draft:
        refuse(findings(description.layout))
    clusters.change_cluster(
        by=by,
        cluster=cluster,
        site=site_named(cluster.tenant, description.site) if description.site else cluster.site,
        description=description.description or cluster.description,
        **_columns(description),
    )
    present = {node.name: node for node in cluster.nodes.all()}
    wanted = {host.name for host in description.layout.hosts}
    for name, node in present.items():
        if name not in wanted and node.state != ClusterNode.State.LEAVING:  # who leaves goes by its own run
            cluster_hosts.remove_host(by=by, node=node)
    for position, host in enumerate(description.layout.hosts):
        access = description.access_by_host.get(host.name)
        found = present.get(host.name)
        if found is None:
            own = access or (description.access if description.access.has_credential else None)
            found = cluster_hosts.add_host(by=by, cluster=cluster, host=host, access=own)
        else:
            cluster_hosts.change_host(by=by, node=found, host=host, access=access)
        if found.position != position:
            ClusterNode.objects.filter(pk=found.pk).update(position=position)
    _set_beside(by, cluster, description)
    fresh: Cluster = Cluster.objects.with_hosts().get(pk=cluster.pk)
    return fresh


def cluster_findings(cluster: Cluster) -> list[Finding]:
    """What is wrong with layout and certificates, errors first; preflight adds what the hosts say."""
    return in_order([*findings(cluster.layout()), *certificates.check_certificates(cluster)])


def _columns(description: Description) -> dict[str, Any]:
    layout = description.layout
    names = ("release", "entrance", "failover", "is_strict", "external_database", "external_queue", "service_settings")
    return {"balancing": str(layout.balancing), **{name: getattr(layout, name) for name in names}}


def _set_beside(by: Actor, cluster: Cluster, description: Description) -> None:
    """Logins of external services, and host keys that are known already."""
    for service, (user, password) in description.logins.items():
        clusters.set_external_login(by=by, cluster=cluster, service=service, user=user, password=password)
    for node in cluster.nodes.all() if description.host_keys else ():
        if node.name in description.host_keys:
            cluster_hosts.trust_host_key(by=by, node=node, public_key=description.host_keys[node.name])


def site_named(tenant: Tenant, name: str) -> Site | None:
    """The site, none for ""; ValidationError where there is none of that name."""
    if not name:
        return None
    site: Site | None = Site.objects.filter(tenant=tenant, name=name).first()
    if site is None:
        raise ValidationError({"site": f"There is no site {name} here. Make it first, or leave the field empty."})
    return site
