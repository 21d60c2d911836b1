"""A way through a host to a service that it reaches: a port of this machine's loopback, for as long as the block lasts."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Iterator
from typing import Any

import paramiko

from inventory.connectors.ssh.values import HostError, HostErrorKind

SECONDS = 15.0
PIECE = 64 * 1024


@contextlib.contextmanager
def way(transport: paramiko.Transport, where: str, address: str, port: int) -> Iterator[int]:
    """The port that leads there. The far side is reached once before, so that what keeps it is told in words: HostError."""
    _open(transport, where, address, port).close()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.5)
    has_ended = threading.Event()

    def serve() -> None:
        while not has_ended.is_set():
            with contextlib.suppress(TimeoutError):
                near, _ = listener.accept()
                threading.Thread(
                    target=_carry, args=(transport, where, address, port, near, has_ended), daemon=True
                ).start()

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    try:
        yield listener.getsockname()[1]
    finally:
        has_ended.set()
        server.join(5)
        listener.close()


def _open(transport: paramiko.Transport, where: str, address: str, port: int) -> paramiko.Channel:
    try:
        return transport.open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=SECONDS)
    except paramiko.ChannelException as error:
        if error.code == 1:  # administratively prohibited
            text = f"sshd on {where} forbids forwarding (AllowTcpForwarding), by which {address} would be asked from there. Allow it."
            raise HostError(HostErrorKind.FAILED, text) from None
        text = f"{where} does not reach {address} on port {port}. Look at that service, its address, and firewalls between them."
        raise HostError(HostErrorKind.FAILED, text) from None
    except (paramiko.SSHException, EOFError, OSError):
        text = f"{where} does not reach {address} on port {port} within {SECONDS:.0f} s. Look at address and firewalls."
        raise HostError(HostErrorKind.FAILED, text) from None


def _carry(
    transport: paramiko.Transport, where: str, address: str, port: int, near: socket.socket, has_ended: threading.Event
) -> None:
    """Both directions until one side has ended."""
    try:
        far = _open(transport, where, address, port)
    except HostError:
        near.close()
        return
    with near, contextlib.closing(far), contextlib.suppress(OSError, EOFError):
        while not has_ended.is_set():
            sides: list[Any] = [near, far]  # both have a fileno
            ready, _, _ = select.select(sides, [], [], 0.5)
            if near in ready:
                piece = near.recv(PIECE)
                if not piece:
                    return
                far.sendall(piece)
            if far in ready:
                piece = far.recv(PIECE)
                if not piece:
                    return
                near.sendall(piece)
