"""Looking at the key that a host shows, for a person to compare and trust."""

from __future__ import annotations

from accounts.errors import Conflict
from inventory import cluster_hosts
from inventory.connectors.ssh import HostAddress, HostError, offered_key
from inventory.models import ClusterNode, HostKey


def look_at_host_key(node: ClusterNode) -> HostKey:
    """Ask the host for its key and keep it as offered; nobody signs in. Conflict with a remedy where it cannot be reached."""
    try:
        offered = offered_key(HostAddress(node.reach_address, node.ssh_port, node.ssh_user))
    except HostError as error:
        raise Conflict(f"{node.name}: {error.message}") from None
    return cluster_hosts.record_offered_key(node=node, public_key=offered.line)
