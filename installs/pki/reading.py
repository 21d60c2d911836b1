"""What stands in certificates and keys that came from somewhere."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

KEY_MARK = "PRIVATE KEY-----"


class Unreadable(ValueError):
    """A text that is not what it should be; the message says why."""


@dataclass(frozen=True)
class Certificate:
    """One certificate, as far as anybody here asks."""

    parsed: x509.Certificate

    @property
    def subject(self) -> str:
        return self.parsed.subject.rfc4514_string()

    @property
    def issuer(self) -> str:
        return self.parsed.issuer.rfc4514_string()

    @property
    def common_name(self) -> str:
        found = self.parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return str(found[0].value) if found else ""

    @property
    def not_before(self) -> datetime.datetime:
        return self.parsed.not_valid_before_utc

    @property
    def not_after(self) -> datetime.datetime:
        return self.parsed.not_valid_after_utc

    @property
    def serial(self) -> str:
        return f"{self.parsed.serial_number:X}"

    @property
    def fingerprint(self) -> str:
        """SHA-256 as AB:CD:..."""
        return self.parsed.fingerprint(hashes.SHA256()).hex(":").upper()

    @property
    def dns_names(self) -> list[str]:
        alternatives = self._alternatives()
        return [] if alternatives is None else alternatives.get_values_for_type(x509.DNSName)

    @property
    def addresses(self) -> list[str]:
        alternatives = self._alternatives()
        return [] if alternatives is None else [str(each) for each in alternatives.get_values_for_type(x509.IPAddress)]

    @property
    def names(self) -> list[str]:
        return [*self.dns_names, *self.addresses]

    @property
    def is_authority(self) -> bool:
        try:
            return self.parsed.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        except x509.ExtensionNotFound:
            return False

    @property
    def is_self_signed(self) -> bool:
        return self.parsed.issuer == self.parsed.subject and signed_by(self, self)

    def _alternatives(self) -> x509.SubjectAlternativeName | None:
        try:
            return self.parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return None

    def answers_to(self, name: str) -> bool:
        """By a name of it, a wildcard of one label included, or an address of it."""
        if name in self.addresses:
            return True
        wildcard = "*." + name.partition(".")[2]
        return any(known.lower() in (name.lower(), wildcard.lower()) for known in self.dns_names)


def read_certificates(text: str) -> list[Certificate]:
    """All certificates of a PEM text, in order; Unreadable where there is none."""
    if "BEGIN CERTIFICATE-----" not in text:
        raise Unreadable("it holds no -----BEGIN CERTIFICATE-----")
    try:
        return [Certificate(parsed) for parsed in x509.load_pem_x509_certificates(text.encode())]
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Unreadable(f"it cannot be parsed ({str(error).splitlines()[0][:120]})") from None


def read_key_spki(text: str) -> bytes:
    """The public half of a private key, to compare with that of a certificate; Unreadable for anything else."""
    if KEY_MARK not in text:
        raise Unreadable("it holds no private key")
    try:
        key = serialization.load_pem_private_key(text.encode(), None)
    except TypeError:
        raise Unreadable("it is protected by a passphrase; remove that (openssl pkey -in KEY -out NEW)") from None
    except (ValueError, UnsupportedAlgorithm):
        raise Unreadable("it cannot be parsed") from None
    return _public(key)


def spki_of(certificate: Certificate) -> bytes:
    """The public key of a certificate, in the same form."""
    return certificate.parsed.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def signed_by(certificate: Certificate, issuer: Certificate) -> bool:
    """Did the issuer's key sign it, under the issuer's name?"""
    try:
        certificate.parsed.verify_directly_issued_by(issuer.parsed)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _public(key: object) -> bytes:
    public = key.public_key()  # type: ignore[attr-defined]
    return bytes(public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))
