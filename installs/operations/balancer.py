"""HAProxy: looked at by its own checker before every reload, never restarted while it serves."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

from installs.operations.applying import Configure, Gate
from installs.rendering import haproxy
from installs.rendering.values import RenderedFile
from installs.wanted import Wanted
from inventory.connectors.ssh import Command, Host
from inventory.layout import Part
from runs.operations import Context, OperationError, operation

# name and status of each server, as HAProxy itself tells it
_STATES = """
import socket
connection = socket.socket(socket.AF_UNIX)
connection.settimeout(5)
connection.connect("/run/haproxy/admin.sock")
connection.sendall(b"show stat\\n")
text = b""
while part := connection.recv(65536):
    text += part
for line in text.decode().splitlines()[1:]:
    cells = line.split(",")
    if len(cells) > 17 and cells[1] not in ("FRONTEND", "BACKEND"):
        print(cells[0], cells[1], cells[17])
"""

# Argument: commands, a line each. Prints what HAProxy says to each: nothing where it obeys.
_TELL = """
import socket, sys
for line in sys.argv[1].splitlines():
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(5)
    connection.connect("/run/haproxy/admin.sock")
    connection.sendall(line.encode() + b"\\n")
    while part := connection.recv(65536):
        print(part.decode().strip())
"""
PAGES = "managers", "internal"  # the sections through which a manager is reached


def set_manager(host: Host, manager: str, state: str) -> None:
    """Have the HAProxy of this host treat a manager as `state`: drain, maint or ready. What it does not know it leaves alone."""
    lines = "\n".join(f"set server {section}/{manager} state {state}" for section in PAGES)
    host.run(Command("python3", "-c", _TELL, lines), codes=None, timeout=20)


@operation("haproxy.configure")
@dataclasses.dataclass(frozen=True)
class ConfigureHAProxy(Configure):
    """Have the load balancer at work on one host."""

    service: ClassVar[str] = "haproxy"
    units: ClassVar[tuple[str, ...]] = ("haproxy",)

    def files(self, context: Context, wanted: Wanted, host: Host) -> list[RenderedFile]:
        own = wanted.layout.host(self.host)
        shown = host.run(Command("ip", "-o", "address", "show", "to", own.private_address)).text.split()
        if len(shown) < 2:
            raise OperationError(
                f"No network interface of {self.host} has its private address {own.private_address}. Put it right there, or "
                "in the description of the cluster; then resume.",
                cause="address",
            )
        return haproxy.files(wanted.layout, own, wanted.passwords, interface=shown[1])

    def validate(self, wanted: Wanted, host: Host) -> None:
        host.run(Command("haproxy", "-c", "-f", haproxy.PATH))

    def tell(self, wanted: Wanted, host: Host, files: Sequence[RenderedFile]) -> None:
        units = ["haproxy", *(["keepalived"] if len(wanted.layout.having(Part.BALANCER)) > 1 else [])]
        host.run(Command("systemctl", "enable", *units))
        host.run(Command("systemctl", "reload-or-restart", *units))


@operation("haproxy.healthy")
@dataclasses.dataclass(frozen=True)
class HAProxyIsHealthy(Gate):
    """It sees every manager, the leader of the database, and every broker."""

    def describe(self) -> str:
        return f"Wait until {self.host} sees every manager and the database"

    def fault(self, context: Context, host: Host) -> str:
        wanted = self.wanted(context)
        up: dict[str, set[str]] = {}
        for line in host.run(Command("python3", "-c", _STATES), codes=None, timeout=15).stdout.splitlines():
            proxy, server, state = line.split(maxsplit=2)
            if state.startswith("UP"):
                up.setdefault(proxy, set()).add(server)
        managers = {each.name for each in wanted.layout.having(Part.MANAGER)}
        queues = {each.name for each in wanted.layout.having(Part.QUEUE)}
        for proxy, expected in (("managers", managers), ("internal", managers), ("amqps", queues)):
            if ill := expected - up.get(proxy, set()):
                return f"Waiting for the load balancer {self.host}: it does not see {', '.join(sorted(ill))} ({proxy})."
        if wanted.layout.having(Part.DATABASE) and not up.get("postgresql_primary"):
            return f"Waiting for the load balancer {self.host}: it sees no leader of the database."
        return ""
