"""Archives that lie elsewhere: fetched once by this portal, told in the words that clients of v3.1 know."""

from __future__ import annotations

from django.conf import settings

from inventory.connectors import fetching
from inventory.connectors.fetching import Login, Why
from inventory.connectors.policy import policy_from_settings

SECONDS = 60.0
REASONS = {401: "Unauthorized", 403: "Forbidden", 404: "File not found", 410: "Gone", 429: "Too many requests"}


class FetchError(Exception):
    """The archive could not be fetched; the text says why and names no secret."""


def readable(url: str) -> str:
    """The URL without user, password, query and fragment, any of which may hold a secret; "" for what is none."""
    found = fetching.without_login(url.strip())
    return found if found.partition("://")[0].lower() in fetching.PORTS else ""


def fetch_archive(url: str, login: Login | None = None) -> bytes:
    """The bytes at a URL. User and password in the URL do as a login. Raises FetchError."""
    limit = int(settings.ARCHIVE_MAX_BYTES)
    try:
        found = fetching.fetch(url, policy_from_settings(), login=login, most_bytes=limit, seconds=SECONDS)
    except fetching.FetchError as error:
        raise FetchError(_words(error)) from None
    return found.content


def _words(error: fetching.FetchError) -> str:
    """A genuine manager tells a bad answer as its HTTP client does; all else is told as everywhere here."""
    if error.why is Why.STATUS and error.status:
        side = "Client" if error.status < 500 else "Server"
        return f"{error.status} {side} Error: {REASONS.get(error.status, 'Unexpected status')} for url: {error.shown}"
    if error.why is Why.TOO_LARGE:
        return f"{error} The limit is the setting ARCHIVE_MAX_BYTES."
    return str(error)
