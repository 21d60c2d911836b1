"""Which Debian packages the parts of a host are made of, by name; where they come from is the bundle's and apt's concern."""

from __future__ import annotations

from installs.rendering.values import RELEASES
from inventory.layout import Host, Layout, Part

EVERYWHERE = ("prometheus", "prometheus-node-exporter", "ca-certificates", "python3")


def packages_of_part(part: Part, release: str) -> tuple[str, ...]:
    """What one part needs on that release of Debian."""
    postgresql = RELEASES[release].postgresql
    return {
        Part.ETCD: ("etcd-server", "etcd-client"),
        Part.DATABASE: (f"postgresql-{postgresql}", "patroni", "python3-etcd", "prometheus-postgres-exporter"),
        Part.QUEUE: ("rabbitmq-server",),
        Part.MANAGER: ("nginx", "python3-venv", "prometheus-blackbox-exporter"),
        Part.BALANCER: ("haproxy",),
    }[part]


def packages_of(layout: Layout, host: Host) -> list[str]:
    """All that a host needs, each once, in a lasting order."""
    found = [*EVERYWHERE, *(name for part in Part if host.has(part) for name in packages_of_part(part, layout.release))]
    if host.has(Part.BALANCER) and len(layout.having(Part.BALANCER)) > 1:
        found.append("keepalived")
    return list(dict.fromkeys(found))


def all_packages(release: str) -> list[str]:
    """Everything that any host of that release may need."""
    names = [*EVERYWHERE, "keepalived", *(name for part in Part for name in packages_of_part(part, release))]
    return sorted(set(names))
