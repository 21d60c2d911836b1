"""Which port carries what between the parts of a cluster: for pictures, documents and the check of reachability."""

from __future__ import annotations

from dataclasses import dataclass

from inventory.layout import Part

USERS = "users"
EVERYWHERE = "every host"


@dataclass(frozen=True)
class Flow:
    """From who to whom, by which TCP ports, for what."""

    source: Part | str
    target: Part | str
    ports: tuple[int, ...]
    purpose: str


FLOWS = (
    Flow(USERS, Part.BALANCER, (443, 53333), "pages and API; agents"),
    Flow(Part.BALANCER, Part.MANAGER, (443, 53333), "the same, passed on"),
    Flow(Part.BALANCER, Part.DATABASE, (5432, 8008), "entrance to the leader; who leads"),
    Flow(Part.BALANCER, Part.QUEUE, (5671,), "entrance to the queue"),
    Flow(Part.BALANCER, Part.BALANCER, (1024,), "which client sticks to which manager"),
    Flow(Part.MANAGER, Part.DATABASE, (5432, 8008), "the leader; who leads"),
    Flow(Part.MANAGER, Part.QUEUE, (5671, 15671), "queues; their management"),
    Flow(Part.DATABASE, Part.DATABASE, (5432, 8008), "replication; who leads"),
    Flow(Part.DATABASE, Part.ETCD, (2379,), "election of the leader"),
    Flow(Part.ETCD, Part.ETCD, (2380,), "votes"),
    Flow(Part.QUEUE, Part.QUEUE, (4369, 25672), "names of nodes; copies of queues"),
    Flow(Part.MANAGER, EVERYWHERE, (8009,), "measurements"),
)
SSH = 22


def between(source: Part | str, target: Part | str) -> tuple[int, ...]:
    """Ports of one flow; none where the two do not talk."""
    return next((flow.ports for flow in FLOWS if (flow.source, flow.target) == (source, target)), ())
