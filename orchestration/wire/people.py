"""The caller, tenants and tokens on the wire."""

from __future__ import annotations

import datetime
import re
from typing import Any

from django.db.models import Count
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import ApiToken, Membership, Tenant, User
from accounts.roles import may, tenants_of
from accounts.tokens import mint_token, revoke_token
from orchestration.errors import bad_parameters, not_found
from orchestration.wire.listing import find, listed
from orchestration.wire.shapes import Field, Shape, always, column
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


class WhoAmI(WireView):
    """The caller; `_get_data=true` names tenants, roles and groups instead of counting them."""

    needs = {"GET": "account.manage_own"}
    has_tenant = False

    def get(self, request: Request) -> Response:
        return Response(told_of(self.user, is_full=self.flag("_get_data")))


def told_of(user: User, *, is_full: bool) -> dict[str, Any]:
    """A user as v3.1 shows one."""
    direct = dict(Membership.objects.filter(user=user).values_list("tenant__name", "role"))
    groups = list(user.groups.all())
    through: dict[str, dict[str, list[str]]] = {}
    rows = Membership.objects.filter(group__in=groups).values_list("tenant__name", "role", "group__name")
    for tenant, role, group in rows:
        through.setdefault(tenant, {}).setdefault(role, []).append(group)
    roles = {
        tenant: sorted({role, *through.get(tenant, {})} - {""})
        for tenant, role in {**dict.fromkeys(through, ""), **direct}.items()
    }
    return {
        "username": user.username,
        "tenants": roles if is_full else len(roles),
        "tenant_roles": {"direct": direct, "groups": through} if is_full else None,
        "groups": [group.name for group in groups] if is_full else len(groups),
        "role": user.role,
        "group_system_roles": group_roles(groups),
        "active": user.is_active,
        "created_at": wire_time(user.created_at),
        "first_login_at": None,
        "last_login_at": wire_time(user.last_login),
        "is_locked": False,
        "show_getting_started": False,
        "password_hash": None,
    }


def group_roles(groups: list[Any]) -> dict[str, list[str]]:
    """{role: [groups that give it]}, without the role that everybody has."""
    found: dict[str, list[str]] = {}
    for group in groups:
        if group.role != "default":
            found.setdefault(group.role, []).append(group.name)
    return found


TENANT = Shape(
    "Tenant",
    {
        "name": column("name"),
        "groups": Field(lambda row: row.group_count),
        "users": Field(lambda row: row.user_count),
        "user_roles": always(None),
        "rabbitmq_username": always(None),
        "rabbitmq_password": always(None),
        "rabbitmq_vhost": always(None),
    },
    search=("name",),
    order=("pk",),
)


class Tenants(WireView):
    """The tenants in which the caller has a role; a system administrator sees all."""

    needs = {"GET": "installation.view", "POST": "installation.view"}
    has_tenant = False

    def get(self, request: Request) -> Response:
        rows = Tenant.objects.filter(pk__in=[tenant.pk for tenant in tenants_of(self.user)]).annotate(
            user_count=Count("memberships__user", distinct=True), group_count=Count("memberships__group", distinct=True)
        )
        return listed(rows, request.query_params, TENANT)


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
