"""One HTTP conversation with one checked address: connect, verify, send, read within limits; knows nothing of what v3.1 means.

Uses urllib3's connections directly, one per client: no proxies or settings from the environment, no redirects, no retries
of its own except once for a read whose kept connection had meanwhile been closed.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, BinaryIO

import urllib3.connection
import urllib3.exceptions
from urllib3.response import HTTPResponse

from inventory.connectors.address import Address, Timeouts, Trust, TrustMode
from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.policy import EndpointPolicy, Place, resolve
from inventory.connectors.tls_words import explain_tls

Body = bytes | BinaryIO | None
SocketOptions = Iterable[tuple[int, int, int | bytes]]
_BASE_HEADERS = {"User-Agent": "deployon", "Accept": "application/json"}


class _TooLargeError(Exception):
    """The reply passed its size limit."""


_FAILURES = (OSError, http.client.HTTPException, urllib3.exceptions.HTTPError, ValueError, _TooLargeError)
"""All that sending and reading can raise, TLS and time-outs (both OSError) included."""


@dataclass(frozen=True)
class Reply:
    """What came back: status, headers (any case) and the whole body, already within its size limit."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Deadline:
    """When the present request must be over, on the monotonic clock; one per transport, shared with its socket."""

    at: float = field(default=0.0)

    def remaining(self) -> float:
        """Seconds left; raises TimeoutError when there are none."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time for this request is over")
        return left


class _TimedReader(io.RawIOBase):
    """Reads a socket such that every single read ends by the deadline: a server that drips bytes cannot hold us."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._deadline.remaining())
        return self._sock.recv_into(buffer)


class _TimedResponse(http.client.HTTPResponse):
    """A response that reads through a deadline, and keeps what keeps the socket alive."""

    def __init__(self, sock: socket.socket, deadline: Deadline, method: str | None = None) -> None:
        super().__init__(sock, method=method)
        self._whole = self.fp  # closing it would end the socket's own count of readers
        self.fp = io.BufferedReader(_TimedReader(sock, deadline))

    def _close_conn(self) -> None:
        super()._close_conn()  # type: ignore[misc]
        self._whole.close()


class _CheckedMixin:
    """Makes a urllib3 connection dial only checked places, and read by a deadline."""

    places: tuple[Place, ...]
    connect_seconds: float
    deadline: Deadline
    socket_options: SocketOptions | None
    sock: Any

    def _new_conn(self) -> socket.socket:
        return dial(self.places, min(self.connect_seconds, self.deadline.remaining()), self.socket_options or ())

    def response_class(
        self, sock: socket.socket, debuglevel: int = 0, method: str | None = None, url: str | None = None
    ) -> _TimedResponse:
        return _TimedResponse(sock, self.deadline, method)


class _PlainConnection(_CheckedMixin, urllib3.connection.HTTPConnection):  # type: ignore[misc]
    pass


class _TlsConnection(_CheckedMixin, urllib3.connection.HTTPSConnection):  # type: ignore[misc]
    pass


def dial(places: tuple[Place, ...], seconds: float, options: SocketOptions = ()) -> socket.socket:
    """A TCP connection to the first place that answers, within `seconds` in all; raises OSError of the last one tried."""
    end = time.monotonic() + seconds
    failure: OSError = TimeoutError("no time left to connect")
    for index, place in enumerate(places):
        left = end - time.monotonic()
        if left <= 0:
            break
        sock = socket.socket(place.family, socket.SOCK_STREAM)
        try:
            for option in options:
                sock.setsockopt(*option)
            sock.settimeout(left / (len(places) - index))
            sock.connect(place.sockaddr)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


def tls_context(trust: Trust) -> ssl.SSLContext:
    """The TLS settings for a kind of trust. Built once each: loading certificates costs more than a whole request."""
    if trust.mode is TrustMode.BUNDLE:
        return _bundle_context(trust.ca_bundle)
    return _verifying_context() if trust.mode is TrustMode.SYSTEM else unverified_context()


@lru_cache(maxsize=1)
def _verifying_context() -> ssl.SSLContext:
    return _modern(ssl.create_default_context())


@lru_cache(maxsize=256)
def _bundle_context(pem: str) -> ssl.SSLContext:
    try:
        return _modern(ssl.create_default_context(cadata=pem))
    except (ssl.SSLError, ValueError):
        raise ManagerError(
            ErrorKind.INPUT, "The CA bundle of this manager cannot be read. Paste its certificates again as PEM text."
        ) from None


