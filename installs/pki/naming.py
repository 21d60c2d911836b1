"""By which names and addresses each host's certificate must answer."""

from __future__ import annotations

from inventory.layout import Balancing, Host, Layout, Part

LOOPBACK = ("localhost", "127.0.0.1")
# What a balancer passes through unopened: clients verify the balancer's name against the certificate of the host behind it.
PASSED_THROUGH = frozenset({Part.DATABASE, Part.QUEUE, Part.MANAGER})


def long_name(layout: Layout, host: Host) -> str:
    """Its name with the cluster's behind it, unique among all clusters."""
    return f"{host.name}.{layout.name}"


def names_of(layout: Layout, host: Host) -> tuple[str, ...]:
    """Own names, loopback, all addresses of all networks, and the ways in that lead here; each once, own name first."""
    own = [host.name, long_name(layout, host), *LOOPBACK, *host.addresses.values()]
    return tuple(dict.fromkeys(name for name in own + _ways_in(layout, host) if name))


def _ways_in(layout: Layout, host: Host) -> list[str]:
    names: list[str] = []
    if layout.entrance and host.parts & (PASSED_THROUGH | {Part.BALANCER}):
        names.append(layout.entrance)
    if layout.balancing is Balancing.OURS and host.parts & PASSED_THROUGH:
        for balancer in layout.having(Part.BALANCER):
            names += [balancer.name, *balancer.addresses.values()]
    return names
