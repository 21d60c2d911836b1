"""Configuration of Patroni and through it of PostgreSQL: leader and replicas with TLS everywhere, nothing acknowledged before two hosts have it."""

from __future__ import annotations

from typing import Any

import yaml

from installs.rendering import etcd
from installs.rendering.pki_paths import DATABASE
from installs.rendering.values import FAILOVERS, RELEASES, Passwords, RenderedFile
from inventory.layout import Host, Layout, Part

POSTGRESQL_PORT, REST_PORT = 5432, 8008
PATH = "/etc/patroni/config.yml"
ROLE = DATABASE_NAME = "deployon"


def files(layout: Layout, host: Host, passwords: Passwords, memory_mb: int) -> list[RenderedFile]:
    text = yaml.safe_dump(configuration(layout, host, passwords, memory_mb), sort_keys=False, width=120)
    return [RenderedFile(PATH, text, "postgres", "postgres", 0o600)]


def configuration(layout: Layout, host: Host, passwords: Passwords, memory_mb: int) -> dict[str, Any]:
    """The whole of Patroni's file."""
    release = RELEASES[layout.release]
    tls = {"cacert": DATABASE.ca, "cert": DATABASE.certificate, "key": DATABASE.key}
    return {
        "scope": layout.name,
        "namespace": "/service/",
        "name": host.name,
        "restapi": {
            "listen": f"{host.private_address}:{REST_PORT}",
            "connect_address": f"{host.private_address}:{REST_PORT}",
            "certfile": DATABASE.certificate,
            "keyfile": DATABASE.key,
            "cafile": DATABASE.ca,
            # Anybody may ask who leads; only who has a certificate of this cluster may change it.
            "verify_client": "optional",
        },
        "ctl": {"cacert": DATABASE.ca, "certfile": DATABASE.certificate, "keyfile": DATABASE.key},
        release.etcd_interface: {"hosts": ",".join(etcd.endpoints(layout)), "protocol": "https", **tls},
        "bootstrap": {
            "dcs": dynamic(layout, memory_mb),
            "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, "data-checksums"],
            # Patroni 3.0 calls a file without it invalid, though it takes what is said below.
            **({"pg_hba": hba(layout)} if layout.release == "bookworm" else {}),
        },
        "postgresql": {
            "listen": f"{host.private_address},127.0.0.1:{POSTGRESQL_PORT}",
            "connect_address": f"{host.private_address}:{POSTGRESQL_PORT}",
            # Without these Patroni goes to ::1, for which there is no line in pg_hba.
            "use_unix_socket": True,
            "use_unix_socket_repl": True,
            "data_dir": release.postgresql_data,
            "bin_dir": release.postgresql_bin,
            "pgpass": "/var/lib/postgresql/.pgpass_patroni",
            "authentication": {
                "superuser": _account("postgres", passwords.postgres),
                "replication": _account("replicator", passwords.replicator),
                "rewind": _account("rewinder", passwords.rewinder),
            },
            "parameters": {
                "unix_socket_directories": "/var/run/postgresql",
                "ssl": "on",
                "ssl_cert_file": DATABASE.certificate,
                "ssl_key_file": DATABASE.key,
                "ssl_ca_file": DATABASE.ca,
                "ssl_min_protocol_version": "TLSv1.2",
                "timezone": "UTC",
                "log_timezone": "UTC",
            },
            "pg_hba": hba(layout),
            # Without it a new member waits for a checkpoint that PostgreSQL spreads over minutes.
            "basebackup": [{"checkpoint": "fast"}],
            "remove_data_directory_on_rewind_failure": True,
            "remove_data_directory_on_diverged_timelines": True,
        },
        "tags": {"nofailover": False, "noloadbalance": False, "clonefrom": False, "nosync": False},
    }


def dynamic(layout: Layout, memory_mb: int) -> dict[str, Any]:
    """What all members share, kept in etcd; the file gives it only to the first one."""
    preset = FAILOVERS[layout.failover]
    return {
        "ttl": preset.ttl,
        "loop_wait": preset.loop_wait,
        "retry_timeout": preset.retry_timeout,
        "maximum_lag_on_failover": 1048576,
        "check_timeline": True,
        "synchronous_mode": len(layout.having(Part.DATABASE)) > 1,
        "synchronous_mode_strict": layout.is_strict and len(layout.having(Part.DATABASE)) > 1,
        "postgresql": {"use_pg_rewind": True, "use_slots": True, "parameters": parameters(memory_mb)},
    }


def parameters(memory_mb: int) -> dict[str, Any]:
    """Values that depend on the size of the host, and those that all members must agree on."""
    return {
        "wal_level": "replica",
        "hot_standby": "on",
        "wal_log_hints": "on",
        "max_connections": 250,
        "max_wal_senders": 10,
        "max_replication_slots": 10,
        "wal_keep_size": "128MB",
        "wal_sender_timeout": "15s",
        "password_encryption": "scram-sha-256",
        "synchronous_commit": "on",
        "shared_buffers": f"{max(32, memory_mb // 4)}MB",
        "effective_cache_size": f"{max(64, memory_mb // 2)}MB",
        "work_mem": f"{max(4, memory_mb // 256)}MB",
        "maintenance_work_mem": f"{max(64, memory_mb // 16)}MB",
        "checkpoint_completion_target": 0.9,
    }


def hba(layout: Layout) -> list[str]:
    """Who may log in from where. Only TLS from other hosts; the exporter by its own user of the operating system."""
    databases = [host.private_address for host in layout.having(Part.DATABASE)]
    others = [host.private_address for host in layout.hosts if host.has(Part.MANAGER) or host.has(Part.BALANCER)]
    lines = ["local all postgres peer", "local postgres prometheus peer", "local replication replicator scram-sha-256"]
    for address in databases:
        lines.append(f"hostssl replication replicator {_network(address)} scram-sha-256")
        lines.append(f"hostssl all postgres,rewinder {_network(address)} scram-sha-256")
    for address in others:
        lines.append(f"hostssl {DATABASE_NAME} {ROLE} {_network(address)} scram-sha-256")
    return lines


def _network(address: str) -> str:
    return f"{address}/{128 if ':' in address else 32}"


def _account(username: str, password: str) -> dict[str, str]:
    return {"username": username, "password": password, "sslmode": "verify-full", "sslrootcert": DATABASE.ca}
