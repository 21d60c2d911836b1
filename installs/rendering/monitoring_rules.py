"""Rules of Prometheus: what counts as well, and what alarms."""

from __future__ import annotations

from typing import Any

from inventory.health.queues import COPIES
from inventory.layout import Host, Layout, Part

SCRAPE_SECONDS = 15


def rules(layout: Layout, host: Host) -> dict[str, Any]:
    """What counts as well and what alarms; healthy values are 0 or 1 and never vanish, so "not well" differs from "not known"."""
    healthy = [
        (
            "postgresql_healthy",
            'max by (host, hostname) (pg_up) * on (host, hostname) max by (host, hostname) (up{job="patroni"})',
        ),
        ("rabbitmq_healthy", 'max by (host, hostname) (up{job="rabbitmq"})'),
        ("manager_healthy", "min by (host, hostname) (probe_success)"),
        ("etcd_healthy", "max by (host, hostname) (etcd_server_has_leader)"),
    ]
    records: list[dict[str, Any]] = [{"record": name, "expr": expression} for name, expression in healthy]
    records.append(
        {
            "record": "service_active",
            "expr": 'max by (host, hostname, name) (node_systemd_unit_state{state="active"})',
            "labels": {"process_manager": "systemd"},
        }
    )
    alerts = [
        _alert("manager_down", "manager_healthy == 0", "critical", "The management service does not answer"),
        _alert("postgresql_down", "postgresql_healthy == 0", "critical", "PostgreSQL or Patroni does not answer"),
        _alert("rabbitmq_down", "rabbitmq_healthy == 0", "critical", "RabbitMQ does not answer"),
        _alert("etcd_without_leader", "etcd_healthy == 0", "critical", "etcd has no leader: no failover is possible"),
        _alert("service_down", "service_active == 0", "warning", "A service of the cluster is not active"),
        _alert("replication_lag", "pg_replication_lag_seconds > 30", "warning", "A replica is more than 30 s behind"),
        _alert(
            "queue_alarm",
            "rabbitmq_alarms_memory_used_watermark > 0 or rabbitmq_alarms_free_disk_space_watermark > 0",
            "critical",
            "RabbitMQ blocks publishers: memory or disk is short",
        ),
        _alert(
            "disk_full",
            'node_filesystem_avail_bytes{fstype!~"tmpfs|overlay"} / node_filesystem_size_bytes < 0.1',
            "warning",
            "Less than a tenth of a disk is free",
        ),
        _alert(
            "certificate_expires",
            "probe_ssl_earliest_cert_expiry - time() < 30 * 86400",
            "warning",
            "A certificate expires within 30 days",
        ),
        _alert("host_silent", "up == 0", "warning", "An exporter does not answer"),
    ]
    if host.has(Part.MANAGER):
        alerts += _of_the_whole(layout)
    return {"groups": [{"name": "health", "rules": records}, {"name": "alarms", "rules": alerts}]}


def _of_the_whole(layout: Layout) -> list[dict[str, Any]]:
    """For managers, which alone see all hosts; any other would miss the leader wherever it is not the leader itself."""
    found = []
    if layout.having(Part.DATABASE):
        words = "No database host leads: nothing can be written"
        found.append(_alert("no_leader", "(sum(patroni_primary) or vector(0)) < 1", "critical", words))
    if len(layout.having(Part.BALANCER)) > 1:
        held = f'count(node_network_address_info{{address="{layout.entrance}"}} == 1)'
        words = f"None or both of the balancers hold {layout.entrance}"
        found.append(_alert("virtual_address", f"({held} or vector(0)) != 1", "critical", words))
    if (nodes := len(layout.having(Part.QUEUE))) > 1:
        copies = 'count by (queue) (rabbitmq_detailed_raft_term_total{queue!=""})'
        words = "A queue has copies on too few hosts: {{ $labels.queue }}"
        found.append(_alert("queue_copies", f"{copies} < {min(COPIES, nodes)}", "warning", words))
    return found


def _alert(name: str, expression: str, severity: str, summary: str) -> dict[str, Any]:
    return {
        "alert": name,
        "expr": expression,
        "for": f"{SCRAPE_SECONDS}s",
        "labels": {"severity": severity},
        "annotations": {"summary": f"{summary} ({{{{ $labels.hostname }}}})"},
    }
