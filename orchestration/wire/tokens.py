"""API tokens on the wire."""

from __future__ import annotations

import datetime
import re
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import ApiToken
from accounts.roles import may
from accounts.tokens import mint_token, revoke_token
from orchestration.errors import bad_parameters, not_found
from orchestration.wire.listing import find, listed
from orchestration.wire.shapes import Field, Shape, column
from orchestration.wire.times import wire_time
from orchestration.wire.views import WireView

RELATIVE = re.compile(r"\+\s*(\d{1,6})\s*(min|minute|h|hour|d|day|w|week|month|year)s?", re.IGNORECASE)
UNITS = {
    "min": 1,
    "minute": 1,
    "h": 60,
    "hour": 60,
    "d": 1440,
    "day": 1440,
    "w": 10080,
    "week": 10080,
    "month": 43200,
    "year": 525600,
}


TOKEN = Shape(
    "Token",
    {
        "id": column("pk"),
        "username": column("user__username"),
        "value": Field(str),
        "role": column("user__role"),
        "expiration_date": Field(lambda row: wire_time(row.expires_at), "expires_at"),
        "last_used": Field(lambda row: wire_time(row.last_used_at), "last_used_at"),
        "description": Field(lambda row: row.description or None, "description"),
    },
    search=("pk",),
)


class TokenView(WireView):
    """Tokens: one's own, to a system administrator everybody's."""

    has_tenant = False
    resource = "token"

    def rows(self) -> Any:
        """What the caller may see."""
        rows = ApiToken.objects.select_related("user")
        return rows if may(self.user, "user.manage") else rows.filter(user=self.user)


class Tokens(TokenView):
    """List and mint."""

    needs = {"GET": "token.manage_own", "POST": "token.manage_own"}

    def get(self, request: Request) -> Response:
        return listed(self.rows(), request.query_params, TOKEN)

    def post(self, request: Request) -> Response:
        expires_at = read_expiry(self.optional("expiration_date"))
        description = self.optional("description", default="")
        token, value = mint_token(by=self.actor, user=self.user, description=description, expires_at=expires_at)
        return Response({**TOKEN.render(token), "value": value})


class Token(TokenView):
    """One token; its value is never shown again."""

    needs = {"GET": "token.manage_own", "DELETE": "token.manage_own"}

    def get(self, request: Request, wire_id: str) -> Response:
        return Response(TOKEN.render(self.found(wire_id)))

    def delete(self, request: Request, wire_id: str) -> Response:
        revoke_token(by=self.actor, token=self.found(wire_id))
        return Response(status=204)

    def found(self, wire_id: str) -> ApiToken:
        """The token; 404 for others'."""
        token = find(self.rows(), "Token", wire_id, name="pk")
        if not isinstance(token, ApiToken):
            raise not_found("Token", wire_id)
        return token


def read_expiry(text: str | None) -> datetime.datetime | None:
    """`+10h`, `+30 minutes`, `+1 day`, or `2030-01-01 00:00` (UTC); 400 for the past and for anything else."""
    if not text:
        return None
    if found := RELATIVE.fullmatch(text.strip()):
        return timezone.now() + datetime.timedelta(minutes=int(found[1]) * UNITS[found[2].lower()])
    try:
        moment = datetime.datetime.fromisoformat(text.strip())
    except ValueError:
        raise bad_parameters(
            f"Invalid expiration_date `{text}`. Write it as `YYYY-MM-DD HH:MM` (UTC) or as `+10h`, `+30 minutes`, `+1 day`."
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    if moment <= timezone.now():
        raise bad_parameters("Expiration date was in the past.")
    return moment
