"""Where certificates are on a host. Every service has a folder of its own, readable by its user alone."""

from __future__ import annotations

from dataclasses import dataclass

from inventory.layout import Part


@dataclass(frozen=True)
class PkiFolder:
    """A folder with ca.crt, host.crt and host.key for one service."""

    path: str
    user: str
    group: str

    @property
    def ca(self) -> str:
        return f"{self.path}/ca.crt"

    @property
    def certificate(self) -> str:
        return f"{self.path}/host.crt"

    @property
    def key(self) -> str:
        return f"{self.path}/host.key"

    @property
    def bundle(self) -> str:
        """Certificate and key in one, as HAProxy reads them."""
        return f"{self.path}/host.pem"


ETCD = PkiFolder("/etc/etcd/pki", "etcd", "etcd")
DATABASE = PkiFolder("/etc/patroni/pki", "postgres", "postgres")
QUEUE = PkiFolder("/etc/rabbitmq/pki", "rabbitmq", "rabbitmq")
MANAGER = PkiFolder("/etc/deployon/pki", "root", "deployon")
BALANCER = PkiFolder("/etc/haproxy/pki", "root", "haproxy")
MONITORING = PkiFolder("/etc/prometheus/pki", "root", "prometheus")  # on every host
OF_PART = {
    Part.ETCD: ETCD,
    Part.DATABASE: DATABASE,
    Part.QUEUE: QUEUE,
    Part.MANAGER: MANAGER,
    Part.BALANCER: BALANCER,
}