@lru_cache(maxsize=1)
def unverified_context() -> ssl.SSLContext:
    """For pinned certificates, which are compared after the handshake, and for those that are declared insecure."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return _modern(context)


def _modern(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class Transport:
    """One kept connection to one address, for one thread at a time. The name is resolved and checked when it connects."""

    def __init__(self, address: Address, policy: EndpointPolicy, timeouts: Timeouts | None = None) -> None:
        self.address = address
        self.requests_sent = 0
        self._policy = policy
        self._timeouts = timeouts or Timeouts()
        self._deadline = Deadline()
        self._places: tuple[Place, ...] = ()
        self._connection: _PlainConnection | _TlsConnection | None = None
        self._was_sent = False  # whether any byte of the present request may have left

    def close(self) -> None:
        """Let go of the connection; the transport may be used again."""
        if self._connection is not None:
            self._connection.close()

    def request(
        self, method: str, path: str, headers: Mapping[str, str], body: Body = None, seconds: float | None = None
    ) -> Reply:
        """Send one request and read its whole reply within `seconds`. Raises ManagerError when there is none."""
        self._deadline.at = time.monotonic() + (seconds or self._timeouts.read)
        connection = self._ready()
        is_kept = connection.sock is not None
        try:
            return self._exchange(connection, method, path, headers, body)
        except _FAILURES as error:
            lost = self._lost(error, method)
            if not (is_kept and method == "GET" and isinstance(error, ConnectionError)):
                raise lost from None
        try:
            return self._exchange(self._ready(), method, path, headers, body)
        except _FAILURES as error:
            raise self._lost(error, method) from None

    def _ready(self) -> _PlainConnection | _TlsConnection:
        if self._connection is None:
            if not self._places:
                self._places = resolve(self.address.endpoint, self.address.port, self._policy)
            self._connection = self._build()
        elif self._connection.sock is not None and not self._connection.is_connected:
            self._connection.close()  # the other side closed it while it was idle
        return self._connection

    def _build(self) -> _PlainConnection | _TlsConnection:
        address = self.address
        connection: _PlainConnection | _TlsConnection
        if address.is_tls:
            context = tls_context(address.trust)
            connection = _TlsConnection(
                address.endpoint,
                address.port,
                ssl_context=context,
                cert_reqs=context.verify_mode,
                assert_hostname=None if context.check_hostname else False,
                assert_fingerprint=address.trust.fingerprint or None,
            )
        else:
            connection = _PlainConnection(address.endpoint, address.port)
        connection.places = self._places
        connection.connect_seconds = self._timeouts.connect
        connection.deadline = self._deadline
        return connection

    def _exchange(
        self,
        connection: _PlainConnection | _TlsConnection,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Body,
    ) -> Reply:
        self._was_sent = False
        if connection.sock is None:
            connection.connect()
        self._was_sent = True
        connection.sock.settimeout(self._deadline.remaining())
        self.requests_sent += 1
        try:
            connection.request(
                method, path, body, {**_BASE_HEADERS, **headers}, preload_content=False, decode_content=True
            )
        except (BrokenPipeError, ConnectionResetError):
            # A server may refuse a large body before it has read it all: what it said is better than "connection lost".
            with contextlib.suppress(*_FAILURES):
                return self._read(connection)
            raise
        return self._read(connection)

    def _read(self, connection: _PlainConnection | _TlsConnection) -> Reply:
        connection.timeout = self._deadline.remaining()
        response: HTTPResponse = connection.getresponse()
        limit = self._timeouts.max_reply_bytes
        try:
            body = response.read(limit + 1)
            if len(body) > limit:
                raise _TooLargeError
        except BaseException:
            response.close()
            raise
        return Reply(response.status, response.headers, body)

    def _lost(self, error: Exception, method: str) -> ManagerError:
        """The connection is of no further use, nor what its name led to; say in words what happened."""
        self.close()
        self._connection, self._places = None, ()
        was_connected = self._was_sent
        is_unknown = was_connected and method != "GET"
        where = self.address.where
        if isinstance(error, _TooLargeError):
            text = f"{where} sent a reply larger than {self._timeouts.max_reply_bytes} bytes; it was not read. Is this a manager?"
            return ManagerError(ErrorKind.BROKEN, text, is_unknown=is_unknown)
        if not was_connected:
            if isinstance(error, (ssl.SSLError, urllib3.exceptions.SSLError)):
                return ManagerError(ErrorKind.UNREACHABLE, explain_tls(error, self.address))
            return ManagerError(ErrorKind.UNREACHABLE, explain_no_connection(error, where))
        return ManagerError(
            ErrorKind.BROKEN if _is_malformed(error) else ErrorKind.UNREACHABLE,
            _explain_lost(error, where),
            is_unknown=is_unknown,
        )


def explain_no_connection(error: Exception, where: str) -> str:
    """Why no TCP connection came to be, and what to do."""
    if isinstance(error, ConnectionRefusedError):
        return (
            f"{where} refuses connections: no manager listens there. Check the port, and that the manager is running."
        )
    if isinstance(error, TimeoutError):
        return f"{where} did not answer in time. Check the address, and that no firewall stands between this portal and it."
    if isinstance(error, ConnectionError):
        return f"{where} broke the connection off while it was being made. Check the protocol (http or https) and the port."
    return f"{where} cannot be reached from this portal (no route). Check the address and the network."


def _explain_lost(error: Exception, where: str) -> str:
    if isinstance(error, (TimeoutError, urllib3.exceptions.ReadTimeoutError)):
        return f"{where} accepted the request but did not answer in time. It may be overloaded or hanging; look at the manager."
    if isinstance(error, (http.client.BadStatusLine, http.client.LineTooLong)) and not isinstance(
        error, ConnectionError
    ):
        return f"{where} answered, but not in HTTP. Check the port and the protocol (http or https)."
    if _is_malformed(error):
        return f"{where} broke off in the middle of a reply. Try again; if it stays so, look at the manager or a proxy before it."
    return f"{where} closed the connection without an answer. Try again; if it stays so, look at the manager."


def _is_malformed(error: Exception) -> bool:
    if isinstance(error, (ConnectionError, OSError)):
        return False
    if isinstance(error, urllib3.exceptions.ReadTimeoutError):
        return False
    return isinstance(error, (http.client.HTTPException, urllib3.exceptions.HTTPError, ValueError))
