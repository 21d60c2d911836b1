"""Fetches a file from an address that a person or a blueprint names: checked addresses only, within limits, its login told to nobody."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from inventory.connectors.address import Address, Timeouts
from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.policy import EndpointPolicy
from inventory.connectors.transport import Reply, Transport

MOST_BYTES = 50 << 20
MOST_REDIRECTS = 5
PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True)
class Fetched:
    """What lay there, and what it is called there."""

    content: bytes
    file_name: str


@dataclass(frozen=True)
class _Place:
    """A URL taken apart; `login` is the value of an Authorization header, or ""."""

    scheme: str
    host: str
    port: int
    path: str
    login: str

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host.lower(), self.port

    @property
    def shown(self) -> str:
        """For people: without login and query."""
        return f"{self.scheme}://{self.host}{'' if self.port == PORTS[self.scheme] else f':{self.port}'}{self.path.partition('?')[0]}"


def fetch(url: str, policy: EndpointPolicy, *, most_bytes: int = MOST_BYTES, seconds: float = 120.0) -> Fetched:
    """The file at an http or https address; a user and a token before the host are sent to that host alone.

    ManagerError in words that hold neither login nor query: input (no such address), credential, gone, unreachable, broken.
    """
    place = _read(url)
    timeouts = Timeouts(read=seconds, max_reply_bytes=most_bytes)
    for _ in range(MOST_REDIRECTS + 1):
        reply = _get(place, policy, timeouts)
        if reply.status not in (301, 302, 303, 307, 308):
            break
        place = _follow(place, reply)
    else:
        raise ManagerError(ErrorKind.BROKEN, f"{place.shown} leads from one address to the next without an end.")
    if reply.status != 200:
        raise _refusal(place, reply)
    return Fetched(reply.body, unquote(place.path.partition("?")[0].rpartition("/")[2]) or "archive")


def without_login(url: str) -> str:
    """The address as it may be kept and shown: without user, password, token, query and fragment."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return ""
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def _read(url: str) -> _Place:
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise ManagerError(
            ErrorKind.INPUT, "The address of the archive cannot be read. Give a whole https URL."
        ) from None
    if parts.scheme.lower() not in PORTS or not parts.hostname:
        raise ManagerError(
            ErrorKind.INPUT, "The address of an archive begins with https:// (or http://) and names a host. Correct it."
        )
    login = ""
    if parts.username is not None or parts.password is not None:
        pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        login = "Basic " + base64.b64encode(pair.encode()).decode("ascii")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if any(character <= " " or character == "\x7f" for character in path) or not path.isascii():
        raise ManagerError(ErrorKind.INPUT, "The address of the archive holds characters that an address cannot have.")
    scheme = parts.scheme.lower()
    return _Place(scheme, parts.hostname, port or PORTS[scheme], path, login)


def _get(place: _Place, policy: EndpointPolicy, timeouts: Timeouts) -> Reply:
    try:
        address = Address(place.host, place.port, place.scheme)
    except ValueError:
        raise ManagerError(ErrorKind.INPUT, f"{place.shown} names no host that there can be.") from None
    headers = {"Accept": "*/*", **({"Authorization": place.login} if place.login else {})}
    transport = Transport(address, policy, timeouts)
    try:
        return transport.request("GET", place.path, headers)
    finally:
        transport.close()


def _follow(place: _Place, reply: Reply) -> _Place:
    target = reply.headers.get("Location") or ""
    if not target:
        raise ManagerError(ErrorKind.BROKEN, f"{place.shown} leads elsewhere and does not say where.")
    here = f"{place.scheme}://{place.host}:{place.port}{place.path}" if ":" not in place.host else place.shown
    found = _read(urljoin(here, target))
    if place.scheme == "https" and found.scheme == "http":
        raise ManagerError(ErrorKind.INPUT, f"{place.shown} leads to an address without https, which is not followed.")
    if found.origin == place.origin and not found.login:
        return _Place(found.scheme, found.host, found.port, found.path, place.login)
    return found


def _refusal(place: _Place, reply: Reply) -> ManagerError:
    if reply.status in (401, 403):
        text = f"{place.shown} refuses the login ({reply.status}). Check the user and the token, and whether they may read it."
        return ManagerError(ErrorKind.CREDENTIAL, text, reply.status)
    if reply.status in (404, 410):
        text = f"There is nothing at {place.shown} ({reply.status}). Check the address; a private one needs a user and a token."
        return ManagerError(ErrorKind.GONE, text, reply.status)
    kind = ErrorKind.BROKEN if reply.status < 500 else ErrorKind.UNREACHABLE
    return ManagerError(
        kind, f"{place.shown} answered {reply.status} instead of a file. Try again later.", reply.status
    )
