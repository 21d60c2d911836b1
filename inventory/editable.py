"""What can be edited of a row, as accounts.revisions compares it: every field of a form, and when a secret was stored."""

from __future__ import annotations

from typing import Any

from accounts.models import Tenant
from accounts.revisions import check_seen
from inventory.label_rules import CONSUMER_KEY, TYPE_KEY
from inventory.models import Credential, Deployment, Environment, Filter, Site

COMPUTED = frozenset((CONSUMER_KEY, TYPE_KEY))  # labels that change without anybody's edit, or never
SECRETS = ("credential__token", "credential__username", "credential__password")  # to select with it
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
    parts = [secret for secret in (credential.token, credential.username, credential.password) if secret is not None]
    return ", ".join(f"{secret.name} of {secret.updated_at:%Y-%m-%d %H:%M:%S.%f} UTC" for secret in parts)
