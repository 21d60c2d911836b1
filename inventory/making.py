"""The rows of a new environment, once everything about it has been read and checked."""

from __future__ import annotations

from django.core.exceptions import ValidationError

from accounts import audit
from accounts.actors import Actor
from accounts.models import Tenant, Visibility
from inventory.deployments import create_deployment
from inventory.environment_words import told
from inventory.label_rules import Pair
from inventory.models import Cluster, Credential, Deployment, Environment, Site, SubManager


def make_environment(
    *,
    by: Actor,
    tenant: Tenant,
    name: str,
    manager: SubManager,
    remote_tenant: str,
    credential: Credential | None,
    display_name: str = "",
    site: Site | None = None,
    labels: list[Pair] | None = None,
    visibility: str = Visibility.TENANT,
    cluster: Cluster | None = None,
) -> Environment:
    """The environment with its deployment, to be called in a transaction; nothing is asked of the remote manager."""
    deployment = create_deployment(
        by=by, tenant=tenant, wire_id=name, kind=Deployment.Kind.ENVIRONMENT, display_name=display_name, site=site,
        labels=labels or [], visibility=visibility,
    )  # fmt: skip
    environment = Environment.objects.create(
        deployment=deployment, sub_manager=manager, remote_tenant=remote_tenant, credential=credential, cluster=cluster
    )
    audit.record(by=by, action="environment.create", row=environment, tenant=tenant, after=told(environment))
    return environment


def find_site(by: Actor, tenant: Tenant, site: Site | str | None) -> Site | None:
    """The site of that name; ValidationError where there is none here."""
    if not isinstance(site, str):
        return site
    if not site:
        return None
    try:
        found: Site = Site.objects.visible_to(by.user, tenant).named(site, tenant)
    except Site.DoesNotExist:
        raise ValidationError(
            {"site": f"There is no site {site} here. Check the spelling, or create it first."}
        ) from None
    return found
