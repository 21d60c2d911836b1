"""API tokens: minted, found, revoked. One table serves `Authorization: Token` and `Authentication-Token`."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import re
import secrets
import string
from enum import StrEnum

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from accounts import audit, throttle
from accounts.actors import Actor
from accounts.models import ApiToken, User

_ALPHABET = string.ascii_letters + string.digits
_VALUE = re.compile(r"ctok-([A-Za-z0-9]{10})-([A-Za-z0-9]{43})")
_STRUCTURE = re.compile(r"[^-]+-[^-]+-.+")
_WRITE_USE_EVERY = datetime.timedelta(minutes=1)


class TokenFault(StrEnum):
    """Why a token was refused."""

    STRUCTURE = "structure"  # not of the form a-b-c
    UNKNOWN = "unknown"  # never was, wrong, or revoked
    EXPIRED = "expired"
    INACTIVE = "inactive"  # its user is switched off


class TokenRefused(Exception):
    """A token that is not accepted; the message may be shown."""

    MESSAGES = {
        TokenFault.STRUCTURE: "Invalid token structure: a token reads ctok-<id>-<secret>, without spaces.",
        TokenFault.UNKNOWN: "This token is unknown or revoked. Make a new one under API tokens.",
        TokenFault.EXPIRED: "This token is expired. Make a new one under API tokens.",
        TokenFault.INACTIVE: "The user of this token is switched off. Ask a system administrator.",
    }

    def __init__(self, fault: TokenFault, message: str = "") -> None:
        super().__init__(message or self.MESSAGES[fault])
        self.fault = fault


def mint_token(
    *, by: Actor, user: User, description: str = "", expires_at: datetime.datetime | None = None
) -> tuple[ApiToken, str]:
    """The row, and the value, which nobody can read again."""
    if expires_at is not None and expires_at <= timezone.now():
        raise ValidationError(
            {"expires_at": "This time has passed. Choose one in the future, or none for a token that does not expire."}
        )
    if len(description) > 256:
        raise ValidationError({"description": "Use at most 256 characters."})
    token_id = _random(10)
    value = f"ctok-{token_id}-{_random(43)}"
    with transaction.atomic():
        token = ApiToken.objects.create(
            id=token_id, user=user, secret_hash=_hash(value), description=description, expires_at=expires_at
        )
        audit.record(by=by, action="token.create", row=token, tenant=None, after=_told(token))
    return token, value


def revoke_token(*, by: Actor, token: ApiToken) -> None:
    """End a token; it is refused from the next request on."""
    with transaction.atomic():
        audit.record(by=by, action="token.revoke", row=token, tenant=None, before=_told(token))
        token.delete()


def check_token(value: str, address: str = "") -> ApiToken:
    """The token (its user loaded) of a value, in one query; TokenRefused otherwise. Nothing is cached: a revoked token ends at once.

    Wrong secrets are counted for the id and `address`; the right one is always let in, as there is nothing to guess.
    """
    found = _VALUE.fullmatch(value)
    if found is None:
        raise TokenRefused(TokenFault.UNKNOWN if _STRUCTURE.fullmatch(value) else TokenFault.STRUCTURE)
    token = ApiToken.objects.select_related("user").filter(pk=found[1]).first()
    if token is None or not hmac.compare_digest(token.secret_hash, _hash(value)):
        _count_failure(f"ctok-{found[1]}", address)
        raise TokenRefused(TokenFault.UNKNOWN)
    if token.is_expired:
        raise TokenRefused(TokenFault.EXPIRED)
    if not token.user.is_active:
        raise TokenRefused(TokenFault.INACTIVE)
    _note_use(token)
    return token


def find_token(value: str, address: str = "") -> ApiToken | None:
    """As check_token, for callers that need no reason."""
    try:
        return check_token(value, address)
    except TokenRefused:
        return None


def _count_failure(name: str, address: str) -> None:
    """One row for each wrong secret, up to the limit; then words, and no more writing."""
    if throttle.seconds_locked(name, address):
        raise TokenRefused(
            TokenFault.UNKNOWN, "This token was refused too often from your address. Make a new one under API tokens."
        )
    throttle.count_failure(name, address)


def _note_use(token: ApiToken) -> None:
    """At most one write a minute and token, however many requests there are."""
    now = timezone.now()
    if token.last_used_at is None or token.last_used_at <= now - _WRITE_USE_EVERY:
        unchanged = ApiToken.objects.filter(pk=token.pk, last_used_at=token.last_used_at)
        unchanged.update(last_used_at=now)
        token.last_used_at = now


def _told(token: ApiToken) -> dict[str, object]:
    return {"user": token.user.username, "description": token.description, "expires_at": token.expires_at}


def _hash(value: str) -> str:
    # 43 random characters need no slow hash: there is nothing to guess.
    return hashlib.sha256(value.encode()).hexdigest()


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
