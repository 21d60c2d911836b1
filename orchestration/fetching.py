"""Archives that lie elsewhere: fetched once by this portal, from addresses that it may call, within limits of size and time."""

from __future__ import annotations

import base64
import dataclasses
from urllib.parse import SplitResult, unquote, urljoin, urlsplit, urlunsplit

from django.conf import settings

from inventory.connectors.address import Address, Timeouts
from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.policy import policy_from_settings
from inventory.connectors.transport import Reply, Transport

SECONDS = 60.0
REDIRECTS = 5
MOVED = (301, 302, 303, 307, 308)
PORTS = {"http": 80, "https": 443}
REASONS = {401: "Unauthorized", 403: "Forbidden", 404: "File not found", 410: "Gone", 429: "Too many requests"}


class FetchError(Exception):
    """The archive could not be fetched; the text says why and names no secret."""


@dataclasses.dataclass(frozen=True)
class Login:
    """Who we are where a private archive lies; it goes to that host alone, and is kept nowhere."""

    username: str
    token: str = dataclasses.field(repr=False)

    @property
    def header(self) -> str:
        """The value of `Authorization`."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.token}".encode()).decode()


def readable(url: str) -> str:
    """The URL without user, password, query and fragment, any of which may hold a secret; "" for what is none."""
    try:
        return _said(_split(url)) if url else ""
    except FetchError:
        return ""


def fetch_archive(url: str, login: Login | None = None) -> bytes:
    """The bytes at a URL. User and password in the URL do as a login. Raises FetchError."""
    here = _split(url)
    if login is None and here.username:
        login = Login(unquote(here.username), unquote(here.password or ""))
    home = (here.scheme, here.hostname, here.port)
    for _ in range(REDIRECTS + 1):
        is_home = (here.scheme, here.hostname, here.port) == home
        reply = _ask(here, login if is_home else None)
        target = reply.headers.get("Location", "")
        if reply.status not in MOVED or not target:
            return _content(reply, here)
        there = _split(urljoin(urlunsplit(here), target))
        if here.scheme == "https" and there.scheme == "http":
            raise FetchError(
                f"{_said(here)} leads from https to http, which is not followed. Name the https address itself."
            )
        here = there
    raise FetchError(f"{readable(url)} leads on more than {REDIRECTS} times. Name the address of the archive itself.")


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url.strip())
        known = parts.scheme in PORTS and parts.hostname and (parts.port or True)
    except ValueError:
        known = False
    if not known:
        raise FetchError("The URL of an archive begins with https:// or http:// and names a host. Check its spelling.")
    return parts


def _where(parts: SplitResult) -> str:
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    return f"{host}:{parts.port}" if parts.port else host


def _said(parts: SplitResult) -> str:
    return urlunsplit((parts.scheme, _where(parts), parts.path, "", ""))


def _ask(parts: SplitResult, login: Login | None) -> Reply:
    """One request, at one checked address."""
    limit = int(settings.ARCHIVE_MAX_BYTES)
    try:
        address = Address(endpoint=parts.hostname or "", port=parts.port or PORTS[parts.scheme], protocol=parts.scheme)
    except ValueError as error:
        raise FetchError(f"{_said(parts)}: {error}") from None
    transport = Transport(address, policy_from_settings(), Timeouts(read=SECONDS, max_reply_bytes=limit))
    headers = {"Accept": "*/*"} | ({"Authorization": login.header} if login else {})
    path = urlunsplit(("", "", parts.path or "/", parts.query, ""))
    try:
        return transport.request("GET", path, headers, seconds=SECONDS)
    except ManagerError as error:
        raise FetchError(_explain(error, parts, limit)) from None
    except (UnicodeError, ValueError):
        raise FetchError(f"{_said(parts)}: the path holds characters that no URL has. Encode them with %.") from None
    finally:
        transport.close()


def _explain(error: ManagerError, parts: SplitResult, limit: int) -> str:
    host = parts.hostname
    if error.kind is ErrorKind.INPUT:
        return (
            f"{host} leads to an address that this portal must not call (this machine itself, a link-local, metadata, "
            "multicast or reserved address). If it is meant, an administrator can allow its network in ENDPOINT_NETWORKS."
        )
    if "larger than" in str(error):
        return f"The archive at {_said(parts)} is too large: at most {limit // (1024 * 1024)} MiB are taken (ARCHIVE_MAX_BYTES)."
    return f"{_said(parts)} was not fetched: {str(error).replace('the manager', 'that server')}"


def _content(reply: Reply, parts: SplitResult) -> bytes:
    """The body of a good reply."""
    if reply.status == 200:
        if not reply.body:
            raise FetchError(f"{_said(parts)} is empty. Name the address of an archive.")
        return reply.body
    reason = REASONS.get(reply.status, "Unexpected status")
    raise FetchError(
        f"{reply.status} {'Client' if reply.status < 500 else 'Server'} Error: {reason} for url: {_said(parts)}"
    )
