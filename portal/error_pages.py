"""Error pages in our own look, each with what to do; problem details where the address is of an API."""

from __future__ import annotations

import sys

from django.core.exceptions import DisallowedHost, SuspiciousOperation, TooManyFieldsSent
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from accounts.models import User
from accounts.permissions import public


def show(request: HttpRequest, status: int, title: str, what: str, remedy: str, raw: str = "") -> HttpResponse:
    """The page; alone, without navigation, where nobody is signed in or the installation itself is in trouble."""
    if request.path.startswith("/api/"):
        detail = f"{what} {remedy}"
        body = {"type": "about:blank", "title": title.lower(), "status": status, "detail": detail}
        return JsonResponse(body, status=status, content_type="application/problem+json")
    is_lone = status in (400, 500, 503) or not isinstance(getattr(request, "user", None), User)
    shown = {"title": title, "what": what, "remedy": remedy, "raw": raw, "status": status, "is_lone": is_lone}
    # Without the request: what the surroundings of a page read may be the very thing that fails.
    if is_lone:
        shown["csp_nonce"] = getattr(request, "csp_nonce", "")
        return HttpResponse(render_alone(shown), status=status)
    return render(request, "portal/error.html", shown, status=status)


def render_alone(shown: dict[str, object]) -> str:
    """The page by itself: no session, no database."""
    return render_to_string("portal/error.html", shown)


@public
def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404."""
    what = "There is nothing at this address, or it belongs to a tenant that is not yours."
    remedy = (
        "Check the address. If somebody gave it to you, choose the tenant at the top first, or ask them which it is."
    )
    return show(request, 404, "Not found", what, remedy)


@public
def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403."""
    what = str(exception) or "Your role does not allow this here."
    remedy = "Nothing was changed. Choose another tenant at the top, or ask a system administrator for a role that allows it."
    return show(request, 403, "Not allowed", what, remedy)


@public
def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400."""
    what, remedy = (
        "The browser sent something that this page cannot read.",
        "Go back, reload the page and try again. Nothing was changed.",
    )
    if isinstance(exception, DisallowedHost):
        what = "This installation does not answer under that name."
        remedy = "Use its own address, or let the administrator add the name to ALLOWED_HOSTS."
    elif isinstance(exception, TooManyFieldsSent):
        what = "The form holds more fields than this installation takes."
        remedy = "Do it in smaller parts. Nothing was changed."
    raw = type(exception).__name__ if isinstance(exception, SuspiciousOperation) else ""
    return show(request, 400, "Not understood", what, remedy, raw)


@public
def server_error(request: HttpRequest) -> HttpResponse:
    """500; 503 where the database is away."""
    if isinstance(sys.exc_info()[1], (OperationalError, InterfaceError)):
        return no_database(request)
    what = "DeployOn met an error that nobody foresaw, at this page. What runs goes on."
    remedy = (
        "Try again in a moment. If it stays, give the administrator the time and the address; the log has the cause."
    )
    return show(request, 500, "An error in DeployOn", what, remedy)


def no_database(request: HttpRequest) -> HttpResponse:
    """503. Not a view of its own: whatever needs the database may end here."""
    what = "The database of this installation did not answer. What runs at remote managers goes on, and is followed when it is back."
    remedy = (
        "Try again in a moment. If it stays, let the administrator look at the database server; the log has its words."
    )
    response = show(request, 503, "No database", what, remedy)
    response["Retry-After"] = "5"
    return response


@public
def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 where a form did not come from one of our pages, or after the session was renewed."""
    what = "The form was not accepted: it is from an older session, or the browser blocks cookies. Nothing was changed."
    remedy = "Go back, reload the page, and send the form again. If it stays, allow cookies for this address."
    return show(request, 403, "The form is out of date", what, remedy, reason)
