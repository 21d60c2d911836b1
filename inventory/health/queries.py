"""The one question that every host's Prometheus is asked: all that a judgement needs, in a single instant query."""

from __future__ import annotations

METRICS = (
    "up",
    "probe_success",
    "node_load1",
    "node_memory_MemAvailable_bytes",
    "node_memory_MemTotal_bytes",
    "node_boot_time_seconds",
    "patroni_version",
    "patroni_postgres_running",
    "patroni_postgres_streaming",
    "patroni_postgres_server_version",
    "patroni_postgres_timeline",
    "patroni_primary",
    "patroni_replica",
    "patroni_sync_standby",
    "patroni_cluster_unlocked",
    "patroni_is_paused",
    "pg_up",
    "pg_replication_lag_seconds",
    "pg_stat_replication_pg_wal_lsn_diff",
    "etcd_server_has_leader",
    "etcd_server_is_leader",
    "etcd_server_version",
    "rabbitmq_build_info",
    "rabbitmq_queues",
    "rabbitmq_detailed_raft_term_total",
    "rabbitmq_detailed_queue_messages",
    "rabbitmq_identity_info",
    "rabbitmq_unreachable_cluster_peers_count",
    "rabbitmq_alarms_memory_used_watermark",
    "rabbitmq_alarms_free_disk_space_watermark",
    "rabbitmq_alarms_file_descriptor_limit",
    "haproxy_process_build_info",
    "node_network_address_info",
    "haproxy_backend_active_servers",
    "deployon_build_info",
    "deployon_workers",
)
AGE = "deployon:age_seconds"  # how long ago a target was last gathered

DISKS = 'fstype!~"tmpfs|ramfs|overlay|squashfs"'

# `or` compares labels without the name of the metric: each of these has one that the others lack.
QUERY = " or ".join(
    (
        f'{{__name__=~"{"|".join(METRICS)}"}}',
        'node_systemd_unit_state{state="active"}',
        f"1 - node_filesystem_avail_bytes{{{DISKS}}} / node_filesystem_size_bytes{{{DISKS}}}",
        'ALERTS{alertstate="firing"}',
        f'label_replace(time() - timestamp(up{{job!="federation"}}), "age", "{AGE}", "", "")',
    )
)
