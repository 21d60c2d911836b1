"""Who is calling /api/v1, and in which tenant: `Authorization: Token ctok-...` or the browser's session; header `Tenant`."""

from __future__ import annotations

from django.http import HttpRequest
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication
from rest_framework.authentication import SessionAuthentication as DrfSessionAuthentication
from rest_framework.request import Request

from accounts import throttle, tokens
from accounts.models import ApiToken, Tenant, User
from accounts.roles import first_tenant, remember_access, tenant_named, tenants_of


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Token ctok-...`; the tenant is that of the header `Tenant`, else the user's first."""

    keyword = "Token"

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        scheme, _, value = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != self.keyword.lower():
            return None
        try:
            token = tokens.check_token(value.strip(), throttle.address_of(request._request))
        except tokens.TokenRefused as refused:
            raise exceptions.AuthenticationFailed(str(refused)) from None
        remember_access(token.user)
        set_tenant(request._request, tenant_of_header(request._request, token.user) or first_tenant(token.user))
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return self.keyword


class SessionAuthentication(DrfSessionAuthentication):
    """The browser's session, with the tenant chosen there unless the header `Tenant` names another."""

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        found = super().authenticate(request)
        if found is not None:
            named = tenant_of_header(request._request, found[0])
            if named is not None:
                set_tenant(request._request, named)
        return found


def tenant_of_header(request: HttpRequest, user: User) -> Tenant | None:
    """The tenant that the header names, None without one; refused alike where it is not there and where it is not the user's."""
    name = request.META.get("HTTP_TENANT", "")
    if not name:
        return None
    tenant = tenant_named(user, name)
    if tenant is None:
        mine = [tenant.name for tenant in tenants_of(user)]
        shown = (
            f"Yours: {', '.join(mine[:10])}."
            if mine
            else "You have a role in none: ask a system administrator for one."
        )
        raise exceptions.PermissionDenied(f"There is no tenant {name[:256]!r} in which you have a role. {shown}")
    return tenant


def set_tenant(request: HttpRequest, tenant: Tenant | None) -> None:
    """Where the rest of the request acts."""
    request.tenant = tenant  # type: ignore[attr-defined]
