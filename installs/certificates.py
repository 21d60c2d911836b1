"""Certificates of a cluster as rows: made by its own CA, requested from the operator's, or taken as files; and opened for a host."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterable, Mapping

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from accounts import audit, secrets
from accounts.actors import SYSTEM, Actor
from accounts.errors import Conflict
from accounts.models import Secret
from installs.findings import Finding, refuse
from installs.models import Certificate
from installs.pki import making, rules
from installs.pki.files import HostMaterial, files_of
from installs.pki.making import Pair
from installs.pki.naming import names_of
from installs.pki.reading import read_certificates
from installs.pki.trust import SOON_DAYS
from installs.rendering.values import RenderedFile
from inventory.cluster_secrets import name_of
from inventory.layout import Host
from inventory.models import Cluster, ClusterNode

Kind, Source, State = Certificate.Kind, Certificate.Source, Certificate.State
AUTHORITY, ENTRANCE = "ca", "entrance"  # owners that are no host and no client


@transaction.atomic
def ensure_certificates(*, by: Actor, cluster: Cluster, is_renewal: bool = False) -> list[Certificate]:
    """Make what is missing, names too little, or ends within 30 days; `is_renewal`: make all hosts' and clients' anew.

    Only where the cluster's own CA signs, which is made at the first call. What was requested or uploaded stays as it is.
    """
    made: list[Certificate] = []
    layout, authority = cluster.layout(), current(cluster, Kind.AUTHORITY, AUTHORITY)
    if authority is None:
        if Certificate.objects.filter(cluster=cluster, state__in=[State.CURRENT, State.REQUESTED]).exists():
            return made
        pair = making.make_authority(cluster.name)
        authority = _keep(by, cluster, Kind.AUTHORITY, AUTHORITY, Source.OWN, pair)
        made.append(authority)
    if authority.source != Source.OWN or authority.key is None:
        return made
    signer = Pair(authority.pem, secrets.reveal(authority.key))
    for host in layout.hosts:
        wanted, present = names_of(layout, host), current(cluster, Kind.HOST, host.name)
        if is_renewal or present is None or _is_outdated(present, wanted):
            pair = making.sign_host(signer, host.name, wanted)
            made.append(_keep(by, cluster, Kind.HOST, host.name, Source.OWN, pair))
    for client in Certificate.objects.filter(cluster=cluster, kind=Kind.CLIENT, state=State.CURRENT):
        if is_renewal or _is_outdated(client, ()):
            pair = making.sign_client(signer, client.owner)
            made.append(_keep(by, cluster, Kind.CLIENT, client.owner, Source.OWN, pair))
    return made


@transaction.atomic
def make_client_certificate(*, by: Actor, cluster: Cluster, user: str) -> Certificate:
    """A certificate with which a manager signs in to the database as `user`; placed on managers from then on."""
    authority = current(cluster, Kind.AUTHORITY, AUTHORITY)
    if authority is None or authority.key is None:
        raise Conflict("The cluster has no CA of its own that could sign. Upload the client's certificate instead.")
    pair = making.sign_client(Pair(authority.pem, secrets.reveal(authority.key)), user)
    return _keep(by, cluster, Kind.CLIENT, user, Source.OWN, pair)


@transaction.atomic
def request_certificates(*, by: Actor, cluster: Cluster) -> dict[str, str]:
    """A signing request (PEM) for every host, for the operator's CA; a request that still names all it must is kept."""
    layout, requests = cluster.layout(), {}
    for host in layout.hosts:
        wanted = names_of(layout, host)
        row = Certificate.objects.filter(
            cluster=cluster, kind=Kind.HOST, owner=host.name, state=State.REQUESTED
        ).first()
        if row is None or set(row.names) != set(wanted):
            if row is not None:
                _retire(by, row)
            request, key = making.request_host(host.name, wanted)
            row = Certificate.objects.create(
                cluster=cluster, kind=Kind.HOST, owner=host.name, node=_node(cluster, host.name), source=Source.OPERATOR,
                state=State.REQUESTED, subject=f"CN={host.name}", names=list(wanted), request=request,
                key=_store_key(by, cluster, host.name, key),
            )  # fmt: skip
            audit.record(
                by=by, action="certificate.request", row=row, tenant=cluster.tenant, after={"names": row.names}
            )
        requests[host.name] = row.request
    return requests


