"""Configuration of RabbitMQ: TLS between its nodes and to clients, no guest, a minority pauses rather than going its own way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from installs.rendering.pki_paths import QUEUE
from installs.rendering.values import Passwords, RenderedFile
from inventory.layout import Host, Layout, Part

AMQPS_PORT, MANAGEMENT_PORT, DISTRIBUTION_PORT, METRICS_PORT = 5671, 15671, 25672, 15692
USER = VIRTUAL_HOST = "deployon"
TLS_CONFIG = "/etc/rabbitmq/inter_node_tls.config"
COOKIE = "/var/lib/rabbitmq/.erlang.cookie"


def node_name(host: Host) -> str:
    """As RabbitMQ calls it."""
    return f"rabbit@{host.name}"


def counting(files: Sequence[RenderedFile]) -> list[RenderedFile]:
    """What a node at work reads at each start: with whom it forms a cluster counts at its first one alone."""
    found = []
    for each in files:
        lines = [line for line in each.content.splitlines() if not line.startswith("cluster_formation.")]
        found.append(replace(each, content="\n".join(lines)))
    return found


def files(layout: Layout, host: Host, passwords: Passwords, memory_mb: int) -> list[RenderedFile]:
    own, group = "rabbitmq", "rabbitmq"
    return [
        RenderedFile("/etc/rabbitmq/rabbitmq.conf", _settings(layout, host, memory_mb), own, group, 0o640),
        RenderedFile("/etc/rabbitmq/rabbitmq-env.conf", _environment(host), own, group, 0o640),
        RenderedFile(TLS_CONFIG, _inter_node_tls(), own, group, 0o640),
        # Tasks are acknowledged late and may take hours: the broker must not take a consumer for dead after half an hour.
        RenderedFile(
            "/etc/rabbitmq/advanced.config", "[{rabbit, [{consumer_timeout, undefined}]}].\n", own, group, 0o640
        ),
        RenderedFile(
            "/etc/rabbitmq/enabled_plugins", "[rabbitmq_management,rabbitmq_prometheus].\n", own, group, 0o640
        ),
        RenderedFile(COOKIE, passwords.erlang_cookie, own, group, 0o400),
        RenderedFile(
            "/etc/systemd/system/rabbitmq-server.service.d/deployon.conf",
            "[Service]\nRestart=always\nRestartSec=5\nLimitNOFILE=65536\n",
        ),
    ]


def _settings(layout: Layout, host: Host, memory_mb: int) -> str:
    nodes = layout.having(Part.QUEUE)
    lines = [
        "listeners.tcp = none",
        # Not every address: a balancer on the same host has the virtual one.
        *(f"listeners.ssl.{number} = {_with_port(address)}" for number, address in enumerate(_addresses(host), 1)),
        *_certificates("ssl_options"),
        "ssl_options.verify = verify_peer",
        "ssl_options.fail_if_no_peer_cert = false",
        "ssl_options.versions.1 = tlsv1.3",
        "ssl_options.versions.2 = tlsv1.2",
        f"management.ssl.port = {MANAGEMENT_PORT}",
        *_certificates("management.ssl"),
        "prometheus.tcp.ip = 127.0.0.1",
        f"prometheus.tcp.port = {METRICS_PORT}",
        f"distribution.listener.port_range.min = {DISTRIBUTION_PORT}",
        f"distribution.listener.port_range.max = {DISTRIBUTION_PORT}",
        "cluster_partition_handling = pause_minority",
        # What is a node's share of a host that has other parts, too: the default counts the memory of the whole machine.
        f"vm_memory_high_watermark.absolute = {max(256, memory_mb // 5)}MB",
        "disk_free_limit.absolute = 500MB",
        "net_ticktime = 10",
        "loopback_users.guest = true",
    ]
    if len(nodes) > 1:
        lines.append("cluster_formation.peer_discovery_backend = classic_config")
        lines += [
            f"cluster_formation.classic_config.nodes.{number} = {node_name(node)}"
            for number, node in enumerate(nodes, 1)
        ]
    return "\n".join(lines) + "\n"


def _addresses(host: Host) -> list[str]:
    return list(dict.fromkeys([*host.addresses.values(), "127.0.0.1"]))


def _with_port(address: str) -> str:
    return f"[{address}]:{AMQPS_PORT}" if ":" in address else f"{address}:{AMQPS_PORT}"


def _certificates(prefix: str) -> list[str]:
    return [
        f"{prefix}.cacertfile = {QUEUE.ca}",
        f"{prefix}.certfile = {QUEUE.certificate}",
        f"{prefix}.keyfile = {QUEUE.key}",
    ]


def _environment(host: Host) -> str:
    """The file is read by a shell, which finds where this release keeps Erlang's ssl."""
    arguments = f'"-pa $SSL_PATH -proto_dist inet_tls -ssl_dist_optfile {TLS_CONFIG}"'
    return (
        f"NODENAME={node_name(host)}\n"
        "SSL_PATH=$(echo /usr/lib/erlang/lib/ssl-*/ebin)\n"
        f"SERVER_ADDITIONAL_ERL_ARGS={arguments}\n"
        f"CTL_ERL_ARGS={arguments}\n"  # else rabbitmqctl does not reach the node
    )


def _inter_node_tls() -> str:
    files = f'{{cacertfile, "{QUEUE.ca}"}}, {{certfile, "{QUEUE.certificate}"}}, {{keyfile, "{QUEUE.key}"}}'
    return (
        f"[{{server, [{files}, {{secure_renegotiate, true}}, {{verify, verify_peer}}, {{fail_if_no_peer_cert, true}}]}},\n"
        f" {{client, [{files}, {{secure_renegotiate, true}}, {{verify, verify_peer}}]}}].\n"
    )
