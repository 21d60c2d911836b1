"""Secrets of a cluster: what people enter, and passwords that are invented once, before anything is planned."""

from __future__ import annotations

import secrets as random
import string
from collections.abc import Iterable

from django.db import transaction
from django.db.models import ProtectedError

from accounts import secrets
from accounts.actors import Actor
from accounts.errors import Conflict
from accounts.models import Secret, Tenant
from inventory.models import Cluster, ClusterSecret

PASSWORD_LENGTH = 40
_ALPHABET = string.ascii_letters + string.digits  # safe in every configuration file and connection string


def name_of(cluster_name: str, purpose: str) -> str:
    """What a secret of a cluster is called; a cluster's name has no dots, so the prefix is its alone."""
    return f"cluster.{cluster_name}.{purpose}"


def invent_password(length: int = PASSWORD_LENGTH) -> str:
    """Letters and digits, a letter first."""
    return random.choice(string.ascii_letters) + "".join(random.choice(_ALPHABET) for _ in range(length - 1))


def store_secret(*, by: Actor, tenant: Tenant, name: str, value: str) -> Secret:
    """The credential of that name with this value, made or replaced."""
    present = Secret.objects.filter(tenant=tenant, name=name).first()
    if present is not None:
        if present.purpose != Secret.Purpose.CREDENTIAL:
            raise Conflict(f"A secret {name} exists here for blueprints. Rename that one first.")
        return secrets.replace_secret(by=by, secret=present, value=value)
    return secrets.create_secret(by=by, tenant=tenant, name=name, value=value)


@transaction.atomic
def keep_secret(*, by: Actor, cluster: Cluster, purpose: str, value: str) -> Secret:
    """Keep a value for one purpose of the cluster, in place of what was kept for it."""
    secret = store_secret(by=by, tenant=cluster.tenant, name=name_of(cluster.name, purpose), value=value)
    ClusterSecret.objects.update_or_create(cluster=cluster, purpose=purpose, defaults={"secret": secret})
    return secret


@transaction.atomic
def ensure_secrets(*, by: Actor, cluster: Cluster, purposes: Iterable[str]) -> dict[str, Secret]:
    """Invent what is missing; what is there stays, so that an install that is begun again never invents twice."""
    found = secrets_of(cluster)
    for purpose in purposes:
        if purpose not in found:
            found[purpose] = keep_secret(by=by, cluster=cluster, purpose=purpose, value=invent_password())
    return found


def secrets_of(cluster: Cluster) -> dict[str, Secret]:
    """Purpose -> secret; operations open them with accounts.secrets.reveal."""
    return {row.purpose: row.secret for row in cluster.cluster_secrets.select_related("secret")}


def drop_unused(*, by: Actor, tenant: Tenant, cluster_name: str) -> None:
    """Delete the secrets that were made for that cluster and that nothing uses any more."""
    for secret in Secret.objects.filter(tenant=tenant, name__startswith=name_of(cluster_name, "")):
        try:
            with transaction.atomic():
                secrets.delete_secret(by=by, secret=secret)
        except (Conflict, ProtectedError):  # still used, by a host that shares it, say
            continue
