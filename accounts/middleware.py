"""Which tenant a page acts in."""
from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from accounts.models import User
from accounts.roles import tenants_of


class CurrentTenant:
    """Sets `request.tenant`: the one chosen in the session, else the user's first; None when there is none."""

    def __init__(self, respond: Callable[[HttpRequest], HttpResponse]) -> None:
        self.respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.tenant = None  # type: ignore[attr-defined]
        if isinstance(request.user, User):
            mine = tenants_of(request.user)
            chosen = request.session.get("tenant")
            request.tenant = next((tenant for tenant in mine if tenant.name == chosen), mine[0] if mine else None)  # type: ignore[attr-defined]
        return self.respond(request)
