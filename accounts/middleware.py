"""What holds for every page: which tenant it acts in, and that a one-time password opens nothing but its own change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect

from accounts.authentication import set_tenant
from accounts.models import Tenant, User
from accounts.roles import first_tenant, remember_access, tenant_named

Respond = Callable[[HttpRequest], HttpResponse]


class CurrentTenant:
    """Sets `request.tenant`: the one chosen in the session, else the user's first; None when there is none."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        set_tenant(request, None)
        if isinstance(request.user, User):
            remember_access(request.user)
            chosen = request.session.get("tenant")
            set_tenant(request, (tenant_named(request.user, chosen) if chosen else None) or first_tenant(request.user))
        return self.respond(request)


class PasswordChangeFirst:
    """Who signed in with a one-time password gets the page that changes it, and nothing else."""

    OPEN = frozenset({"password", "login", "logout", "healthz", "readyz"})

    def __init__(self, respond: Respond) -> None:
        self.respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.respond(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        if not isinstance(request.user, User) or not request.user.must_change_password:
            return None
        match = request.resolver_match
        if match is not None and match.url_name in self.OPEN and not match.namespace:
            return None
        if request.path.startswith("/api/"):
            detail = "This is a one-time password. Open the page /password/ and choose your own."
            body = {"type": "about:blank", "title": "permission denied", "status": 403, "detail": detail}
            return JsonResponse(body, status=403, content_type="application/problem+json")
        return redirect("password")


def choose_tenant(request: HttpRequest, name: str) -> Tenant | None:
    """Act in this tenant from the next page on; None where the user has no role there."""
    tenant = tenant_named(request.user, name) if isinstance(request.user, User) else None
    if tenant is not None:
        request.session["tenant"] = tenant.name
        set_tenant(request, tenant)
    return tenant