@transaction.atomic
def accept_signed(*, by: Actor, cluster: Cluster, authority: str, signed: Mapping[str, str]) -> list[Certificate]:
    """Take what the operator's CA made of the requests: {host: PEM}, with the CA's certificate. All rules are asked first."""
    requested = {
        row.owner: row
        for row in Certificate.objects.filter(cluster=cluster, kind=Kind.HOST, state=State.REQUESTED).select_related(
            "key"
        )
    }
    unknown = sorted(set(signed) - set(requested))
    if unknown:
        raise ValidationError(
            {"hosts": f"Nothing was requested for {', '.join(unknown)}. Make the requests first, and check the names."}
        )
    pairs = {
        name: Pair(text, secrets.reveal(row.key))
        for name, text in signed.items()
        if (row := requested[name]).key is not None
    }
    return _take(by, cluster, authority, pairs, Source.OPERATOR)


@transaction.atomic
def upload_certificates(
    *,
    by: Actor,
    cluster: Cluster,
    authority: str,
    pairs: Mapping[str, Pair],
    clients: Mapping[str, Pair] | None = None,
    entrance: Pair | None = None,
    entrance_authority: str = "",
) -> list[Certificate]:
    """Take ready-made files: {host: certificate and key}, {database user: the same}, and one pair for users if there is one."""
    unknown = sorted(set(pairs) - {host.name for host in cluster.layout().hosts})
    if unknown:
        raise ValidationError({"hosts": f"{cluster.name} has no host {', '.join(unknown)}. Check the names."})
    material = rules.Material(
        authority=_given_authority(cluster, authority),
        hosts=_given(cluster, Kind.HOST, pairs),
        clients=tuple(rules.Client(user, rules.Given(p.certificate, p.key)) for user, p in (clients or {}).items()),
        entrance=rules.Given(entrance.certificate, entrance.key) if entrance else rules.Given(),
        entrance_authority=entrance_authority,
    )
    refuse(rules.findings(cluster.layout(), material))
    made = _keep_all(by, cluster, authority, pairs, Source.GIVEN)
    made += [_keep(by, cluster, Kind.CLIENT, user, Source.GIVEN, pair) for user, pair in (clients or {}).items()]
    if entrance:
        whole = Pair(f"{entrance.certificate.rstrip()}\n{entrance_authority}".rstrip() + "\n", entrance.key)
        made.append(_keep(by, cluster, Kind.ENTRANCE, ENTRANCE, Source.GIVEN, whole))
    return made


@transaction.atomic
def retire_host(*, cluster: Cluster, name: str) -> None:
    """For operations: a host has left, so its certificate is marked as replaced, a request dropped, and the keys destroyed."""
    rows = Certificate.objects.filter(cluster=cluster, kind=Kind.HOST, owner=name)
    for row in rows.filter(state__in=[State.CURRENT, State.REQUESTED]).select_related("key"):
        _retire(SYSTEM, row)
        audit.record(by=SYSTEM, action="certificate.retire", row=row, tenant=cluster.tenant, after={"host": name})


def check_certificates(cluster: Cluster, *, now: datetime.datetime | None = None) -> list[Finding]:
    """Everything wrong with what is in use; keys are not opened for it."""
    if not Certificate.objects.filter(cluster=cluster, state=State.CURRENT).exists():
        return []  # nothing was decided: the cluster makes its own when it is built
    entrance = current(cluster, Kind.ENTRANCE, ENTRANCE)
    material = rules.Material(
        authority=_given_authority(cluster, ""),
        hosts=_given(cluster, Kind.HOST, {}),
        clients=tuple(rules.Client(user, given) for user, given in _given(cluster, Kind.CLIENT, {}).items()),
        entrance=rules.Given(entrance.pem, rules.KEPT) if entrance else rules.Given(),
        entrance_authority=entrance.pem if entrance else "",
    )
    return rules.findings(cluster.layout(), material, now=now)


def files_for(cluster: Cluster, host: Host) -> list[RenderedFile]:
    """Every certificate file of one host with its place, owner and mode, keys opened: for operations only, who hide them.

    The one answer to "what goes there": the key of a CA is not among it, whoever asks. ValidationError with a remedy where the
    host has no certificate yet.
    """
    authority, own = current(cluster, Kind.AUTHORITY, AUTHORITY), current(cluster, Kind.HOST, host.name)
    if authority is None or own is None:
        raise ValidationError(
            {"certificates": f"{host.name} has no certificate yet. Plan again, or give what your CA signed."}
        )
    entrance = current(cluster, Kind.ENTRANCE, ENTRANCE)
    clients = Certificate.objects.filter(cluster=cluster, kind=Kind.CLIENT, state=State.CURRENT).select_related("key")
    material = HostMaterial(
        authority=authority.pem,
        own=_opened(own),
        entrance=_opened(entrance) if entrance else None,
        clients=tuple((client.owner, _opened(client)) for client in clients),
    )
    return files_of(cluster.layout(), host, material)


def has_entrance(cluster_id: int) -> bool:
    """Whether users are shown a certificate of their own."""
    return Certificate.objects.filter(cluster=cluster_id, kind=Kind.ENTRANCE, state=State.CURRENT).exists()


