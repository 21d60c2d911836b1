"""Doubles on loopback, and clients that reach them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from inventory.connectors.address import Address, Credential, Timeouts
from inventory.connectors.manager import ManagerClient
from inventory.connectors.policy import EndpointPolicy
from inventory.doubles import ManagerDouble

LOOPBACK = EndpointPolicy.of(["127.0.0.1/32", "::1/128"])
ALICE = Credential.by_token("ctok-alice-0123456789")
BOB = Credential.by_token("ctok-bob-0123456789")
QUICK = Timeouts(connect=2.0, read=2.0, upload=4.0)
ARCHIVE = b"\x1f\x8b" + b"a small archive"


@pytest.fixture
def double() -> Iterator[ManagerDouble]:
    """A manager that speaks http."""
    with ManagerDouble() as double:
        yield double


@pytest.fixture
def secure() -> Iterator[ManagerDouble]:
    """A manager that speaks https, with a good certificate of an authority of its own."""
    with ManagerDouble.secure() as double:
        yield double


@pytest.fixture
def connect() -> Iterator[Callable[..., ManagerClient]]:
    """Makes clients that end with the test: `connect(double)`, or `connect(address, credential=...)`."""
    clients = []

    def make(
        to: ManagerDouble | Address, credential: Credential | None = ALICE, timeouts: Timeouts = QUICK
    ) -> ManagerClient:
        address = to.address() if isinstance(to, ManagerDouble) else to
        clients.append(ManagerClient(address, credential, LOOPBACK, timeouts))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def bare_server() -> Iterator[Callable[[bytes], tuple[int, list[bytes]]]]:
    """A socket that answers every connection with the same bytes: `port, received = bare_server(reply)`."""
    opened: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def start(reply: bytes) -> tuple[int, list[bytes]]:
        listener = socket.create_server(("127.0.0.1", 0))
        opened.append(listener)
        received: list[bytes] = []

        def serve() -> None:
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                with sock:
                    sock.settimeout(5)
                    received.append(sock.recv(65536))
                    sock.sendall(reply)

        threads.append(threading.Thread(target=serve, daemon=True))
        threads[-1].start()
        return listener.getsockname()[1], received

    yield start
    for listener in opened:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for thread in threads:
        thread.join(5)
