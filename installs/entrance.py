"""The entrance of a built cluster: where it is, how it is trusted, and as whom DeployOn signs in there."""

from __future__ import annotations

from accounts.errors import Conflict
from accounts.models import Secret, Tenant
from installs import certificates
from installs.models import Certificate
from inventory.cluster_secrets import secrets_of
from inventory.connections import ConnectionFields
from inventory.connectors.address import Timeouts
from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.models import Cluster, SubManager

ADMINISTRATOR = "admin"  # the user that an install makes, and the purpose of the secret that is its password
HTTPS = 443
PATIENCE = Timeouts(connect=5.0, read=15.0)  # somebody waits for it


def where_of(cluster: Cluster) -> ConnectionFields:
    """Its entrance, trusted by its CA and, where users are shown another certificate, by the CA of that one."""
    front = cluster.layout().front
    if not front:
        raise Conflict(f"{cluster} has no entrance. Enter the address of your balancer at the cluster, then try again.")
    authority = certificates.current(cluster, Certificate.Kind.AUTHORITY, certificates.AUTHORITY)
    if authority is None:
        raise Conflict(f"{cluster} has no CA here, so its entrance cannot be trusted. Make its certificates first.")
    shown = certificates.current(cluster, Certificate.Kind.ENTRANCE, certificates.ENTRANCE)
    bundle = authority.pem + (f"\n{shown.pem}" if shown else "")
    return ConnectionFields(
        endpoint=front,
        protocol="https",
        port=HTTPS,
        remote_tenant=Tenant.DEFAULT,
        trust=SubManager.Trust.CA_BUNDLE,
        ca_bundle=bundle,
    )


def password_of(cluster: Cluster) -> Secret:
    """Of its administrator."""
    secret = secrets_of(cluster).get(ADMINISTRATOR)
    if secret is None:
        raise Conflict(
            f"The password of {ADMINISTRATOR} at {cluster} is not stored here. Make a token there, and add it under Environments."
        )
    return secret


def words_of(error: ManagerError, where: str) -> str:
    """What went wrong, and what to do about it here."""
    if error.kind == ErrorKind.CREDENTIAL and error.status == 401:
        return (
            f"{where} does not accept the password that the install gave to {ADMINISTRATOR}: it was changed there since, or the "
            "account is locked. Set a new administrator password at the cluster's page: enter the one that holds there."
        )
    unknown = " A token may have been made there all the same: look at its tokens." if error.is_unknown else ""
    return f"{error.message}{unknown}"
