"""The way in as users have it: who holds the virtual address, and whether 443, 53333, stickiness and the closed port 80 are as they must be."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, ClassVar

from installs.certificates import entrance_authorities
from installs.operations.applying import Gate
from installs.reaching import session
from installs.rendering.management import SERVED_BY
from inventory.connectors.ssh import Command, Host
from inventory.layout import Balancing, Part
from runs.operations import Context, operation

ASKED = 6  # so many times; each time by a connection of its own
# Run on a manager host. Argument: entrance, PEM of CAs, header, how often. Prints what came of it.
_ASK = """
import http.client, json, socket, ssl, sys
asked = json.loads(sys.argv[1])
context = ssl.create_default_context(cadata=asked["authorities"])
context.load_default_certs()
def ask(port, path, cookies):
    connection = http.client.HTTPSConnection(asked["entrance"], port, timeout=8, context=context)
    try:
        connection.request("GET", path, headers={"Cookie": "; ".join(cookies)} if cookies else {})
        reply = connection.getresponse()
        cookies.extend(each.split(";")[0] for each in reply.headers.get_all("Set-Cookie") or ())
        return str(reply.status), reply.headers.get(asked["header"], "")
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__, ""
    finally:
        connection.close()
cookies = []
pages = [ask(443, "/readyz", cookies) for _ in range(asked["times"])]
agents = [ask(53333, "/api/v3.1/status", []) for _ in range(asked["times"])]
try:
    socket.create_connection((asked["entrance"], 80), timeout=3).close()
    plain = True
except OSError:
    plain = False
print(json.dumps({"pages": pages, "agents": agents, "plain": plain}))
"""


@operation("entrance.held")
@dataclasses.dataclass(frozen=True)
class VirtualAddressIsHeld(Gate):
    """keepalived is at work on both balancers, and one of them, not both, has the virtual address."""

    seconds: ClassVar[float] = 60.0

    def describe(self) -> str:
        return "Wait until one balancer holds the virtual address"

    def fault(self, context: Context, host: Host) -> str:
        layout = self.wanted(context).layout
        holders = []
        for each in layout.having(Part.BALANCER):
            if each.name == self.host:
                state, is_holder = _state_of(host, layout.entrance)
            else:
                with session(self.cluster, each.name) as other:
                    state, is_holder = _state_of(other, layout.entrance)
            if state != "active":
                return f"Waiting for keepalived on {each.name}: it is {state or 'not there'}."
            if is_holder:
                holders.append(each.name)
        if len(holders) > 1:
            return (
                f"Waiting for the virtual address {layout.entrance}: {' and '.join(holders)} both hold it, so they do not hear each "
                "other. VRRP (IP protocol 112) must get through between them."
            )
        return "" if holders else f"Waiting for the virtual address {layout.entrance}: no balancer holds it yet."


def _state_of(host: Host, entrance: str) -> tuple[str, bool]:
    """(state of keepalived, whether the address is on an interface there)"""
    state = host.run(Command("systemctl", "is-active", "keepalived"), codes=None).text
    return state, bool(host.run(Command("ip", "-o", "address", "show", "to", entrance)).text)


@operation("entrance.answers")
@dataclasses.dataclass(frozen=True)
class EntranceAnswers(Gate):
    """What stands before the managers leads to them on 443 and 53333, keeps a client at one of them, and leaves 80 closed."""

    seconds: ClassVar[float] = 90.0
    every: ClassVar[float] = 3.0

    def describe(self) -> str:
        return "Wait until the entrance leads to the managers"

    def fault(self, context: Context, host: Host) -> str:
        layout = self.wanted(context).layout
        asked = {
            "entrance": layout.entrance,
            "authorities": entrance_authorities(self.cluster),
            "header": SERVED_BY,
            "times": ASKED,
        }
        said = host.run(Command("python3", "-c", _ASK, json.dumps(asked)), timeout=150).stdout
        return fault_of(json.loads(said), layout.entrance, is_ours=layout.balancing is Balancing.OURS)


def fault_of(seen: dict[str, Any], entrance: str, *, is_ours: bool) -> str:
    """What is wrong with what a client met there, in words; "" where nothing is."""
    who = "the balancers" if is_ours else "your balancer"
    for what, port, right in (("pages", 443, "200"), ("agents", 53333, "401")):
        wrong = [answer for answer, _ in seen[what] if answer != right]
        if wrong:
            return (
                f"Waiting for {entrance}: port {port} answers {wrong[0][:160]} instead of {right}. {_remedy(port, who)}"
            )
        served = {name for _, name in seen[what] if name}
        if len(served) > 1:
            return (
                f"Waiting for {entrance}: one client was led to {' and '.join(sorted(served))} on port {port}. Have {who} keep a "
                f"client at one manager, {'by a cookie' if port == 443 else 'by its address'}."
            )
    if seen["plain"]:
        return (
            f"Waiting for {entrance}: port 80 is open, and passwords could go through it unsealed. Have {who} close it."
        )
    return ""


def _remedy(port: int, who: str) -> str:
    return (
        f"Have {who} pass {port} on to port {port} of every manager, by TLS. A certificate of its own is known here once it was "
        "uploaded for the entrance."
    )
