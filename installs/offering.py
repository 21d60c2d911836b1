"""A built cluster as an environment: signs in at its entrance, makes a token there, and exposes its default tenant."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from django.db import IntegrityError

from accounts import audit
from accounts.actors import Actor
from accounts.errors import Conflict
from accounts.models import Secret
from installs.entrance import ADMINISTRATOR, PATIENCE, password_of, where_of, words_of
from inventory.connections import ConnectionFields, address_for, opened, read_target
from inventory.connectors.errors import ManagerError
from inventory.exposing import expose, probe
from inventory.label_rules import Pair
from inventory.minting import minted
from inventory.models import Cluster, Environment, Site

CLUSTER_KEY = "cluster"  # key of the label that names it


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
    where, secret = where_of(cluster), password_of(cluster)
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


@contextlib.contextmanager
def _token(by: Actor, cluster: Cluster, where: ConnectionFields, secret: Secret) -> Iterator[str]:
    """A new token there, revoked again where what it was made for fails."""
    target = read_target(where)
    address = address_for(target)
    audit.record(by=by, action="secret.send", row=secret, tenant=secret.tenant, after={"to": address.where})
    try:
        with minted(address, opened(username=ADMINISTRATOR, password=secret), PATIENCE) as value:
            yield value
    except ManagerError as error:
        raise Conflict(f"{cluster} cannot be used as an environment yet. {words_of(error, address.where)}") from None
