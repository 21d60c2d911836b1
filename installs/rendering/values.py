"""What configuration is rendered from beside the layout: releases of Debian, presets, passwords of the cluster."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Release:
    """What differs between the Debian releases that hosts may run."""

    debian: str  # VERSION_ID of os-release
    postgresql: str
    python: str
    # By which of etcd's interfaces Patroni keeps its lock. Patroni 3.0 takes it back through version 3 without asking whose it is
    # by now: a leader that froze for half a minute cost 81 to 122 acknowledged writes, none through version 2 (docs/lab.md).
    etcd_interface: str = "etcd3"

    @property
    def postgresql_bin(self) -> str:
        return f"/usr/lib/postgresql/{self.postgresql}/bin"

    @property
    def postgresql_data(self) -> str:
        """Not `main`: that is where the package puts a cluster of its own."""
        return f"/var/lib/postgresql/{self.postgresql}/patroni"


RELEASES = {
    "trixie": Release("13", "17", "3.13"),
    "bookworm": Release("12", "15", "3.11", etcd_interface="etcd"),
}


@dataclass(frozen=True)
class Failover:
    """A preset of Patroni, all in seconds."""

    ttl: int
    loop_wait: int
    retry_timeout: int


FAILOVERS = {"fast": Failover(20, 5, 5), "calm": Failover(30, 10, 10)}


@dataclass(frozen=True)
class Passwords:
    """What a cluster keeps secret, opened for the moment of rendering."""

    postgres: str = field(repr=False)  # superuser
    replicator: str = field(repr=False)
    rewinder: str = field(repr=False)
    database: str = field(repr=False)  # role deployon, of the management service
    queue: str = field(repr=False)  # user deployon of RabbitMQ
    erlang_cookie: str = field(repr=False)
    etcd_token: str = field(repr=False)
    monitoring: str = field(repr=False)
    virtual_address: str = field(repr=False)  # of the two balancers, for keepalived: 8 characters count
    secret_key: str = field(repr=False)
    vault_key: str = field(repr=False)


@dataclass(frozen=True)
class RenderedFile:
    """One file of a host; `mode` is a number such as 0o640."""

    path: str
    content: str = field(repr=False)
    owner: str = "root"
    group: str = "root"
    mode: int = 0o644
