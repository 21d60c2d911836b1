"""Clusters as rows, made by the product's own services."""

from __future__ import annotations

from accounts.actors import Actor
from accounts.models import Tenant
from inventory import clusters
from inventory.host_access import Access
from inventory.models import Cluster
from tests import factories
from tests.installs import layouts

PASSWORD = "correct-horse-of-hosts"


def manager(tenant: Tenant):
    """A person who may write clusters of the tenant."""
    person = factories.user("mara")
    factories.member(person, tenant, "manager")
    return person


def actor(tenant: Tenant) -> Actor:
    return factories.actor(manager(tenant))


def cluster(tenant: Tenant, layout=None, **more) -> Cluster:
    more = {"access": Access(user="root", password=PASSWORD)} | more
    return clusters.create_cluster(by=actor(tenant), tenant=tenant, layout=layout or layouts.ten(), **more)
