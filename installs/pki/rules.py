"""All rules of a cluster's certificates, asked at once: C1 to C15 of the vendor, and expiry, usage, chain and names of every part.

C7 reads here as "a certificate for users that nothing of ours would show": TLS itself cannot be switched off.
"""

from __future__ import annotations

import datetime
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field

from installs.findings import Finding, error, in_order, warning
from installs.pki import trust
from installs.pki.naming import names_of
from installs.pki.reading import KEY_MARK, Certificate, Unreadable, read_certificates, read_key_spki, spki_of
from inventory.host_names import is_address
from inventory.layout import Balancing, Host, Layout, Part

KEPT = "kept"  # stands for a key that is stored already and is not opened for a look


@dataclass(frozen=True)
class Given:
    """A certificate and a key as they came, PEM; empty: not given."""

    certificate: str = ""
    key: str = field(default="", repr=False)


@dataclass(frozen=True)
class Client:
    """A certificate that a program shows to the database; its common name has to be the user."""

    user: str
    given: Given
    is_superuser: bool = False


@dataclass(frozen=True)
class Material:
    """Everything that is given for one cluster."""

    authority: Given = Given()  # of hosts and clients; its key only where the cluster signs itself
    hosts: Mapping[str, Given] = field(default_factory=dict)  # by name
    clients: tuple[Client, ...] = ()
    entrance: Given = Given()  # for users, where it is not that of the host
    entrance_authority: str = ""


def findings(layout: Layout, material: Material, *, now: datetime.datetime | None = None) -> list[Finding]:
    """Everything wrong with the certificates, errors first."""
    now = now or datetime.datetime.now(datetime.UTC)
    return in_order(
        [
            *_authority(material, now),
            *(found for host in layout.hosts for found in _host(layout, host, material, now)),
            *(found for client in material.clients for found in _client(client, material, now)),
            *_entrance(layout, material, now),
        ]
    )


def _authority(material: Material, now: datetime.datetime) -> Iterator[Finding]:
    given, has_pairs = material.authority, any(pair.certificate and pair.key for pair in material.hosts.values())
    if given.key and not given.certificate:
        yield error(
            "C6", "The key of the CA came without its certificate.", "Give both, or neither.", field="authority"
        )
    if given.certificate and not given.key and not has_pairs:
        rule = "C5" if not material.hosts else "C6"
        yield error(
            rule,
            "A CA is given, and neither its key nor certificates that it signed.",
            "Give every host's certificate and key, or have the requests of this cluster signed by that CA.",
            field="authority",
        )
    if not given.certificate:
        if has_pairs:
            yield error(
                "C4",
                "The hosts' certificates came without the CA that signed them: nobody could verify them.",
                "Give the certificate of the CA.",
                field="authority",
            )
        return
    if KEY_MARK in given.certificate:
        yield error(
            "ca-with-key",
            "The file of the CA holds a private key.",
            "Give the CA's certificate alone: what hosts get must hold no key of it.",
            field="authority",
        )
    certificates = yield from _read(given, "authority", "", "the CA")
    if certificates:
        yield from trust.of_authority(certificates, now)


def _host(layout: Layout, host: Host, material: Material, now: datetime.datetime) -> Iterator[Finding]:
    given = material.hosts.get(host.name, Given())
    if not given.certificate and not given.key:
        if not material.authority.key and (len(layout.hosts) > 1 or material.hosts):
            yield error(
                "C14",
                "It has no certificate, and hosts of a cluster cannot make their own: the others would not trust it.",
                "Give a certificate and its key, or let the cluster's CA sign one.",
                host=host.name,
                field="hosts",
            )
        return
    chain = yield from _read(given, "hosts", host.name, f"the certificate of {host.name}")
    if not chain:
        return
    yield from trust.of_leaf(chain, material.authority.certificate, now, host=host.name, field="hosts")
    yield from trust.usage(chain[0], is_server=True, is_client=True, host=host.name, field="hosts")
    yield from _names(layout, host, chain[0])


def _names(layout: Layout, host: Host, certificate: Certificate) -> Iterator[Finding]:
    wanted = names_of(layout, host)
    missing = [name for name in wanted if not certificate.answers_to(name)]
    if not any(certificate.answers_to(name) for name in (host.name, *host.addresses.values())):
        known = ", ".join(certificate.names) or "no name at all"
        yield error(
            "C15",
            f"The certificate is for another host: it names {known}.",
            f"Give the one for {host.name} ({', '.join(host.addresses.values())}).",
            host=host.name,
            field="hosts",
        )
    elif missing:
        yield error(
            "C9" if host.has(Part.MANAGER) else "names",
            f"These names and addresses must be on its certificate and are missing: {', '.join(missing)}.",
            "Have it made again with all of them; the request of this cluster lists them.",
            host=host.name,
            field="hosts",
        )


