"""A built cluster as an environment: signs in at its entrance, makes a token there, and exposes its default tenant."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from django.conf import settings
from django.db import IntegrityError

from accounts import audit
from accounts.actors import Actor
from accounts.errors import Conflict
from accounts.models import Secret, Tenant
from installs import certificates
from installs.models import Certificate
from inventory.cluster_secrets import secrets_of
from inventory.connections import ConnectionFields, address_for, opened, read_target
from inventory.connectors.address import Timeouts
from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.manager import ManagerClient
from inventory.connectors.policy import policy_from_settings
from inventory.exposing import expose, probe
from inventory.label_rules import Pair
from inventory.models import Cluster, Environment, Site, SubManager

ADMINISTRATOR = "admin"  # the user that an install makes; its password is the secret of that purpose
CLUSTER_KEY = "cluster"  # key of the label that names it
HTTPS = 443
_PATIENCE = Timeouts(connect=5.0, read=15.0)  # somebody waits for it


def expose_cluster(
    *, by: Actor, cluster: Cluster, name: str = "", labels: list[Pair] | None = None, site: Site | str | None = None
) -> Environment:
    """Make the default tenant of a ready cluster an environment, under the cluster's name and at its site unless others are said.

    Where it is one already, that is looked at again and given: name, labels and site are then as they were.
    Conflict, with what to do, where the cluster is not ready or cannot be signed in to.
    """
    if present := environment_of(cluster):
        probe(present)
        return present
    _check_is_ready(cluster)
    where, secret = _where(cluster), _administrators(cluster)
    told = [*(labels or []), (CLUSTER_KEY, cluster.name)]
    try:
        with _token(by, cluster, where, secret) as value:
            environment = expose(
                by=by, tenant=cluster.tenant, name=name or cluster.name, site=site or cluster.site, labels=told,
                cluster=cluster, token=value, **where,
            )  # fmt: skip
    except (Conflict, IntegrityError):
        present = environment_of(cluster)
        if present is None:
            raise
        return present  # somebody else was faster, and it was looked at just now
    audit.record(
        by=by, action="cluster.expose", row=cluster, tenant=cluster.tenant, after={"environment": str(environment)}
    )
    return environment


def environment_of(cluster: Cluster) -> Environment | None:
    """What the cluster is exposed as."""
    found: Environment | None = Environment.objects.for_list().filter(cluster=cluster).first()
    return found


def _check_is_ready(cluster: Cluster) -> None:
    state = Cluster.objects.values_list("state", flat=True).get(pk=cluster.pk)
    if state != Cluster.State.READY:
        raise Conflict(
            f"{cluster} is {Cluster.State(state).label.lower()}, and only a ready cluster can be used as an environment. "
            + (
                "Install it first."
                if state == Cluster.State.PLANNED
                else "See its work and findings; expose it when it is ready."
            )
        )


def _where(cluster: Cluster) -> ConnectionFields:
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


def _administrators(cluster: Cluster) -> Secret:
    secret = secrets_of(cluster).get("admin")
    if secret is None:
        raise Conflict(
            f"The password of {ADMINISTRATOR} at {cluster} is not stored here. Make a token there, and add it under Environments."
        )
    return secret


@contextlib.contextmanager
def _token(by: Actor, cluster: Cluster, where: ConnectionFields, secret: Secret) -> Iterator[str]:
    """A new token there, revoked again where what it was made for fails."""
    target = read_target(where)
    address = address_for(target)
    audit.record(by=by, action="secret.send", row=secret, tenant=secret.tenant, after={"to": address.where})
    try:
        credential = opened(username=ADMINISTRATOR, password=secret)
        with ManagerClient(address, credential, policy_from_settings(), _PATIENCE) as client:
            token = client.mint_token(f"DeployOn {settings.PUBLIC_URL}")
            try:
                yield token.value
            except BaseException:
                with contextlib.suppress(ManagerError):
                    client.revoke_token(token.id)
                raise
    except ManagerError as error:
        raise Conflict(f"{cluster} cannot be used as an environment yet. {_words(error, address.where)}") from None


def _words(error: ManagerError, where: str) -> str:
    """What went wrong, and what to do about it here."""
    if error.kind == ErrorKind.CREDENTIAL and error.status == 401:
        return (
            f"{where} does not accept the password that the install gave to {ADMINISTRATOR}: it was changed there since, or the "
            "account is locked. Make a token there, and add the environment with it under Environments."
        )
    unknown = " A token may have been made there all the same: look at its tokens." if error.is_unknown else ""
    return f"{error.message}{unknown}"
