"""Who calls v3.1: `Authorization: Basic`, or a token, refused in the words that clients know."""

from __future__ import annotations

import base64
import binascii

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts.models import ApiToken, User
from accounts.passwords import LoginFault, LoginRefused, user_of_password
from accounts.throttle import address_of
from accounts.tokens import TokenFault, TokenRefused, check_token
from orchestration.errors import unauthorized

NOTHING = "No authentication info provided"
WORDS = {
    TokenFault.STRUCTURE: "Invalid token structure",
    TokenFault.UNKNOWN: "Unauthorized",
    TokenFault.EXPIRED: "Token is expired",
    TokenFault.INACTIVE: "Unauthorized",
}


class WireAuthentication(BaseAuthentication):
    """Basic is looked at before tokens, as genuine managers do; nothing at all is refused too."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken | None]:
        scheme, _, value = request.headers.get("Authorization", "").strip().partition(" ")
        if scheme.lower() == "basic":
            return self.of_password(request, value.strip()), None
        token = request.headers.get("Authentication-Token", "")
        if not token and scheme.lower() in ("token", "bearer"):
            token = value.strip()
        if not token:
            raise unauthorized(NOTHING)
        try:
            found = check_token(token)
        except TokenRefused as refused:
            raise unauthorized(WORDS[refused.fault]) from None
        return found.user, found

    def of_password(self, request: Request, encoded: str) -> User:
        """The user of a Basic header. An unknown name is answered like a wrong password: genuine managers tell them apart."""
        try:
            username, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            raise unauthorized(NOTHING) from None
        if not colon:
            raise unauthorized(NOTHING)
        try:
            return user_of_password(username, password, address_of(request._request))
        except LoginRefused as refused:
            if refused.fault is LoginFault.MUST_CHANGE:
                raise unauthorized(str(refused)) from None
            shown = username.replace("`", "'")[:256]
            raise unauthorized(
                f"Authentication failed for <User username=`{shown}`>. Wrong credentials or locked account"
            ) from None