def entrance_authorities(cluster_id: int) -> str:
    """PEM of all whom a client of the entrance trusts: the cluster's CA, and what came with a certificate for users."""
    rows = Certificate.objects.filter(cluster=cluster_id, kind__in=[Kind.AUTHORITY, Kind.ENTRANCE], state=State.CURRENT)
    return "\n".join(row.pem for row in rows)


def current(cluster: Cluster, kind: str, owner: str) -> Certificate | None:
    """The one in use."""
    rows = Certificate.objects.filter(cluster=cluster, kind=kind, owner=owner, state=State.CURRENT).select_related(
        "key"
    )
    return rows.first()


def _take(by: Actor, cluster: Cluster, authority: str, pairs: Mapping[str, Pair], source: str) -> list[Certificate]:
    material = rules.Material(authority=_given_authority(cluster, authority), hosts=_given(cluster, Kind.HOST, pairs))
    refuse(rules.findings(cluster.layout(), material))
    return _keep_all(by, cluster, authority, pairs, source)


def _keep_all(by: Actor, cluster: Cluster, authority: str, pairs: Mapping[str, Pair], source: str) -> list[Certificate]:
    present = current(cluster, Kind.AUTHORITY, AUTHORITY)
    made = []
    if authority and (present is None or present.pem.strip() != authority.strip()):
        made.append(_keep(by, cluster, Kind.AUTHORITY, AUTHORITY, source, Pair(authority, "")))
    return made + [_keep(by, cluster, Kind.HOST, name, source, pair) for name, pair in pairs.items()]


def _given_authority(cluster: Cluster, text: str) -> rules.Given:
    """What was given, else the one in use."""
    if text:
        return rules.Given(text)
    present = current(cluster, Kind.AUTHORITY, AUTHORITY)
    return rules.Given(present.pem, rules.KEPT if present.key_id else "") if present else rules.Given()


def _given(cluster: Cluster, kind: str, pairs: Mapping[str, Pair]) -> dict[str, rules.Given]:
    """What is in use, with the given ones in place of theirs."""
    rows: Iterable[Certificate] = Certificate.objects.filter(cluster=cluster, kind=kind, state=State.CURRENT)
    kept = {row.owner: rules.Given(row.pem, rules.KEPT) for row in rows}
    return kept | {name: rules.Given(pair.certificate, pair.key) for name, pair in pairs.items()}


def _is_outdated(row: Certificate, wanted: Iterable[str]) -> bool:
    soon = timezone.now() + datetime.timedelta(days=SOON_DAYS)
    return row.source == Source.OWN and (
        row.not_after is None or row.not_after < soon or not set(wanted) <= set(row.names)
    )


def _keep(by: Actor, cluster: Cluster, kind: str, owner: str, source: str, pair: Pair) -> Certificate:
    """Store a certificate as the one in use; the one before it, and a request for it, are retired and their keys destroyed."""
    for row in Certificate.objects.filter(
        cluster=cluster, kind=kind, owner=owner, state__in=[State.CURRENT, State.REQUESTED]
    ):
        _retire(by, row)
    read = read_certificates(pair.certificate)[0]
    row = Certificate.objects.create(
        cluster=cluster, kind=kind, owner=owner, node=_node(cluster, owner) if kind == Kind.HOST else None,
        source=source, state=State.CURRENT, subject=read.subject[:512], names=read.names, issuer=read.issuer[:512],
        not_before=read.not_before, not_after=read.not_after, serial=read.serial, fingerprint=read.fingerprint,
        pem=pair.certificate, key=_store_key(by, cluster, owner, pair.key) if pair.key else None,
    )  # fmt: skip
    told = {"source": source, "fingerprint": row.fingerprint, "not_after": row.not_after, "names": row.names}
    audit.record(by=by, action="certificate.keep", row=row, tenant=cluster.tenant, after=told)
    return row


def _retire(by: Actor, row: Certificate) -> None:
    key = row.key
    row.move(State.REPLACED, only_from=[State.CURRENT, State.REQUESTED], key=None)
    if key is not None:
        secrets.delete_secret(by=by, secret=key)


def _store_key(by: Actor, cluster: Cluster, owner: str, key: str) -> Secret:
    """A new key is a new secret: the one in use is not touched before the new certificate is."""
    name = name_of(cluster.name, f"key.{owner}.{uuid.uuid4().hex[:8]}")
    return secrets.create_secret(by=by, tenant=cluster.tenant, name=name, value=key)


def _node(cluster: Cluster, name: str) -> ClusterNode | None:
    return next((node for node in cluster.nodes.all() if node.name == name), None)


def _opened(row: Certificate) -> Pair:
    return Pair(row.pem, secrets.reveal(row.key) if row.key else "")
