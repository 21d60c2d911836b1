"""Clusters: described, changed, forgotten. Their hosts are in cluster_hosts; whether a layout works is asked in installs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import audit
from accounts.actors import Actor
from accounts.errors import Conflict
from accounts.models import Tenant
from accounts.revisions import check_seen
from inventory import cluster_secrets, editable, service_settings
from inventory.cluster_hosts import make_node
from inventory.host_access import Access, store_access
from inventory.host_names import is_address, is_host_name, is_label
from inventory.layout import External, Layout
from inventory.models import Cluster, Site

CHANGEABLE = frozenset(
    {
        "site", "description", "release", "balancing", "entrance", "failover", "is_strict", "external_database",
        "external_queue", "service_settings",
    }
)  # fmt: skip
LOGINS = ("external_database", "external_queue")


@transaction.atomic
def create_cluster(
    *,
    by: Actor,
    tenant: Tenant,
    layout: Layout,
    access: Access | None = None,
    access_by_host: Mapping[str, Access] | None = None,
    site: Site | None = None,
    description: str = "",
) -> Cluster:
    """Describe a cluster with all its hosts; `access` is shared by hosts that have none of their own. Touches no machine."""
    cluster = Cluster(
        tenant=tenant, name=layout.name, site=site, description=description, created_by=by.user, **columns_of(layout)
    )
    _check(cluster)
    try:
        with transaction.atomic():
            cluster.save(force_insert=True)
    except IntegrityError:
        raise Conflict(
            f"There is a cluster {layout.name} here already. Change that one, or choose another name."
        ) from None
    audit.record(by=by, action="cluster.create", row=cluster, tenant=tenant, after=audit.snapshot(cluster))
    shared = store_access(by=by, tenant=tenant, cluster_name=layout.name, prefix="", access=access or Access())
    for position, host in enumerate(layout.hosts):
        own = (access_by_host or {}).get(host.name)
        make_node(by=by, cluster=cluster, position=position, host=host, access=own, shared=shared)
    return cluster


@transaction.atomic
def change_cluster(
    *, by: Actor, cluster: Cluster, seen: str = "", logins: Mapping[str, tuple[str, str]] | None = None, **changes: Any
) -> Cluster:
    """Change what is wanted; what is not named stays. External services are given as inventory.layout.External, or None.

    `logins`: external service -> user and password of an administrator there. `seen` is the revision that was edited
    (accounts.revisions): Changed where it is another one by now.
    """
    unknown = changes.keys() - CHANGEABLE
    if unknown:
        remedy = {"name": "A name stays: host names, certificates and secrets have it. Describe a new cluster instead."}
        raise ValidationError({field: remedy.get(field, "A cluster has no such field.") for field in unknown})
    cluster.refresh_from_db(from_queryset=Cluster.objects.select_for_update())
    check_seen(seen, editable.of_cluster(cluster), cluster, tenant=cluster.tenant)
    if cluster.is_built and changes.get("release", cluster.release) != cluster.release:
        raise Conflict("The release of a built cluster cannot be changed. Build a new cluster on the new release.")
    before = audit.snapshot(cluster)
    for field, value in changes.items():
        setattr(cluster, field, _stored(value) if field in LOGINS else value)
    _check(cluster)
    cluster.save(update_fields=sorted(changes))
    after = audit.snapshot(cluster)
    if before != after:
        audit.record(by=by, action="cluster.change", row=cluster, tenant=cluster.tenant, before=before, after=after)
    for service, (user, password) in (logins or {}).items():
        set_external_login(by=by, cluster=cluster, service=service, user=user, password=password)
    return cluster


@transaction.atomic
def set_external_login(*, by: Actor, cluster: Cluster, service: str, user: str, password: str) -> None:
    """Keep the administrator's login of an external service ("external_database" or "external_queue") as secrets."""
    if service not in LOGINS:
        raise ValidationError({"service": f"Choose one of: {', '.join(LOGINS)}."})
    if not user or not password:
        raise ValidationError({service: "Enter the user and the password of an administrator there."})
    cluster_secrets.keep_secret(by=by, cluster=cluster, purpose=f"{service}_user", value=user)
    cluster_secrets.keep_secret(by=by, cluster=cluster, purpose=f"{service}_password", value=password)
    audit.record(by=by, action="cluster.set_login", row=cluster, tenant=cluster.tenant, after={"service": service})


@transaction.atomic
def delete_cluster(*, by: Actor, cluster: Cluster, is_forced: bool = False) -> None:
    """Forget a cluster, its certificates and the secrets made for it; nothing is changed on its hosts."""
    if cluster.is_built and not is_forced:
        raise Conflict(
            f"Cluster {cluster.name} is {cluster.get_state_display().lower()}: its services would run on unwatched. "
            "Uninstall it first, or forget it by force."
        )
    audit.record(by=by, action="cluster.delete", row=cluster, tenant=cluster.tenant, before=audit.snapshot(cluster))
    tenant, name = cluster.tenant, cluster.name
    cluster.delete()
    cluster_secrets.drop_unused(by=by, tenant=tenant, cluster_name=name)


def move_cluster(cluster: Cluster, to: str, *, only_from: Collection[str], why: str = "") -> bool:
    """For operations: the state as it is found or reached."""
    return cluster.move(to, only_from=only_from, why=why[:512], state_since=timezone.now())


def columns_of(layout: Layout) -> dict[str, Any]:
    """Field of Cluster -> value, for all that stands in a layout beside name and hosts."""
    return {
        "release": layout.release,
        "balancing": str(layout.balancing),
        "entrance": layout.entrance,
        "failover": layout.failover,
        "is_strict": layout.is_strict,
        "external_database": _stored(layout.external_database),
        "external_queue": _stored(layout.external_queue),
        "service_settings": dict(layout.service_settings),
    }


def _stored(external: External | None) -> dict[str, Any]:
    return {**asdict(external), "addresses": list(external.addresses)} if external else {}


def _check(cluster: Cluster) -> None:
    """What a row may hold at all; ValidationError by field."""
    faults: dict[str, str] = {}
    if not is_label(cluster.name):
        faults["name"] = (
            f"{cluster.name!r} cannot begin host names. Use 1 to 63 lower-case letters, digits and hyphens, "
            "without a hyphen at either end."
        )
    if cluster.entrance and not is_address(cluster.entrance) and not is_host_name(cluster.entrance):
        faults["entrance"] = (
            f"{cluster.entrance!r} is neither a host name nor an address. Write it without https:// and port."
        )
    choices = {"release": Cluster.Release, "balancing": Cluster.Balancing, "failover": Cluster.Failover}
    for field, words in choices.items():
        if getattr(cluster, field) not in words.values:
            faults[field] = f"Choose one of: {', '.join(words.values)}."
    if cluster.site is not None and cluster.site.tenant_id != cluster.tenant_id and cluster.site.visibility != "global":
        faults["site"] = "There is no such site here. Choose one of this tenant."
    try:
        cluster.service_settings = service_settings.checked(cluster.service_settings)
    except ValidationError as fault:
        faults["service_settings"] = " ".join(fault.messages)
    if faults:
        raise ValidationError(faults)
