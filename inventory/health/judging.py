"""From facts to a judgement: hosts, the alarms that fire, and the cluster as a whole."""

from __future__ import annotations

from inventory.health.facts import Answers, Facts, facts_of
from inventory.health.groups import ORDER, WORDS, group_health
from inventory.health.parts import part_health, stopped
from inventory.health.values import Alert, ClusterHealth, Health, HostHealth, rank, worst
from inventory.layout import Layout

FULL = 0.9  # of a disk


def judge(layout: Layout, answers: Answers) -> ClusterHealth:
    """How a cluster is, by what its hosts answered."""
    facts = facts_of(layout, answers)
    lags = _lags(facts)
    hosts = tuple(_host(facts[host.name], lags) for host in layout.hosts)
    found = (group_health(layout, part, hosts, facts) for part in ORDER)
    groups = tuple(group for group in found if group)
    alerts = _alerts(layout, answers)
    if not any(host.seen_by for host in hosts):
        return ClusterHealth(Health.UNKNOWN, (_nobody(answers),), groups, hosts, alerts)
    why = [
        f"{WORDS[group.part]}: {group.why}" for group in sorted(groups, key=lambda each: -rank(each.state)) if group.why
    ]
    why += [f"{host.name}: {host.why}" for host in hosts if host.why]
    # What nobody knows of one part is less margin for the whole. A host alone never makes the whole fail: its parts may.
    states = {group.state for group in groups} | {
        Health.HEALTHY if host.state == Health.HEALTHY else Health.DEGRADED for host in hosts
    }
    total = worst(states)
    return ClusterHealth(Health.DEGRADED if total == Health.UNKNOWN else total, tuple(why), groups, hosts, alerts)


def _nobody(answers: Answers) -> str:
    told = "; ".join(f"{name} {why}" for name, why in answers.failures.items())
    return f"No host's Prometheus answers: {told}"[:400] if told else "No host was asked"


def _host(facts: Facts, lags: dict[str, float]) -> HostHealth:
    host = facts.host
    parts = tuple(part_health(facts, part, lags) for part in ORDER if host.has(part))
    if not facts.seen_by:
        return HostHealth(
            host.name, host.private_address, Health.UNKNOWN, f"its Prometheus {facts.why_not}", parts=parts
        )
    free, size = facts.one("node_memory_MemAvailable_bytes"), facts.one("node_memory_MemTotal_bytes")
    disk_used = facts.disk_used
    why = "" if facts.is_up("node") else "its exporter does not answer"
    if disk_used is not None and disk_used > FULL:
        why = f"a disk is {disk_used * 100:.0f} % full"
    why = why or _idle_exporter(facts)
    own = Health.DEGRADED if why else Health.HEALTHY
    return HostHealth(
        name=host.name,
        address=host.private_address,
        state=worst([own, *(part.state for part in parts)]),
        why=why,
        seen_by=facts.seen_by,
        parts=parts,
        services=dict(sorted(facts.services.items())),
        load=facts.one("node_load1"),
        memory_used=1 - free / size if size and free is not None else None,
        disk_used=disk_used,
        up_since=facts.one("node_boot_time_seconds"),
    )


def _idle_exporter(facts: Facts) -> str:
    """Of the services that only measure: their parts work without them, and nobody would see it if they did not."""
    still = sorted(unit for unit, works in facts.services.items() if "exporter" in unit and not works)
    return f"{', '.join(still)} not running" if still else stopped(facts, "prometheus")


def _lags(facts: dict[str, Facts]) -> dict[str, float]:
    """Replica -> bytes that it is behind, by the word of the leader: both positions are of one moment there."""
    return {
        sample.get("application_name"): sample.value
        for each in facts.values()
        if each.is_set("patroni_primary")
        for sample in each.samples
        if sample.name == "pg_stat_replication_pg_wal_lsn_diff"
    }


def _alerts(layout: Layout, answers: Answers) -> tuple[Alert, ...]:
    """Each once; of a host that answers itself, only what it says itself."""
    found: dict[tuple[str, str, str], Alert] = {}
    names = {host.name for host in layout.hosts}
    at = {host.private_address: host.name for host in layout.hosts}
    for witness, samples in answers.samples.items():
        for sample in samples:
            # An alarm about a host that is silent has only the address that was asked.
            host = sample.get("hostname") or at.get(sample.get("instance").rpartition(":")[0].strip("[]"), "")
            name = sample.get("alertname")
            if sample.name != "ALERTS" or (host in answers.samples and host != witness and host in names):
                continue
            what = sample.get("name").removesuffix(".service") or sample.get("job")
            found.setdefault((name, host, what), Alert(name, sample.get("severity"), host, what))
    return tuple(sorted(found.values(), key=lambda alert: (alert.severity != "critical", alert.name, alert.host)))
