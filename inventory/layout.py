"""A cluster as it is wanted, as plain values: what rows, rules, certificates, configuration and pictures speak of. No rows, no network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Part(StrEnum):
    """What a host does in its cluster. Monitoring is on every host and is no part."""

    ETCD = "etcd"  # the votes by which the database elects its leader
    DATABASE = "database"  # PostgreSQL under Patroni
    QUEUE = "queue"  # RabbitMQ
    MANAGER = "manager"  # the management service
    BALANCER = "balancer"  # HAProxy


class Balancing(StrEnum):
    """Who spreads the load over the managers."""

    OURS = "ours"  # HAProxy on hosts with the part balancer
    THEIRS = "theirs"  # the operator's own, at `Layout.entrance`
    NONE = "none"  # a single manager is its own entrance


DEFAULT_NETWORK = "default"  # the private addresses, between the hosts
EXTERNAL_NETWORK = "external"  # the public addresses, for users


@dataclass(frozen=True)
class Host:
    """One machine. `name` is its short host name; addresses are texts as `ipaddress` writes them."""

    name: str
    private_address: str
    public_address: str = ""  # empty: the same as the private one
    parts: frozenset[Part] = frozenset()
    networks: Mapping[str, str] = field(default_factory=dict)  # further named networks: name -> address here
    ssh_port: int = 22
    machine: str = ""  # the physical machine that it runs on, where known: two votes on one are lost together

    @property
    def reach_address(self) -> str:
        """Where users and the portal reach it."""
        return self.public_address or self.private_address

    def has(self, part: Part) -> bool:
        return part in self.parts

    @property
    def addresses(self) -> dict[str, str]:
        """All its addresses by network, `default` and `external` among them."""
        return {DEFAULT_NETWORK: self.private_address, EXTERNAL_NETWORK: self.reach_address, **self.networks}


@dataclass(frozen=True)
class External:
    """A service that somebody else runs. Its user and password are secrets of the cluster, never here."""

    addresses: tuple[str, ...]  # host names or addresses; one where it has a single entrance
    port: int
    ca_bundle: str = field(default="", repr=False)  # PEM
    management_port: int = 0  # of RabbitMQ
    user_suffix: str = ""  # `@server`, where user names carry one


@dataclass(frozen=True)
class Layout:
    """A whole cluster: its hosts with their parts, and what others bring."""

    name: str  # a host name label: prefix of the cluster's names
    hosts: tuple[Host, ...]
    balancing: Balancing = Balancing.OURS
    entrance: str = ""  # name or address by which users reach the cluster; the virtual address of two balancers
    release: str = "trixie"  # the Debian release of its hosts
    external_database: External | None = None
    external_queue: External | None = None
    failover: str = "fast"  # preset of Patroni: fast (20/5/5) or calm (30/10/10), in seconds
    is_strict: bool = False  # strict synchronous mode: rather no writes than a lost one
    service_settings: Mapping[str, str] = field(default_factory=dict)  # see inventory.service_settings

    def having(self, part: Part) -> tuple[Host, ...]:
        """The hosts with that part, in order."""
        return tuple(host for host in self.hosts if host.has(part))

    def host(self, name: str) -> Host:
        """KeyError where there is none of that name."""
        for host in self.hosts:
            if host.name == name:
                return host
        raise KeyError(name)

    @property
    def front(self) -> str:
        """Where users reach the whole: the entrance, or its only manager; empty where neither is there."""
        managers = self.having(Part.MANAGER)
        return self.entrance or (managers[0].reach_address if len(managers) == 1 else "")

    @property
    def networks(self) -> tuple[str, ...]:
        """Names of all networks, in order of first appearance."""
        return tuple(_unique(network for host in self.hosts for network in host.addresses))


def _unique(items: Iterable[str]) -> Iterable[str]:
    return dict.fromkeys(items)
