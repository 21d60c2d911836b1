"""A cluster's rows for hosts of the lab, reached as they let us in."""

from __future__ import annotations

from accounts.models import Tenant
from installs import topology
from inventory import clusters
from inventory.cluster_hosts import trust_host_key
from inventory.host_access import Access
from inventory.layout import Host, Layout
from inventory.models import Cluster
from tests.installs.factories import actor
from tests.lab import Lab


def access_of(host) -> Access:
    return Access(user=host.user, private_key=host.key.read_text(), sudo_password=host.password)


def layout_of(lab: Lab, **options) -> Layout:
    """All hosts of the lab as the compact topology, three of them; one alone as all-in-one."""
    found = [Host(name=host.name, private_address=host.address) for host in lab.hosts()]
    if len(found) == 1:
        return topology.all_in_one("lab", found[0], **options)
    return topology.compact("lab", found, **{"entrance": str(lab.network.subnet[200])} | options)


def cluster_of(lab: Lab, tenant: Tenant, *, is_trusted: bool = True, layout: Layout | None = None) -> Cluster:
    by = actor(tenant)
    cluster = clusters.create_cluster(
        by=by,
        tenant=tenant,
        layout=layout or layout_of(lab),
        access_by_host={host.name: access_of(host) for host in lab.hosts()},
    )
    for node in cluster.nodes.all() if is_trusted else ():
        trust_host_key(by=by, node=node, public_key=lab.host(node.name).host_key)
    return cluster
