"""Which ports a host will listen on, and which connections between hosts must get through, as a layout asks for."""

from __future__ import annotations

from dataclasses import dataclass

from installs.ports import EVERYWHERE, FLOWS
from installs.rendering import etcd, haproxy, management, measuring, monitoring, rabbitmq
from inventory.layout import Host, Layout, Part

# Ports of a part that others never come to.
OWN = {
    Part.ETCD: (etcd.METRICS_PORT,),
    Part.DATABASE: (monitoring.POSTGRES_PORT,),
    Part.QUEUE: (rabbitmq.METRICS_PORT,),
    Part.MANAGER: (management.WEB_PORT, monitoring.BLACKBOX_PORT),
    Part.BALANCER: (haproxy.METRICS_PORT,),
}
SERVICES = {
    Part.ETCD: "etcd", Part.DATABASE: "PostgreSQL and Patroni", Part.QUEUE: "RabbitMQ", Part.MANAGER: "the management service",
    Part.BALANCER: "HAProxy",
}  # fmt: skip


@dataclass(frozen=True)
class Way:
    """One connection that must get through. Source and target are names of hosts."""

    source: str
    target: str
    address: str
    port: int
    purpose: str


def ports_of(layout: Layout, host: Host) -> dict[int, str]:
    """Port -> what will listen there."""
    found = {measuring.PORT: "Prometheus", monitoring.NODE_PORT: "the exporter of host metrics"}
    for part in Part:
        if host.has(part):
            open_to_others = (port for flow in FLOWS if flow.target == part for port in flow.ports)
            found |= dict.fromkeys((*open_to_others, *OWN[part]), SERVICES[part])
    if host.has(Part.BALANCER) and layout.having(Part.DATABASE):
        found |= dict.fromkeys((haproxy.PRIMARY_PORT, haproxy.REPLICA_PORT), SERVICES[Part.BALANCER])
    return found


def ways(layout: Layout) -> list[Way]:
    """The whole firewall matrix between hosts, each connection once."""
    found: dict[tuple[str, str, int], Way] = {}
    for flow in FLOWS:
        sources = layout.having(flow.source) if isinstance(flow.source, Part) else ()
        targets = layout.hosts if flow.target == EVERYWHERE else layout.having(Part(flow.target))
        for source in sources:
            for target in targets:
                for port in flow.ports if source.name != target.name else ():
                    way = Way(source.name, target.name, target.private_address, port, flow.purpose)
                    found.setdefault((source.name, target.name, port), way)
    return list(found.values())