def _client(client: Client, material: Material, now: datetime.datetime) -> Iterator[Finding]:
    who = f"the client certificate of {client.user}"
    if not client.given.certificate and not client.given.key:
        return
    chain = yield from _read(client.given, "clients", "", who)
    if not chain:
        return
    yield from trust.of_leaf(chain, material.authority.certificate, now, field="clients")
    yield from trust.usage(chain[0], is_server=False, is_client=True, field="clients")
    if chain[0].common_name != client.user:
        yield error(
            "C13" if client.is_superuser else "C12",
            f"The database takes the common name for the user, and {who} says {chain[0].common_name or 'nothing'!r}.",
            f"Have it made with the common name {client.user}.",
            field="clients",
        )


def _entrance(layout: Layout, material: Material, now: datetime.datetime) -> Iterator[Finding]:
    given = material.entrance
    if not given.certificate and not given.key:
        if material.entrance_authority:
            yield error(
                "C5",
                "A CA for the entrance is given, but neither certificate nor key.",
                "Give both, or leave the CA out.",
                field="entrance",
            )
        return
    if layout.balancing is Balancing.THEIRS:
        yield warning(
            "C7",
            "Users see the certificate of your own balancer; this one would only be shown where it passes TLS through.",
            "Leave it out, or make sure that the balancer does.",
            field="entrance",
        )
    chain = yield from _read(given, "entrance", "", "the certificate of the entrance")
    if not chain:
        return
    certificate = chain[0]
    if not certificate.is_self_signed and not material.entrance_authority:
        yield error(
            "C8",
            "The certificate of the entrance is signed by a CA that is not given.",
            "Give that CA, so that the cluster can verify itself as users do.",
            field="entrance",
        )
    else:
        authority = material.entrance_authority or given.certificate
        yield from trust.of_leaf(chain, authority, now, field="entrance")
    yield from trust.usage(certificate, is_server=True, is_client=False, field="entrance")
    yield from _entrance_name(layout, certificate)


def _entrance_name(layout: Layout, certificate: Certificate) -> Iterator[Finding]:
    entrance = layout.entrance or next((host.reach_address for host in layout.having(Part.MANAGER)), "")
    is_named = certificate.answers_to(entrance)
    if is_address(entrance):
        make = warning if is_named else error
        yield make(
            "C10",
            f"The entrance is the address {entrance}, {'and few' if is_named else 'which the certificate lacks; few'} "
            "authorities sign addresses.",
            "Give the entrance a name, and have the certificate made for that.",
            field="entrance",
        )
    elif not is_named:
        yield error(
            "C11",
            f"The certificate of the entrance must have the name {entrance} and has "
            f"{', '.join(certificate.names) or 'none'}.",
            f"Have it made for {entrance}.",
            field="entrance",
        )


def _read(given: Given, field: str, host: str, who: str) -> Generator[Finding, None, list[Certificate]]:
    """Yields what is wrong with the two files themselves; returns the certificates, none where they cannot be read."""
    if bool(given.certificate) != bool(given.key) and field != "authority":
        there, missing = ("certificate", "key") if given.certificate else ("key", "certificate")
        yield error(
            "C1",
            f"Of {who} there is the {there} and not the {missing}.",
            "Give both, or neither.",
            host=host,
            field=field,
        )
    certificates: list[Certificate] = []
    try:
        certificates = read_certificates(given.certificate) if given.certificate else []
    except Unreadable as problem:
        yield _unreadable(f"The file of {who} is no certificate: {problem}.", host, field)
    if given.key and given.key != KEPT:
        try:
            public = read_key_spki(given.key)
        except Unreadable as problem:
            yield _unreadable(f"The key of {who} is none: {problem}.", host, field)
        else:
            if certificates and public != spki_of(certificates[0]):
                yield error(
                    "C3",
                    f"The key does not belong to {who}.",
                    "Give the key with which that certificate was requested.",
                    host=host,
                    field=field,
                )
    return certificates


def _unreadable(message: str, host: str, field: str) -> Finding:
    return error("C2", message, "Give the whole file in PEM form, from -----BEGIN to -----END.", host=host, field=field)
