"""HTTP/1.1 for the double: reads requests off one connection, writes answers, and does the faults to them."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable, Mapping
from email.utils import formatdate
from typing import Any, Protocol, cast

from inventory.doubles.accounts import error
from inventory.doubles.answers import Answer
from inventory.doubles.faults import Fault, FaultKind

_REASON = {200: "OK", 201: "CREATED", 204: "NO CONTENT", 302: "FOUND", 502: "Bad Gateway"}


def page(title: str) -> bytes:
    """A web page, as web servers and proxies answer of their own accord."""
    return f"<!doctype html>\n<html lang=en><title>{title}</title><h1>{title}</h1></html>\n".encode()


class Behind(Protocol):
    """What a connection needs of the double behind it."""

    loop: asyncio.AbstractEventLoop
    open: set[asyncio.Transport]
    requests: deque[tuple[str, str, str]]
    clock_skew: float

    def fault(self, method: str, path: str, tenant: str) -> Fault | None: ...

    def respond(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer: ...


class Wire(asyncio.Protocol):
    """One connection to the double."""

    def __init__(self, double: Behind) -> None:
        self._double = double
        self._buffer = b""
        self._transport: asyncio.Transport
        self._is_stuck = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._double.open.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._double.open.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        while not self._is_stuck:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            lines = self._buffer[:end].decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            length = int(headers.get("content-length", 0))
            if len(self._buffer) < end + 4 + length:
                return
            body = self._buffer[end + 4 : end + 4 + length]
            self._buffer = self._buffer[end + 4 + length :]
            method, target, _ = lines[0].split(" ", 2)
            self._handle(method, target.removeprefix("/api/v3.1"), headers, body)

    def _handle(self, method: str, target: str, headers: dict[str, str], body: bytes) -> None:
        double = self._double
        tenant = headers.get("tenant", "")
        double.requests.append((method, target, tenant))
        fault = double.fault(method, target, tenant)
        if fault is not None:
            self._strike(fault, lambda: double.respond(method, target, headers, body))
        else:
            self._send(*double.respond(method, target, headers, body))

    def _send(self, status: int, content: Any, extra: str = "") -> None:
        self._transport.write(self._render(status, content, extra))

    def _render(self, status: int, content: Any, extra: str = "") -> bytes:
        is_page = isinstance(content, bytes)
        body = content if is_page else b"" if content is None else json.dumps(content).encode() + b"\n"
        kind = "text/html; charset=utf-8" if is_page else "application/json"
        date = formatdate(time.time() + self._double.clock_skew, usegmt=True)
        length = "" if status == 204 else f"Content-Length: {len(body)}\r\n"
        head = f"HTTP/1.1 {status} {_REASON.get(status, 'X')}\r\nDate: {date}\r\nContent-Type: {kind}\r\n{length}{extra}\r\n"
        return head.encode("latin-1") + body

    def _strike(self, fault: Fault, respond: Callable[[], Answer]) -> None:
        """Do what the fault says; what is not listed here is a plain wrong answer."""
        kind = fault.kind
        if kind in (FaultKind.LOST_AFTER_WRITE, FaultKind.ERROR_AFTER_WRITE):
            respond()
        if kind is FaultKind.HANG:
            self._is_stuck = True
        elif kind in (FaultKind.RESET, FaultKind.LOST_AFTER_WRITE):
            self._transport.abort()
        elif kind is FaultKind.SLOW:
            self._double.loop.call_later(fault.seconds, lambda: self._send(*respond()))
        elif kind is FaultKind.DRIP:
            self._is_stuck = True
            self._drip(self._render(*respond()), 0)
        elif kind is FaultKind.HALF_REPLY:
            whole = self._render(*respond())
            self._transport.write(whole[:-3])
            self._transport.close()
        elif kind is FaultKind.NOT_HTTP:
            self._transport.write(b"SSH-2.0-OpenSSH_9.2p1\r\n")
            self._transport.close()
        elif kind is FaultKind.HUGE:
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")
            self._transport.write(b"[" + b'"more",' * 2_000_000)
        elif kind is FaultKind.REDIRECT:
            self._send(302, page("Found"), "Location: http://elsewhere.example/\r\n")
        else:
            self._send(*_WRONG[kind])

    def _drip(self, rest: bytes, at: int) -> None:
        if at < len(rest) and not self._transport.is_closing():
            self._transport.write(rest[at : at + 1])
            self._double.loop.call_later(0.05, self._drip, rest, at + 1)


_WRONG: dict[FaultKind, Answer] = {
    FaultKind.HTML: (200, page("Log in")),
    FaultKind.BAD_GATEWAY: (502, page("502 Bad Gateway")),
    FaultKind.MAINTENANCE: error(
        503,
        "maintenance_mode_active",
        "Your request was rejected since Cloudify Manager is currently in maintenance mode",
    ),
    FaultKind.ERROR: error(
        500, "internal_server_error", "Internal error occurred in manager REST server - KeyError: 'x'"
    ),
    FaultKind.ERROR_AFTER_WRITE: error(500, "internal_server_error", "Timed out waiting for the workflow to complete"),
    FaultKind.UNAUTHORIZED: error(401, "unauthorized_error", "User unauthorized: Token is expired"),
    FaultKind.FORBIDDEN: error(403, "forbidden_error", "Authorization failed: tenant not provided"),
    FaultKind.WRONG_SHAPE: (200, {"hello": ["world"]}),
}
