"""What a cluster is to be, opened for the moment of work: its layout and its passwords."""

from __future__ import annotations

import base64
import secrets as random
from dataclasses import dataclass, field

from accounts import secrets
from accounts.actors import Actor
from installs.externals.logins import DATABASE, QUEUE, login_of
from installs.rendering.values import Passwords
from inventory.cluster_secrets import ensure_secrets, keep_secret, secrets_of
from inventory.layout import Layout
from inventory.models import Cluster
from runs.operations import OperationError

INVENTED = (
    "postgres",
    "replicator",
    "rewinder",
    "database",
    "queue",
    "erlang_cookie",
    "etcd_token",
    "monitoring",
    "virtual_address",
    "secret_key",
    "admin",  # first administrator of the cluster
)
VAULT_KEY = "vault_key"


@dataclass(frozen=True)
class Wanted:
    """A cluster with everything that rendering needs."""

    layout: Layout
    passwords: Passwords
    admin_password: str = field(repr=False)  # of the cluster's first administrator

    @classmethod
    def load(cls, cluster_id: int, including: str = "") -> Wanted:
        """The hosts at work, and `including`, which leaves. OperationError where the cluster or a secret of it is gone."""
        cluster = Cluster.objects.filter(pk=cluster_id).prefetch_related("nodes").first()
        if cluster is None:
            raise OperationError("This cluster is not there any more; nothing is done on its hosts.", cause="gone")
        passwords, admin_password = opened_secrets(cluster)
        return cls(cluster.layout_at_work(including), passwords, admin_password)

    @property
    def hidden(self) -> list[str]:
        """Every value that must not appear in an event."""
        return [self.admin_password, *(str(getattr(self.passwords, name)) for name in Passwords.__dataclass_fields__)]


def invent_secrets(*, by: Actor, cluster: Cluster) -> None:
    """Make every password and key that is missing, before anything is planned: a run that is resumed never invents twice."""
    found = ensure_secrets(by=by, cluster=cluster, purposes=INVENTED)
    if VAULT_KEY not in found:
        value = base64.urlsafe_b64encode(random.token_bytes(32)).decode()
        keep_secret(by=by, cluster=cluster, purpose=VAULT_KEY, value=value)


def opened_secrets(cluster: Cluster) -> tuple[Passwords, str]:
    """All passwords, and that of the first administrator."""
    found = secrets_of(cluster)
    missing = [name for name in (*INVENTED, VAULT_KEY) if name not in found]
    if missing:
        raise OperationError(
            f"The cluster has no secret for {', '.join(missing)}. Plan again: planning makes what is missing.",
            cause="secret",
        )
    opened = {name: secrets.reveal(secret) for name, secret in found.items()}
    named = {name: opened[name] for name in Passwords.__dataclass_fields__ if name in opened}
    for purpose, name in ((DATABASE, "database"), (QUEUE, "queue")):
        # Where the service's own user was entered, made by the owner of that service, its password is the one that holds there.
        if (login := login_of(cluster, purpose)) and login.is_service:
            named[name] = login.password
    return Passwords(**named), opened["admin"]
