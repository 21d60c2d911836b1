"""One HTTP conversation with one checked address: connect, verify, send, read within limits; knows nothing of what v3.1 means.

Uses urllib3's connections directly, one per client: no proxies or settings from the environment, no redirects, no retries
of its own except once for a read whose kept connection had meanwhile been closed.
"""

from __future__ import annotations

import contextlib
import http.client
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

import urllib3.connection
import urllib3.exceptions
from urllib3.response import HTTPResponse

from inventory.connectors.address import Address, Timeouts
from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.policy import EndpointPolicy, Place, resolve
from inventory.connectors.sockets import Deadline, PlainConnection, TlsConnection, explain_no_connection
from inventory.connectors.tls import explain_tls, tls_context

Body = bytes | BinaryIO | None
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


class Transport:
    """One kept connection to one address, for one thread at a time. The name is resolved and checked when it connects."""

    def __init__(self, address: Address, policy: EndpointPolicy, timeouts: Timeouts | None = None) -> None:
        self.address = address
        self.requests_sent = 0
        self._policy = policy
        self._timeouts = timeouts or Timeouts()
        self._deadline = Deadline()
        self._places: tuple[Place, ...] = ()
        self._connection: PlainConnection | TlsConnection | None = None
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

    def _ready(self) -> PlainConnection | TlsConnection:
        if self._connection is None:
            if not self._places:
                self._places = resolve(self.address.endpoint, self.address.port, self._policy)
            self._connection = self._build()
        elif self._connection.sock is not None and not self._connection.is_connected:
            self._connection.close()  # the other side closed it while it was idle
        return self._connection

    def _build(self) -> PlainConnection | TlsConnection:
        address = self.address
        connection: PlainConnection | TlsConnection
        if address.is_tls:
            context = tls_context(address.trust)
            connection = TlsConnection(
                address.endpoint,
                address.port,
                ssl_context=context,
                cert_reqs=context.verify_mode,
                assert_hostname=None if context.check_hostname else False,
                assert_fingerprint=address.trust.fingerprint or None,
            )
        else:
            connection = PlainConnection(address.endpoint, address.port)
        connection.places = self._places
        connection.connect_seconds = self._timeouts.connect
        connection.deadline = self._deadline
        return connection

    def _exchange(
        self,
        connection: PlainConnection | TlsConnection,
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

    def _read(self, connection: PlainConnection | TlsConnection) -> Reply:
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
