"""Who of two balancers holds the virtual address, by the addresses that each of them tells."""

from __future__ import annotations

from collections.abc import Mapping

from inventory.health.facts import Facts
from inventory.layout import Balancing, Layout, Part

ADDRESS = "node_network_address_info"


def holders_of(layout: Layout, facts: Mapping[str, Facts]) -> list[str]:
    """Names of balancers that hold the virtual address; none where there is no such address, or nobody tells addresses."""
    return [name for name in _telling(layout, facts) if facts[name].all(ADDRESS, address=layout.entrance)]


def address_fault(layout: Layout, facts: Mapping[str, Facts]) -> str:
    """That none or two of them hold it, in words with what to do; "" where one does, or it is not known of all."""
    balancers, telling = layout.having(Part.BALANCER), _telling(layout, facts)
    holders = holders_of(layout, facts)
    if len(holders) > 1:
        return f"{' and '.join(holders)} both hold {layout.entrance}: they do not hear each other. Let IP protocol 112 through between them"
    if telling and len(telling) == len(balancers) and not holders:
        return (
            f"nobody holds {layout.entrance}: look at `systemctl status keepalived haproxy` on {' and '.join(telling)}"
        )
    return ""


def _telling(layout: Layout, facts: Mapping[str, Facts]) -> list[str]:
    balancers = layout.having(Part.BALANCER)
    if layout.balancing is not Balancing.OURS or len(balancers) < 2:
        return []
    return [each.name for each in balancers if facts[each.name].all(ADDRESS)]
