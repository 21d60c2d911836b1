"""How one part of one host is, by the facts about it: a rule for each part."""

from __future__ import annotations

from collections.abc import Callable

from inventory.health.facts import Facts
from inventory.health.values import Health, PartHealth
from inventory.layout import Part

LAG_SECONDS = 30.0  # a replica that is further behind is worth a warning
ALARMS = {
    "rabbitmq_alarms_memory_used_watermark": "memory is short",
    "rabbitmq_alarms_free_disk_space_watermark": "disk is short",
    "rabbitmq_alarms_file_descriptor_limit": "file descriptors are short",
}
WEB, PROXY, WORKERS = "deployon-web", "nginx", "deployon-worker@"


def part_health(facts: Facts, part: Part, lags: dict[str, float]) -> PartHealth:
    """`lags`: host name -> bytes that it is behind the leader, as the leader says."""
    if not facts.seen_by:
        return PartHealth(part, Health.UNKNOWN, why=f"Not known: its Prometheus {facts.why_not}")
    return _database(facts, lags) if part == Part.DATABASE else RULES[part](facts)


def stopped(facts: Facts, unit: str) -> str:
    """Why the unit does not work, "" where it does: systemd's word, where it has one."""
    state = facts.services.get(unit)
    return "" if state else f"{unit} is not running" if state is False else f"nothing is known of {unit}"


def _etcd(facts: Facts) -> PartHealth:
    version = _versioned("etcd", facts.label("etcd_server_version", "server_version"))
    if why := stopped(facts, "etcd"):
        return _not_working(facts, Part.ETCD, "etcd", why, version)
    if not facts.is_up("etcd"):
        return PartHealth(Part.ETCD, Health.FAILED, why="etcd runs but does not answer", version=version)
    if not facts.is_set("etcd_server_has_leader"):
        return PartHealth(Part.ETCD, Health.FAILED, "no vote", "etcd sees no leader", version)
    role = "leader" if facts.is_set("etcd_server_is_leader") else "follower"
    return PartHealth(Part.ETCD, Health.HEALTHY, role, version=version)


def _database(facts: Facts, lags: dict[str, float]) -> PartHealth:
    part, version = Part.DATABASE, _postgresql(facts.one("patroni_postgres_server_version"))
    if why := stopped(facts, "patroni"):
        return _not_working(facts, part, "patroni", why, version)
    if not facts.is_up("patroni"):
        return PartHealth(part, Health.FAILED, why="Patroni runs but does not answer", version=version)
    if not facts.is_set("patroni_postgres_running"):
        return PartHealth(part, Health.FAILED, why="PostgreSQL is not running", version=version)
    if facts.is_set("patroni_primary"):
        is_paused = facts.is_set("patroni_is_paused")
        state, why = (Health.DEGRADED, "Patroni is paused: no failover") if is_paused else (Health.HEALTHY, "")
        return PartHealth(part, state, "leader", why, version)
    role = "sync replica" if facts.is_set("patroni_sync_standby") else "replica"
    lag, lag_bytes = facts.one("pg_replication_lag_seconds"), lags.get(facts.host.name)
    why = ""
    if facts.one("patroni_postgres_streaming") == 0:
        why = "does not follow the leader"
    elif lag is not None and lag > LAG_SECONDS:
        why = f"is {lag:.0f} s behind"
    elif not facts.is_set("pg_up"):
        why = "its exporter does not reach PostgreSQL"
    state = Health.DEGRADED if why else Health.HEALTHY
    return PartHealth(part, state, role, why, version, lag_bytes, lag)


def _queue(facts: Facts) -> PartHealth:
    part, version = Part.QUEUE, _versioned("RabbitMQ", facts.label("rabbitmq_build_info", "rabbitmq_version"))
    if why := stopped(facts, "rabbitmq-server"):
        return _not_working(facts, part, "rabbitmq-server", why, version)
    if not facts.is_up("rabbitmq"):
        return PartHealth(
            part, Health.FAILED, why="RabbitMQ runs but does not answer: paused, perhaps", version=version
        )
    if alarms := [words for name, words in ALARMS.items() if facts.is_set(name)]:
        return PartHealth(part, Health.DEGRADED, "member", f"blocks publishers: {', '.join(alarms)}", version)
    if away := facts.one("rabbitmq_unreachable_cluster_peers_count"):
        return PartHealth(part, Health.DEGRADED, "member", f"does not reach {away:.0f} of its peers", version)
    return PartHealth(part, Health.HEALTHY, "member", version=version)


def _manager(facts: Facts) -> PartHealth:
    part, version = Part.MANAGER, _versioned("DeployOn", facts.label("deployon_build_info", "version"))
    for unit in (WEB, PROXY):
        if why := stopped(facts, unit):
            return _not_working(facts, part, unit, why, version)
    probes = facts.all("probe_success")
    if probes and not all(probes):
        return PartHealth(part, Health.FAILED, why="its pages or its API do not answer", version=version)
    workers = {unit: works for unit, works in facts.services.items() if unit.startswith(WORKERS)}
    if still := [unit for unit, works in workers.items() if not works]:
        state = Health.DEGRADED if len(still) < len(workers) else Health.FAILED
        return PartHealth(part, state, "active", f"{', '.join(sorted(still))} not running", version)
    if facts.one("deployon_workers") == 0:
        why = "its workers run, but none is at work: do they reach RabbitMQ? Look at `journalctl -u deployon-worker@1` there"
        return PartHealth(part, Health.FAILED, "active", why, version)
    if not probes:
        return PartHealth(part, Health.UNKNOWN, why="runs, but nobody has asked it yet", version=version)
    return PartHealth(part, Health.HEALTHY, "active", version=version)


def _balancer(facts: Facts) -> PartHealth:
    part, version = Part.BALANCER, _versioned("HAProxy", facts.label("haproxy_process_build_info", "version"))
    if why := stopped(facts, "haproxy"):
        return _not_working(facts, part, "haproxy", why, version)
    if not facts.is_up("haproxy"):
        return PartHealth(part, Health.FAILED, why="HAProxy runs but does not answer", version=version)
    if facts.services.get("keepalived") is False:
        why = (
            "keepalived is not running: the virtual address cannot come here. Look at `journalctl -u keepalived` there"
        )
        return PartHealth(part, Health.DEGRADED, "active", why, version)
    return PartHealth(part, Health.HEALTHY, "active", version=version)


RULES: dict[Part, Callable[[Facts], PartHealth]] = {
    Part.ETCD: _etcd,
    Part.QUEUE: _queue,
    Part.MANAGER: _manager,
    Part.BALANCER: _balancer,
}


def _not_working(facts: Facts, part: Part, unit: str, why: str, version: str) -> PartHealth:
    state = Health.FAILED if unit in facts.services else Health.UNKNOWN
    return PartHealth(part, state, why=why, version=version)


def _versioned(program: str, version: str) -> str:
    return f"{program} {version.split('-')[0]}" if version else ""


def _postgresql(number: float | None) -> str:
    """170006 is 17.6."""
    return f"PostgreSQL {number // 10000:.0f}.{number % 10000:.0f}" if number else ""
