"""Sockets that dial only checked places and read only until a deadline, and the urllib3 connections that stand on them."""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import urllib3.connection

from inventory.connectors.policy import Place

SocketOptions = Iterable[tuple[int, int, int | bytes]]


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


class PlainConnection(_CheckedMixin, urllib3.connection.HTTPConnection):  # type: ignore[misc]
    pass


class TlsConnection(_CheckedMixin, urllib3.connection.HTTPSConnection):  # type: ignore[misc]
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
