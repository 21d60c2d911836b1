"""Fetches a file from an address that a person or a blueprint names: checked addresses only, within limits, its login told to nobody."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from inventory.connectors.address import Address, Timeouts
from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.policy import EndpointPolicy
from inventory.connectors.transport import Reply, Transport

MOST_BYTES = 50 << 20
MOST_REDIRECTS = 5
PORTS = {"https": 443, "http": 80}
REDIRECTS = (301, 302, 303, 307, 308)


class Why(StrEnum):
    """What a fetch ended with, for who tells it in words of his own."""

    ADDRESS = "address"  # no address of the web, or none that there can be
    FORBIDDEN = "forbidden"  # an address that this portal must not call
    LED_ASTRAY = "led_astray"  # redirects without an end, to nowhere, or from https to http
    LOST = "lost"  # no answer, or half of one
    TOO_LARGE = "too_large"
    STATUS = "status"  # an answer other than 200
    EMPTY = "empty"


class FetchError(ManagerError):
    """A file that was not fetched: why, and the address without what is secret in it."""

    def __init__(self, why: Why, kind: ErrorKind, message: str, shown: str = "", status: int | None = None) -> None:
        super().__init__(kind, message, status)
        self.why = why
        self.shown = shown


@dataclass(frozen=True)
class Login:
    """Who we are where a private file lies; it goes to that host alone, and is kept nowhere."""

    username: str
    token: str = field(default="", repr=False)

    @property
    def header(self) -> str:
        """The value of `Authorization`."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.token}".encode()).decode("ascii")


@dataclass(frozen=True)
class Fetched:
    """What lay there, and what it is called there."""

    content: bytes
    file_name: str


@dataclass(frozen=True)
class _Place:
    """A URL taken apart; `path` with its query, which may hold a secret."""

    scheme: str
    host: str
    port: int
    path: str = field(repr=False)
    login: Login | None = None

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host.lower(), self.port

    @property
    def url(self) -> str:
        """Whole, but for the login."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}{'' if self.port == PORTS[self.scheme] else f':{self.port}'}{self.path}"

    @property
    def shown(self) -> str:
        """For people: without login and query."""
        return self.url.partition("?")[0]


def fetch(
    url: str,
    policy: EndpointPolicy,
    *,
    login: Login | None = None,
    most_bytes: int = MOST_BYTES,
    seconds: float = 120.0,
) -> Fetched:
    """The file at an http or https address. The login, or a user and a token before the host, goes to that host alone.

    FetchError in words that hold neither login nor query, its kind input (no such address), credential, gone, unreachable, broken.
    """
    place = _read(url, login)
    timeouts = Timeouts(read=seconds, max_reply_bytes=most_bytes)
    for _ in range(MOST_REDIRECTS + 1):
        reply = _get(place, policy, timeouts)
        if reply.status not in REDIRECTS:
            break
        place = _follow(place, reply)
    else:
        text = f"{place.shown} leads on more than {MOST_REDIRECTS} times, perhaps without an end. Name the address of the archive itself."
        raise FetchError(Why.LED_ASTRAY, ErrorKind.BROKEN, text, place.shown)
    if reply.status != 200:
        raise _refusal(place, reply.status)
    if not reply.body:
        text = f"{place.shown} is empty. Name the address of an archive."
        raise FetchError(Why.EMPTY, ErrorKind.INPUT, text, place.shown, 200)
    return Fetched(reply.body, unquote(place.path.partition("?")[0].rpartition("/")[2]) or "archive")


def without_login(url: str) -> str:
    """The address as it may be kept and shown: without user, password, token, query and fragment."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return ""
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def _read(url: str, login: Login | None = None) -> _Place:
    try:
        parts = urlsplit(url.strip())
        port, is_known = parts.port, parts.scheme.lower() in PORTS and bool(parts.hostname)
    except ValueError:
        port, is_known = None, False
    if not is_known:
        raise FetchError(
            Why.ADDRESS,
            ErrorKind.INPUT,
            "The URL of an archive begins with https:// or http:// and names a host. Check its spelling.",
        )
    if login is None and (parts.username is not None or parts.password is not None):
        login = Login(unquote(parts.username or ""), unquote(parts.password or ""))
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    scheme = parts.scheme.lower()
    place = _Place(scheme, parts.hostname or "", port or PORTS[scheme], path, login)
    if any(character <= " " or character == "\x7f" for character in path) or not path.isascii():
        text = f"{place.shown}: the address of the archive holds characters that no address has. Encode them with %."
        raise FetchError(Why.ADDRESS, ErrorKind.INPUT, text, place.shown)
    return place


def _get(place: _Place, policy: EndpointPolicy, timeouts: Timeouts) -> Reply:
    try:
        address = Address(place.host, place.port, place.scheme)
    except ValueError:
        text = f"{place.shown} names no host that there can be. Check its spelling."
        raise FetchError(Why.ADDRESS, ErrorKind.INPUT, text, place.shown) from None
    headers = {"Accept": "*/*", **({"Authorization": place.login.header} if place.login else {})}
    transport = Transport(address, policy, timeouts)
    try:
        return transport.request("GET", place.path, headers)
    except ManagerError as error:
        raise _failure(place, error, timeouts.max_reply_bytes) from None
    finally:
        transport.close()


def _failure(place: _Place, error: ManagerError, most_bytes: int) -> FetchError:
    """What the connection broke on, said of a file instead of a manager."""
    if error.kind is ErrorKind.INPUT:
        text = error.message.replace("Enter the manager's own address; if", "If")
        return FetchError(Why.FORBIDDEN, error.kind, text, place.shown)
    if "larger than" in error.message:
        most = f"{most_bytes >> 20} MiB" if most_bytes >> 20 else f"{most_bytes} bytes"
        text = f"The archive at {place.shown} is too large: larger than {most}, which is the most that is taken."
        return FetchError(Why.TOO_LARGE, ErrorKind.INPUT, text, place.shown)
    text = f"{place.shown} was not fetched: {error.message.replace('the manager', 'that server')}"
    return FetchError(Why.LOST, error.kind, text, place.shown)


def _follow(place: _Place, reply: Reply) -> _Place:
    target = reply.headers.get("Location") or ""
    if not target:
        text = f"{place.shown} leads elsewhere and does not say where. Name the address of the archive itself."
        raise FetchError(Why.LED_ASTRAY, ErrorKind.BROKEN, text, place.shown)
    found = _read(urljoin(place.url, target))
    if place.scheme == "https" and found.scheme == "http":
        text = f"{place.shown} leads from https to http, which is not followed. Name the https address itself."
        raise FetchError(Why.LED_ASTRAY, ErrorKind.INPUT, text, place.shown)
    if found.origin == place.origin and not found.login:
        return _Place(found.scheme, found.host, found.port, found.path, place.login)
    return found


def _refusal(place: _Place, status: int) -> FetchError:
    where = place.shown
    if status in (401, 403):
        kind = ErrorKind.CREDENTIAL
        text = f"{where} refuses the login ({status}). Check the user and the token, and whether they may read it."
    elif status in (404, 410):
        kind = ErrorKind.GONE
        text = f"There is nothing at {where} ({status}). Check the address; a private one needs a user and a token."
    else:
        kind = ErrorKind.BROKEN if status < 500 else ErrorKind.UNREACHABLE
        text = f"{where} answered {status} instead of a file. Try again later."
    return FetchError(Why.STATUS, kind, text, where, status)
