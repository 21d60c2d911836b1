"""Rules of the way in: who balances, at which name or address, and what that must not clash with."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from installs.findings import Finding, error, warning
from inventory.host_names import is_address, is_host_name
from inventory.layout import Balancing, Layout, Part

MOST_BALANCERS = 2


def findings(layout: Layout) -> Iterator[Finding]:
    """Of the balancer and the entrance."""
    if not layout.hosts:
        return
    if layout.entrance and not is_address(layout.entrance) and not is_host_name(layout.entrance):
        yield error(
            "entrance",
            f"{layout.entrance!r} is neither a host name nor an address.",
            "Write it as users will type it, without https:// and port.",
            field="entrance",
        )
    rules = {Balancing.OURS: _ours, Balancing.THEIRS: _theirs, Balancing.NONE: _none}
    yield from rules[layout.balancing](layout)


def _ours(layout: Layout) -> Iterator[Finding]:
    balancers = layout.having(Part.BALANCER)
    if not balancers:
        yield error(
            "no-balancer",
            "HAProxy shall spread the load, but no host has the part balancer.",
            "Give the part to one or two hosts, or choose your own balancer.",
            field="balancing",
        )
    elif len(balancers) == 1:
        yield warning(
            "one-balancer",
            "A single balancer: while it is down nobody gets in, however many managers are up.",
            "Use two balancers with a virtual address.",
            field="balancing",
        )
    elif len(balancers) > MOST_BALANCERS:
        yield error(
            "too-many-balancers",
            f"{len(balancers)} balancers: the virtual address moves between two.",
            "Take the part away from the others.",
            field="parts",
        )
    else:
        yield from _virtual_address(layout)
    yield from _shared_ports(layout)


def _virtual_address(layout: Layout) -> Iterator[Finding]:
    """Two balancers hold one address in turn."""
    if not layout.entrance:
        yield error(
            "no-entrance",
            "Two balancers need a virtual address that the live one holds.",
            "Enter a free address of their network as the entrance.",
            field="entrance",
        )
    elif not is_address(layout.entrance):
        yield error(
            "no-virtual-address",
            f"{layout.entrance} is a name, and the balancers have to hold an address.",
            "Enter a free address of their network; a name may point at it.",
            field="entrance",
        )
    elif holder := _host_at(layout, layout.entrance):
        yield error(
            "taken-entrance",
            f"The virtual address {layout.entrance} is the own address of {holder}.",
            "Enter a free address of the balancers' network.",
            field="entrance",
        )
    else:
        family = ipaddress.ip_address(layout.entrance).version
        for host in layout.having(Part.BALANCER):
            if is_address(host.private_address) and ipaddress.ip_address(host.private_address).version != family:
                yield error(
                    "entrance-family",
                    f"The virtual address is IPv{family}, and the address of {host.name} is not.",
                    "Use one family for both.",
                    field="entrance",
                )


def _shared_ports(layout: Layout) -> Iterator[Finding]:
    """A balancer on a manager binds the virtual address alone, the manager its own; without one both want the same ports."""
    has_own_address = is_address(layout.entrance) and not _host_at(layout, layout.entrance)
    if has_own_address and len(layout.having(Part.BALANCER)) == MOST_BALANCERS:
        return
    for host in layout.having(Part.BALANCER):
        if host.has(Part.MANAGER):
            yield error(
                "shared-ports",
                "Balancer and manager both listen on 443 and 53333 of this host.",
                "Put the balancer on another host, or give two balancers a virtual address to listen on.",
                host=host.name,
                field="parts",
            )


def _theirs(layout: Layout) -> Iterator[Finding]:
    if not layout.entrance:
        yield error(
            "no-entrance",
            "Your own balancer has no name or address here.",
            "Enter where users reach it: certificates name it, and its ports 443 and 53333 are checked.",
            field="entrance",
        )
    elif holder := _host_at(layout, layout.entrance):
        yield error(
            "taken-entrance",
            f"{layout.entrance} is {holder} itself, not a balancer in front of it.",
            "Enter the balancer's name or address.",
            field="entrance",
        )
    yield from _idle_balancers(layout)


def _none(layout: Layout) -> Iterator[Finding]:
    if len(layout.having(Part.MANAGER)) > 1:
        yield error(
            "no-balancer",
            "Several managers without a balancer: users would keep asking the one they know, also while it is down.",
            "Choose our balancer or your own. None goes with a single manager.",
            field="balancing",
        )
    yield from _idle_balancers(layout)


def _idle_balancers(layout: Layout) -> Iterator[Finding]:
    for host in layout.having(Part.BALANCER):
        yield error(
            "idle-balancer",
            "It has the part balancer, but the cluster does not use ours.",
            "Take the part away, or choose our balancer.",
            host=host.name,
            field="balancing",
        )


def _host_at(layout: Layout, entrance: str) -> str:
    """Name of the host whose own name or address that is, or ""."""
    for host in layout.hosts:
        if entrance == host.name or entrance in host.addresses.values():
            return host.name
    return ""
