"""Rules of one certificate by itself and under its CA: expiry, what it may be used for, and the chain."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from installs.findings import Finding, error, warning
from installs.pki.reading import Certificate, Unreadable, read_certificates, signed_by

SOON_DAYS = 30
LEAST_RSA_BITS = 2048
CURVES = ("secp256r1", "secp384r1", "secp521r1")
WEAK_HASHES = ("md5", "sha1")


def of_authority(certificates: list[Certificate], now: datetime.datetime) -> Iterator[Finding]:
    """Of a CA: the first one signs the hosts, the others lead up to a root."""
    for certificate in certificates:
        if not certificate.is_authority and not certificate.is_self_signed:
            yield error(
                "chain",
                f"{certificate.subject} is no CA: it may sign nothing.",
                "Give the certificate of the CA that signed, and those above it.",
                field="authority",
            )
        elif not _may_sign(certificate):
            yield error(
                "usage",
                f"{certificate.subject} may not sign certificates (key usage).",
                "Use a CA whose key usage has keyCertSign.",
                field="authority",
            )
        yield from _expiry(certificate, now, "The CA", "", "authority")
        yield from _strength(certificate, "", "authority")


def of_leaf(
    chain: list[Certificate], authority: str, now: datetime.datetime, *, host: str = "", field: str = ""
) -> Iterator[Finding]:
    """Of a certificate, followed by intermediates if there are any, under the authority (PEM)."""
    yield from _expiry(chain[0], now, "Its certificate" if host else "The certificate", host, field)
    yield from _strength(chain[0], host, field)
    try:
        authorities = read_certificates(authority) if authority else []
    except Unreadable:
        return  # the authority has a finding of its own
    if not authorities:
        return
    current, above = chain[0], [*chain[1:], *authorities]
    seen: set[str] = set()
    while current.fingerprint not in {each.fingerprint for each in authorities}:
        seen.add(current.fingerprint)
        issuer = next((each for each in above if each.fingerprint not in seen and signed_by(current, each)), None)
        if issuer is None:
            yield _not_signed(chain[0], current, authorities, host, field)
            return
        if not issuer.is_authority and not issuer.is_self_signed:
            yield error(
                "chain",
                f"{issuer.subject}, which signed it, is no CA.",
                "Have it signed by a CA.",
                host=host,
                field=field,
            )
            return
        current = issuer


def usage(
    certificate: Certificate, *, is_server: bool, is_client: bool, host: str = "", field: str = ""
) -> Iterator[Finding]:
    """What it says that it may be used for; what is not said is allowed."""
    if certificate.is_authority and not certificate.is_self_signed:
        yield error(
            "usage",
            f"{certificate.subject} is a CA: its key on a host could sign for every other.",
            "Have a certificate made that is no CA (CA:FALSE).",
            host=host,
            field=field,
        )
    extensions = certificate.parsed.extensions
    try:
        if not extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature:
            yield error(
                "usage",
                "Its key usage lacks digitalSignature, without which TLS 1.3 does not work.",
                "Have it made again with digitalSignature.",
                host=host,
                field=field,
            )
    except x509.ExtensionNotFound:
        pass
    try:
        allowed = list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return
    needed = {ExtendedKeyUsageOID.SERVER_AUTH: is_server, ExtendedKeyUsageOID.CLIENT_AUTH: is_client}
    words = {ExtendedKeyUsageOID.SERVER_AUTH: "serverAuth", ExtendedKeyUsageOID.CLIENT_AUTH: "clientAuth"}
    missing = [words[each] for each, is_needed in needed.items() if is_needed and each not in allowed]
    if missing and ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE not in allowed:
        yield error(
            "usage",
            f"It may not be used as {' and '.join(missing)} (extended key usage).",
            "Have it made with serverAuth and clientAuth: members of a cluster are both to each other.",
            host=host,
            field=field,
        )


def _not_signed(leaf: Certificate, last: Certificate, authorities: list[Certificate], host: str, field: str) -> Finding:
    given = authorities[0].subject
    if last.fingerprint != leaf.fingerprint or (leaf.issuer != given and not leaf.is_self_signed):
        return error(
            "chain" if last.fingerprint != leaf.fingerprint else "C4",
            f"{last.subject} was signed by {last.issuer}, which is not among what is given; the CA here is {given}.",
            "Give that CA, or append the intermediate certificates that lead from this one to it.",
            host=host,
            field=field,
        )
    return error(
        "C4",
        f"{leaf.subject} was not signed by the CA {given}.",
        "Give the CA that signed it, or have it signed by this one.",
        host=host,
        field=field,
    )


def _expiry(certificate: Certificate, now: datetime.datetime, what: str, host: str, field: str) -> Iterator[Finding]:
    if now < certificate.not_before:
        yield error(
            "expiry",
            f"{what} is valid only from {certificate.not_before:%Y-%m-%d %H:%M} UTC on.",
            "Check the clocks here and at the CA, or wait.",
            host=host,
            field=field,
        )
    elif now >= certificate.not_after:
        yield error(
            "expiry",
            f"{what} expired on {certificate.not_after:%Y-%m-%d %H:%M} UTC.",
            "Have a new one made.",
            host=host,
            field=field,
        )
    elif certificate.not_after - now < datetime.timedelta(days=SOON_DAYS):
        yield warning(
            "expiry",
            f"{what} expires on {certificate.not_after:%Y-%m-%d}, in {(certificate.not_after - now).days} days.",
            "Have a new one made before.",
            host=host,
            field=field,
        )


def _strength(certificate: Certificate, host: str, field: str) -> Iterator[Finding]:
    """What the services of a cluster cannot use or should not trust."""
    key, digest = certificate.parsed.public_key(), certificate.parsed.signature_hash_algorithm
    if isinstance(key, rsa.RSAPublicKey):
        is_usable = key.key_size >= LEAST_RSA_BITS
    else:
        is_usable = isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in CURVES
    if not is_usable:
        yield error(
            "usage",
            f"{certificate.subject} has a kind of key that not every service here can use.",
            "Use RSA with 2048 bits or more, or EC P-256, P-384 or P-521.",
            host=host,
            field=field,
        )
    if digest is not None and digest.name in WEAK_HASHES and not certificate.is_self_signed:
        yield error(
            "chain",
            f"{certificate.subject} is signed with {digest.name.upper()}, which Debian's TLS refuses.",
            "Have it signed with SHA-256.",
            host=host,
            field=field,
        )


def _may_sign(certificate: Certificate) -> bool:
    try:
        return certificate.parsed.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        return True
