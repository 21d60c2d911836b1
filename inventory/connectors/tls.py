"""TLS settings for each kind of trust, and words for a handshake that failed."""

from __future__ import annotations

import ssl
from functools import lru_cache

from inventory.connectors.address import Address, Trust, TrustMode
from inventory.connectors.errors import ErrorKind, ManagerError

# X509_V_ERR_* of OpenSSL, as `SSLCertVerificationError.verify_code` reports them.
_NOT_YET_VALID, _EXPIRED, _SELF_SIGNED_LEAF, _SELF_SIGNED_ROOT, _NO_ISSUER, _NO_FIRST = 9, 10, 18, 19, 20, 21
_NAME_MISMATCH, _IP_MISMATCH = 62, 64


def tls_context(trust: Trust) -> ssl.SSLContext:
    """The TLS settings for a kind of trust. Built once each: loading certificates costs more than a whole request."""
    if trust.mode is TrustMode.BUNDLE:
        return _bundle_context(trust.ca_bundle)
    return _verifying_context() if trust.mode is TrustMode.SYSTEM else unverified_context()


@lru_cache(maxsize=1)
def _verifying_context() -> ssl.SSLContext:
    return _modern(ssl.create_default_context())


@lru_cache(maxsize=256)
def _bundle_context(pem: str) -> ssl.SSLContext:
    try:
        return _modern(ssl.create_default_context(cadata=pem))
    except (ssl.SSLError, ValueError):
        raise ManagerError(
            ErrorKind.INPUT, "The CA bundle of this manager cannot be read. Paste its certificates again as PEM text."
        ) from None


@lru_cache(maxsize=1)
def unverified_context() -> ssl.SSLContext:
    """For pinned certificates, which are compared after the handshake, and for those that are declared insecure."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return _modern(context)


def _modern(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return lenient(context)


def lenient(context: ssl.SSLContext) -> ssl.SSLContext:
    """What Python 3.11 accepts, 3.13 accepts too: it refuses chains that lack a key identifier, as managers make them for themselves."""
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def explain_tls(error: Exception, address: Address) -> str:
    """One sentence on what happened and one on what to do."""
    where = address.where
    if isinstance(error, ssl.SSLCertVerificationError):
        return _explain_verification(error, where, address)
    text = str(error)
    if "ingerprint" in text:
        return (
            f"The certificate of {where} is not the pinned one. If the manager got a new certificate, compare its "
            "fingerprint there and pin the new one; if not, somebody may stand in between."
        )
    if "WRONG_VERSION_NUMBER" in text or "HTTP_REQUEST" in text or "RECORD_LAYER_FAILURE" in text:
        return f"{where} does not speak TLS. Check the port, or choose protocol http if the manager has no TLS."
    if "UNSUPPORTED_PROTOCOL" in text or "VERSION" in text.upper():
        return f"{where} offers only TLS older than 1.2, which this portal refuses. Update the manager's TLS settings."
    return f"The TLS handshake with {where} failed. Check the port, and the TLS settings of the manager."


def _explain_verification(error: ssl.SSLCertVerificationError, where: str, address: Address) -> str:
    code = error.verify_code
    if code == _EXPIRED:
        return f"The certificate of {where} has expired. Renew it at the manager, or pin its fingerprint if you must go on."
    if code == _NOT_YET_VALID:
        return f"The certificate of {where} is not valid yet. Check the clocks of the manager and of this portal."
    if code in (_NAME_MISMATCH, _IP_MISMATCH):
        return (
            f"The certificate of {where} was issued for another name than {address.endpoint}. Enter the name it was "
            "issued for, or pin its fingerprint."
        )
    if code in (_SELF_SIGNED_LEAF, _SELF_SIGNED_ROOT, _NO_ISSUER, _NO_FIRST):
        whose = (
            "the CA bundle given" if address.trust.mode is TrustMode.BUNDLE else "the authorities this system trusts"
        )
        return (
            f"The certificate of {where} was not issued by {whose}. Give the CA bundle of the manager, or compare its "
            "fingerprint there and pin it."
        )
    why = error.verify_message
    return f"The certificate of {where} cannot be verified ({why}). Give the right CA bundle, or pin its fingerprint."
