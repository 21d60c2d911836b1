"""Looking at the key that a host shows, for a person to compare and trust."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from accounts.errors import Conflict
from inventory import cluster_hosts
from inventory.connectors.ssh import HostAddress, HostError, offered_key
from inventory.models import ClusterNode, HostKey

MOST_AT_ONCE = 16


def look_at_host_key(node: ClusterNode) -> HostKey:
    """Ask the host for its key and keep it as offered; nobody signs in. Conflict with a remedy where it cannot be reached."""
    found = _look(node)
    if isinstance(found, HostError):
        raise Conflict(f"{node.name}: {found.message}") from None
    return cluster_hosts.record_offered_key(node=node, public_key=found)


def look_at_host_keys(nodes: Sequence[ClusterNode]) -> list[str]:
    """The same for several, side by side; what could not be reached, in words."""
    with ThreadPoolExecutor(MOST_AT_ONCE) as pool:
        looks = list(pool.map(_look, nodes))
    problems = []
    for node, found in zip(nodes, looks, strict=True):
        if isinstance(found, HostError):
            problems.append(f"{node.name}: {found.message}")
        else:
            cluster_hosts.record_offered_key(node=node, public_key=found)
    return problems


def _look(node: ClusterNode) -> str | HostError:
    """The key's line; asks the network alone, never the database."""
    try:
        return offered_key(HostAddress(node.reach_address, node.ssh_port, node.ssh_user)).line
    except HostError as error:
        return error
