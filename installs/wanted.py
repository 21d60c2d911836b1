"""What a cluster is to be, opened for the moment of work: its layout, its passwords, and the configuration files that follow from them."""

from __future__ import annotations

import base64
import hashlib
import secrets as random
from dataclasses import dataclass, field

import bcrypt

from accounts import secrets
from accounts.actors import Actor
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
_HASH_ROUNDS = 10


@dataclass(frozen=True)
class Wanted:
    """A cluster with everything that rendering needs."""

    cluster_id: int
    layout: Layout
    passwords: Passwords
    admin_password: str = field(repr=False)  # of the cluster's first administrator

    @classmethod
    def load(cls, cluster_id: int) -> Wanted:
        """OperationError where the cluster is gone or a secret of it is missing."""
        cluster = Cluster.objects.filter(pk=cluster_id).prefetch_related("nodes").first()
        if cluster is None:
            raise OperationError("This cluster is not there any more; nothing is done on its hosts.", cause="gone")
        passwords, admin_password = opened_secrets(cluster)
        return cls(cluster_id, cluster.layout(), passwords, admin_password)

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
    return Passwords(**named, monitoring_hash=stable_hash(opened["monitoring"])), opened["admin"]


def stable_hash(password: str) -> str:
    """bcrypt of a long random password, the same each time: a file that changed with every rendering would restart Prometheus."""
    salt = hashlib.sha256(b"deployon monitoring" + password.encode()).digest()[:16]
    prefix = f"$2b${_HASH_ROUNDS:02d}$".encode()
    return bcrypt.hashpw(password.encode(), prefix + _bcrypt_base64(salt)).decode()


def _bcrypt_base64(salt: bytes) -> bytes:
    """bcrypt writes base 64 with an alphabet of its own: 16 bytes are 22 letters."""
    usual = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    its_own = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    return base64.b64encode(salt).rstrip(b"=").translate(bytes.maketrans(usual, its_own))
