"""How views say what they need: a decorator for pages, a permission class for the APIs; the decision itself is roles.may."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.roles import may

if TYPE_CHECKING:  # importing views here would load the settings of the framework, which name this module
    from rest_framework.views import APIView

View = Callable[..., HttpResponseBase]


def needs(action: str, **by_method: str) -> Callable[[View], View]:
    """Page needs `action` in the current tenant; `POST="..."` names another action for that method."""

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            wanted = by_method.get(request.method or "GET", action)
            if not may(request.user, wanted, request.tenant):  # type: ignore[attr-defined]
                where = request.tenant or "any tenant"  # type: ignore[attr-defined]
                raise PermissionDenied(
                    f"You may not do this ({wanted}) in {where}. Ask a system administrator for a role."
                )
            return view(request, *args, **kwargs)

        guarded.needs = {"*": action, **by_method}  # type: ignore[attr-defined]
        return guarded

    return decorate


def public(view: View) -> View:
    """Page that needs no login, on purpose."""
    view.needs = {"*": ""}  # type: ignore[attr-defined]
    return view


class MayInTenant(BasePermission):
    """API views have `needs`: an action, or {viewset action or HTTP method in capitals: action, "*": action}."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        needed = getattr(view, "needs", None)
        if needed is None:
            raise PermissionError(f"{type(view).__name__} does not say what it needs")
        if isinstance(needed, dict):
            keys = (getattr(view, "action", None), request.method, "*")
            needed = next((needed[key] for key in keys if key in needed), None)
        if needed is None:  # a method that the view does not serve: let it answer 405
            return bool(request.user.is_authenticated)
        if needed == "":
            return True
        return may(request.user, needed, getattr(request, "tenant", None))
