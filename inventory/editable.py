"""What can be edited of a row, as accounts.revisions compares it: every field of a form, and when a secret was stored."""

from __future__ import annotations

from typing import Any

from accounts.models import Secret, Tenant
from accounts.revisions import check_seen
from inventory.label_rules import CONSUMER_KEY, TYPE_KEY
from inventory.models import Cluster, ClusterNode, ClusterSecret, Credential, Deployment, Environment, Filter, Site

COMPUTED = frozenset((CONSUMER_KEY, TYPE_KEY))  # labels that change without anybody's edit, or never
SECRETS = ("credential__token", "credential__username", "credential__password")  # to select with it
_WANTED = ("description", "release", "balancing", "entrance", "failover", "is_strict", "service_settings")
_HOST = (
    "name",
    "private_address",
    "public_address",
    "parts",
    "networks",
    "machine",
    "ssh_address",
    "ssh_port",
    "ssh_user",
)
_CONNECTION = ("endpoint", "protocol", "port", "trust", "ca_bundle", "fingerprint", "insecure_reason")


def of_site(site: Site) -> dict[str, Any]:
    return {name: getattr(site, name) for name in ("name", "latitude", "longitude", "time_zone", "visibility")}


def of_filter(saved: Filter) -> dict[str, Any]:
    return {"name": saved.name, "rules": saved.rules, "visibility": saved.visibility}


def of_labels(deployment: Deployment) -> dict[str, Any]:
    """Labels alone, in a fixed order; from what was read with the row, where it was."""
    pairs = ((label.key, label.value) for label in deployment.labels.all())
    return {"labels": [f"{key}={value}" for key, value in sorted(pairs) if key not in COMPUTED]}


def of_environment(environment: Environment) -> dict[str, Any]:
    manager, deployment = environment.sub_manager, environment.deployment
    return {name: getattr(manager, name) for name in _CONNECTION} | {
        "display_name": deployment.display_name,
        "tenant": environment.remote_tenant,
        "credential": _told(environment.credential),
        "site": deployment.site.name if deployment.site else "",
        **of_labels(deployment),
    }


def of_cluster(cluster: Cluster) -> dict[str, Any]:
    """What a cluster is beside its hosts; a login at somebody else's service by when it was stored."""
    external = {"external_database": cluster.external_database, "external_queue": cluster.external_queue}
    logins: list[ClusterSecret] = []
    if any(external.values()):
        logins = list(
            cluster.cluster_secrets.filter(purpose__startswith="external_").select_related("secret").order_by("purpose")
        )
    return {name: getattr(cluster, name) for name in _WANTED} | {
        "site": cluster.site.name if cluster.site else "",
        "logins": _stored(*(login.secret for login in logins)),
        **external,
    }


def of_host(node: ClusterNode) -> dict[str, Any]:
    """A host with its way to sign in."""
    secrets = _stored(node.private_key, node.password, node.sudo_password)
    return {name: getattr(node, name) for name in _HOST} | {"credential": secrets}


def check_environment(environment: Environment, seen: str, tenant: Tenant) -> None:
    """Changed where it is not as it was seen; locks its row, so call it within the transaction of the change."""
    if seen:
        Deployment.objects.select_for_update().get(pk=environment.deployment_id)
        fresh = Environment.objects.for_list().select_related(*SECRETS).get(pk=environment.pk)
        rows = (fresh, fresh.deployment, fresh.sub_manager)
        check_seen(seen, of_environment(fresh), *rows, tenant=tenant)


def _told(credential: Credential | None) -> str:
    """Which secrets it is made of, and when each got its value; never the value."""
    if credential is None:
        return ""
    return _stored(credential.token, credential.username, credential.password)


def _stored(*secrets: Secret | None) -> str:
    present = [secret for secret in secrets if secret is not None]
    return ", ".join(f"{secret.name} of {secret.updated_at:%Y-%m-%d %H:%M:%S.%f} UTC" for secret in present)
