"""The certificate that a manager shows, read in a handshake of its own: nothing is sent over these connections."""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import NameOID

from inventory.connectors.address import Address, TrustMode
from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.policy import Place
from inventory.connectors.sockets import dial, explain_no_connection
from inventory.connectors.tls import explain_tls, tls_context, unverified_context


@dataclass(frozen=True)
class Peer:
    """What the other side showed. `fingerprint` is the SHA-256 of the leaf as AB:CD:..."""

    tls_version: str
    fingerprint: str
    expires_at: datetime
    issuer: str


def shake_hands(address: Address, places: tuple[Place, ...], seconds: float) -> tuple[Peer | None, ManagerError | None]:
    """(the peer, why it is not trusted). A refused certificate is read too, so that it can be shown and pinned."""
    try:
        peer = _peer(tls_context(address.trust), address, places, seconds)
    except ssl.SSLError as error:
        refusal = ManagerError(ErrorKind.UNREACHABLE, explain_tls(error, address))
        if not isinstance(error, ssl.SSLCertVerificationError):
            return None, refusal
    except TimeoutError:
        text = f"{address.where} does not answer the TLS handshake. Check the port, or choose protocol http if it has no TLS."
        return None, ManagerError(ErrorKind.UNREACHABLE, text)
    except OSError as error:
        return None, ManagerError(ErrorKind.UNREACHABLE, explain_no_connection(error, address.where))
    else:
        if address.trust.mode is TrustMode.PINNED and colons(address.trust.fingerprint) != peer.fingerprint:
            mismatch = ssl.SSLError("fingerprint")
            return peer, ManagerError(ErrorKind.UNREACHABLE, explain_tls(mismatch, address))
        return peer, None
    try:
        return _peer(unverified_context(), address, places, seconds), refusal
    except OSError:
        return None, refusal


def colons(fingerprint: str) -> str:
    """64 hex digits as people compare them: AB:CD:..."""
    text = fingerprint.upper()
    return ":".join(text[at : at + 2] for at in range(0, len(text), 2))


def _peer(context: ssl.SSLContext, address: Address, places: tuple[Place, ...], seconds: float) -> Peer:
    with dial(places, seconds) as plain:
        plain.settimeout(seconds)
        with context.wrap_socket(plain, server_hostname=address.endpoint.rstrip(".")) as sock:
            der = sock.getpeercert(binary_form=True) or b""
            version = sock.version() or ""
    certificate = x509.load_der_x509_certificate(der)
    names = certificate.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
    issuer = str(names[0].value) if names else certificate.issuer.rfc4514_string()
    return Peer(version, colons(hashlib.sha256(der).hexdigest()), certificate.not_valid_after_utc, issuer or "nobody")
