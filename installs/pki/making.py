"""Keys, certificate authorities, certificates and signing requests, as PEM texts. docs/decisions/0005 says why these kinds."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from inventory.host_names import is_address

MARK = "DeployOn cluster CA, not a company CA"  # organisation in the subject of every CA that is made here
AUTHORITY_DAYS = 3650
HOST_DAYS = 825  # the longest that clients of all kinds accept
TOLERANCE = datetime.timedelta(days=1)  # of clocks that are behind
_PEM = serialization.Encoding.PEM


@dataclass(frozen=True)
class Pair:
    """A certificate with its key, both PEM."""

    certificate: str
    key: str = field(repr=False)


def make_key() -> str:
    """A new EC P-256 key, PKCS#8."""
    return _told(ec.generate_private_key(ec.SECP256R1()))


def make_authority(cluster_name: str, *, now: datetime.datetime | None = None) -> Pair:
    """A CA for one cluster; it signs hosts and clients and no further CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, MARK),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{cluster_name} cluster CA"),
        ]
    )
    builder = _builder(subject, subject, key.public_key(), AUTHORITY_DAYS, now)
    builder = (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return Pair(builder.sign(key, hashes.SHA256()).public_bytes(_PEM).decode(), _told(key))


def sign_host(
    authority: Pair, name: str, names: Iterable[str], *, days: int = HOST_DAYS, now: datetime.datetime | None = None
) -> Pair:
    """A new key and its certificate for a host, as server and as client, under all the names and addresses."""
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    return _sign(authority, name, list(names), usages, days, now)


def sign_client(authority: Pair, user: str, *, days: int = HOST_DAYS, now: datetime.datetime | None = None) -> Pair:
    """A new key and its certificate for a program that signs in as `user`, which is its common name."""
    return _sign(authority, user, [], [ExtendedKeyUsageOID.CLIENT_AUTH], days, now)


def request_host(name: str, names: Iterable[str]) -> tuple[str, str]:
    """(signing request, new key): what an operator's CA is asked to sign, with all names in it."""
    key = ec.generate_private_key(ec.SECP256R1())
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(_common_name(name))
        .add_extension(_alternatives(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .sign(key, hashes.SHA256())
    )
    return request.public_bytes(_PEM).decode(), _told(key)


def request_client(user: str) -> tuple[str, str]:
    """(signing request, new key) of a client certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(_common_name(user))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return request.public_bytes(_PEM).decode(), _told(key)


def _sign(
    authority: Pair,
    name: str,
    names: list[str],
    usages: list[x509.ObjectIdentifier],
    days: int,
    now: datetime.datetime | None,
) -> Pair:
    issuer = x509.load_pem_x509_certificate(authority.certificate.encode())
    issuer_key = serialization.load_pem_private_key(authority.key.encode(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_common_name(name), issuer.subject, key.public_key(), days, now)
    if names:
        builder = builder.add_extension(_alternatives(names), critical=False)
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
    )
    signed = builder.sign(cast(CertificateIssuerPrivateKeyTypes, issuer_key), hashes.SHA256())
    return Pair(signed.public_bytes(_PEM).decode(), _told(key))


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    days: int,
    now: datetime.datetime | None,
) -> x509.CertificateBuilder:
    now = now or datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - TOLERANCE)
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _alternatives(names: Iterable[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName(
        [x509.IPAddress(ipaddress.ip_address(name)) if is_address(name) else x509.DNSName(name) for name in names]
    )


def _key_usage(*, signs_certificates: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _told(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
