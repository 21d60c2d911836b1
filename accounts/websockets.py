"""Who is behind a websocket, and whether that person still may look on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from channels.auth import AuthMiddlewareStack
from channels.db import database_sync_to_async
from channels.security.websocket import AllowedHostsOriginValidator
from django.contrib.auth.models import AnonymousUser

from accounts import tokens
from accounts.models import Tenant, User
from accounts.roles import first_tenant, may, read_access, tenant_named

Scope = dict[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]


class PersonMiddleware:
    """Sets `scope["user"]` (anonymous where nobody is proven) and `scope["tenant"]` (None where there is none).

    A program shows `Authorization: Token ctok-...`, a browser its session. The tenant: header `Tenant`, query `tenant`, the
    session's, the user's first; one that is named but not the user's is None, never another.
    """

    def __init__(self, inner: App) -> None:
        self.inner = inner
        self.with_session = AuthMiddlewareStack(self.resolve)

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        value = token_of(scope)
        if value is None:
            await self.with_session(scope, receive, send)
            return
        person = await database_sync_to_async(_person_of_token)(value, _address(scope))
        await self.resolve({**scope, "user": person, "token_value": value}, receive, send)

    async def resolve(self, scope: Scope, receive: Any, send: Any) -> None:
        """Decide on the tenant, then hand on."""
        user = scope["user"]
        if isinstance(user, User) and user.must_change_password and "token_value" not in scope:
            user = scope["user"] = AnonymousUser()  # a one-time password opens nothing but its own change
        scope["tenant"] = None
        if isinstance(user, User):
            session = scope.get("session")
            chosen = await database_sync_to_async(session.get)("tenant") if session is not None else None
            scope["tenant"] = await database_sync_to_async(_tenant)(user, _named(scope), chosen)
        await self.inner(scope, receive, send)


class OriginOrToken:
    """Refuses websockets from pages of other sites; a token in a header comes from a program, as no page can send one."""

    def __init__(self, inner: App) -> None:
        self.inner = inner
        self.for_browsers = AllowedHostsOriginValidator(inner)

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        await (self.inner if token_of(scope) is not None else self.for_browsers)(scope, receive, send)


async def still_may(scope: Scope, action: str, tenant: Tenant | None = None) -> bool:
    """Ask the database again: is the session or token still good and the action allowed in the tenant (default: the scope's)?

    For long-lived sockets: call it at connect and then every half minute or so.
    """
    return bool(await database_sync_to_async(_still_may)(scope, action, tenant or scope.get("tenant")))


def token_of(scope: Scope) -> str | None:
    """The value in `Authorization: Token ...`, None without such a header."""
    scheme, _, value = _header(scope, b"authorization").partition(" ")
    return value.strip() if scheme.lower() == "token" else None


def _still_may(scope: Scope, action: str, tenant: Tenant | None) -> bool:
    value = scope.get("token_value")
    if value is not None:
        user = _person_of_token(value, _address(scope))
    else:
        user = _person_of_session(scope)
    return may(user, action, tenant)


def _person_of_token(value: str, address: str) -> User | AnonymousUser:
    token = tokens.find_token(value, address)
    return token.user if token else AnonymousUser()


def _person_of_session(scope: Scope) -> User | AnonymousUser:
    """The user as the database has it now; anonymous once signed out, switched off or given another password."""
    known, session = scope.get("user"), scope.get("session")
    if not isinstance(known, User) or session is None:
        return AnonymousUser()
    fresh = User.objects.filter(pk=known.pk, is_active=True, must_change_password=False).first()
    is_signed_in = session.session_key is None or session.exists(session.session_key)
    if fresh is None or not is_signed_in or fresh.password != known.password:
        return AnonymousUser()
    return fresh


def _tenant(user: User, named: str, chosen: str | None) -> Tenant | None:
    user.access = read_access(user)
    try:
        if named:
            return tenant_named(user, named)
        return (tenant_named(user, chosen) if chosen else None) or first_tenant(user)
    finally:
        user.access = None  # a socket lives longer than what was read


def _named(scope: Scope) -> str:
    asked = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("tenant", [""])
    return _header(scope, b"tenant") or asked[0]


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope.get("headers", []) if key.lower() == name), "")


def _address(scope: Scope) -> str:
    return str((scope.get("client") or [""])[0])
