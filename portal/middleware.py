"""What holds for every request: the headers of pages, and which addresses are none."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse

from portal import error_pages

Respond = Callable[[HttpRequest], HttpResponse]


class ContentSecurityPolicy:
    """Only our own assets run; the one inline script (theme before first paint) carries `request.csp_nonce`."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        nonce = secrets.token_urlsafe(12)
        request.csp_nonce = nonce  # type: ignore[attr-defined]
        response = self.respond(request)
        response.setdefault(
            "Content-Security-Policy",
            "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
            f"script-src 'self' 'nonce-{nonce}'; object-src 'none'; base-uri 'self'; "
            "frame-ancestors 'none'; form-action 'self'",
        )
        return response


class NoNul:
    """An address with a NUL character is refused in words: no text here holds one, and PostgreSQL would refuse the question."""

    WHAT, REMEDY = (
        "The address holds a NUL character (%00), which no name or text here has.",
        "Remove it and try again.",
    )

    def __init__(self, respond: Respond) -> None:
        self.respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "%00" not in request.META.get("QUERY_STRING", "") and "\0" not in request.path_info:
            return self.respond(request)
        if request.path_info.startswith("/api/v3.1/"):
            body = {
                "error_code": "bad_parameters_error",
                "message": f"{self.WHAT} {self.REMEDY}",
                "server_traceback": None,
            }
            return JsonResponse(body, status=400)
        return error_pages.show(request, 400, "Not understood", self.WHAT, self.REMEDY)


class FormAddresses:
    """Who opens an address that only takes forms, such as by reloading after a refusal, is told so instead of seeing an empty page."""

    WHAT, REMEDY = (
        "This address takes what a form sends, and shows nothing by itself.",
        "Go back to the page with the form. Nothing was changed.",
    )

    def __init__(self, respond: Respond) -> None:
        self.respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.respond(request)
        if response.status_code != 405 or response.streaming or response.content or request.path.startswith("/api/"):
            return response
        shown = error_pages.show(request, 405, "Only by its form", self.WHAT, self.REMEDY)
        shown["Allow"] = response.get("Allow", "")
        return shown
