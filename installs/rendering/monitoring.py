"""Configuration of monitoring: Prometheus with TLS and a user of its own on every host, exporters on loopback, rules; managers gather from all."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Any

import bcrypt
import yaml

from installs.rendering import etcd, haproxy, management, monitoring_rules, rabbitmq
from installs.rendering.measuring import PORT, USER
from installs.rendering.pki_paths import MONITORING
from installs.rendering.values import Passwords, RenderedFile
from inventory.layout import Host, Layout, Part

NODE_PORT, POSTGRES_PORT, BLACKBOX_PORT = 9100, 9187, 9115
_HASH_ROUNDS = 10
# The units whose state is watched, by part.
UNITS: dict[Part, tuple[str, ...]] = {
    Part.ETCD: ("etcd",),
    Part.DATABASE: ("patroni", "prometheus-postgres-exporter"),
    Part.QUEUE: ("rabbitmq-server",),
    Part.MANAGER: ("deployon-web", "deployon-worker@1", "deployon-worker@2", "nginx", "prometheus-blackbox-exporter"),
    Part.BALANCER: ("haproxy",),
}
EVERYWHERE = ("prometheus", "prometheus-node-exporter")


def units_of(layout: Layout, host: Host) -> tuple[str, ...]:
    """The services that run on a host, without `.service`."""
    pair = ("keepalived",) if haproxy.is_paired(layout, host) else ()
    return (*(unit for part in Part if host.has(part) for unit in UNITS[part]), *pair, *EVERYWHERE)


def files(layout: Layout, host: Host, passwords: Passwords) -> list[RenderedFile]:
    found = [
        _yaml("/etc/prometheus/prometheus.yml", configuration(layout, host), "root", "prometheus", 0o640),
        _yaml("/etc/prometheus/deployon-rules.yml", monitoring_rules.rules(layout, host)),
        _yaml("/etc/prometheus/web.yml", _web(passwords), "root", "prometheus", 0o640),
        RenderedFile(
            "/etc/default/prometheus",
            _arguments(
                f"--web.listen-address={_listen(host, PORT)}",
                "--web.config.file=/etc/prometheus/web.yml",
                "--storage.tsdb.retention.time=7d",
                "--storage.tsdb.retention.size=200MB",
                "--query.lookback-delta=40s",
            ),
        ),
        RenderedFile(
            "/etc/default/prometheus-node-exporter",
            _arguments(
                f"--web.listen-address=127.0.0.1:{NODE_PORT}",
                "--collector.systemd",
                f"--collector.systemd.unit-include=({'|'.join(units_of(layout, host))})\\\\.service",
                # Who of two balancers holds the virtual address.
                *(["--collector.netdev.address-info"] if haproxy.is_paired(layout, host) else []),
            ),
        ),
    ]
    if host.has(Part.MANAGER):
        # Others are asked with this password, which Prometheus reads from a file.
        found.append(RenderedFile("/etc/prometheus/password", passwords.monitoring, "root", "prometheus", 0o640))
        found.append(_yaml("/etc/prometheus/blackbox.yml", _blackbox(host)))
        found.append(
            RenderedFile(
                "/etc/default/prometheus-blackbox-exporter",
                _arguments(
                    f"--web.listen-address=127.0.0.1:{BLACKBOX_PORT}", "--config.file=/etc/prometheus/blackbox.yml"
                ),
            )
        )
    if host.has(Part.DATABASE):
        found += [
            RenderedFile(
                "/etc/default/prometheus-postgres-exporter",
                "DATA_SOURCE_NAME='user=prometheus host=/var/run/postgresql dbname=postgres sslmode=disable'\n"
                + _arguments(f"--web.listen-address=127.0.0.1:{POSTGRES_PORT}"),
            ),
            # It gives up where PostgreSQL is not there yet, which is so during an install and a failover.
            RenderedFile(
                "/etc/systemd/system/prometheus-postgres-exporter.service.d/deployon.conf",
                "[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=always\nRestartSec=5\n",
            ),
        ]
    return found


def counting(files: Sequence[RenderedFile], unit: str) -> list[RenderedFile]:
    """What this unit reads at its start alone: its arguments, its drop-in, and what blackbox asks by."""
    names = (f"/etc/default/{unit}", f"/etc/systemd/system/{unit}.service.d/deployon.conf")
    own = ("/etc/prometheus/blackbox.yml",) if unit == "prometheus-blackbox-exporter" else ()
    return [each for each in files if each.path in (*names, *own)]


def configuration(layout: Layout, host: Host) -> dict[str, Any]:
    """What one host's Prometheus gathers: its own exporters; on a manager also what all others have gathered."""
    jobs = [_job("node", f"127.0.0.1:{NODE_PORT}", host)]
    if host.has(Part.ETCD):
        jobs.append(_job("etcd", f"127.0.0.1:{etcd.METRICS_PORT}", host))
    if host.has(Part.DATABASE):
        jobs.append(_job("postgresql", f"127.0.0.1:{POSTGRES_PORT}", host))
        patroni = _job("patroni", f"{host.private_address}:8008", host)
        jobs.append(patroni | {"scheme": "https", "tls_config": {"ca_file": MONITORING.ca}})
    if host.has(Part.QUEUE):
        jobs += [_job("rabbitmq", f"127.0.0.1:{rabbitmq.METRICS_PORT}", host), _queues(host)]
    if host.has(Part.BALANCER):
        jobs.append(_job("haproxy", f"127.0.0.1:{haproxy.METRICS_PORT}", host))
    if host.has(Part.MANAGER):
        jobs.append(_probes(host))
        jobs.append(_service(host))
        if others := [other for other in layout.hosts if other.name != host.name]:
            jobs.append(_federation(others))
    return {
        "global": {
            "scrape_interval": f"{monitoring_rules.SCRAPE_SECONDS}s",
            "evaluation_interval": f"{monitoring_rules.SCRAPE_SECONDS}s",
            "external_labels": {"cluster": layout.name},
        },
        "rule_files": ["/etc/prometheus/deployon-rules.yml"],
        "scrape_configs": jobs,
    }


def _job(name: str, target: str, host: Host) -> dict[str, Any]:
    return {"job_name": name, "static_configs": [{"targets": [target], "labels": _labels(host)}]}


def _queues(host: Host) -> dict[str, Any]:
    """Each quorum queue of which a copy runs here (its term of Raft), and each that is led from here (its messages)."""
    job = _job("queues", f"127.0.0.1:{rabbitmq.METRICS_PORT}", host)
    kept = "rabbitmq_detailed_(raft_term_total|queue_messages)|up"
    return job | {
        "metrics_path": "/metrics/detailed",
        "params": {"family": ["ra_metrics", "queue_coarse_metrics"], "vhost": [rabbitmq.VIRTUAL_HOST]},
        "metric_relabel_configs": [{"source_labels": ["__name__"], "regex": kept, "action": "keep"}],
    }


def _labels(host: Host) -> dict[str, Any]:
    return {"host": host.private_address, "hostname": host.name}


def _probes(host: Host) -> dict[str, Any]:
    """The service's own pages, asked as a load balancer asks."""
    targets = [
        f"https://{host.private_address}:{management.INTERNAL_PORT}{path}" for path in ("/readyz", "/api/v3.1/ok")
    ]
    return {
        "job_name": "manager",
        "metrics_path": "/probe",
        "params": {"module": ["manager"]},
        "static_configs": [{"targets": targets, "labels": _labels(host)}],
        "relabel_configs": [
            {"source_labels": ["__address__"], "target_label": "__param_target"},
            {"source_labels": ["__param_target"], "target_label": "instance"},
            {"target_label": "__address__", "replacement": f"127.0.0.1:{BLACKBOX_PORT}"},
        ],
    }


def _service(host: Host) -> dict[str, Any]:
    """The service's own figures, which it gives to whoever has the password."""
    job = _job("deployon", f"127.0.0.1:{management.WEB_PORT}", host)
    return job | {"authorization": {"type": "Bearer", "credentials_file": "/etc/prometheus/password"}}


def _federation(others: list[Host]) -> dict[str, Any]:
    return {
        "job_name": "federation",
        "honor_labels": True,
        "metrics_path": "/federate",
        "scheme": "https",
        "params": {"match[]": ['{job!="federation",job!=""}']},
        "tls_config": {"ca_file": MONITORING.ca},
        "basic_auth": {"username": USER, "password_file": "/etc/prometheus/password"},
        "static_configs": [{"targets": [_listen(other, PORT) for other in others]}],
    }


def _blackbox(host: Host) -> dict[str, Any]:
    """Asks by address, since that is what the certificate names and a name server is not needed."""
    return {
        "modules": {
            "manager": {
                "prober": "http",
                "timeout": "5s",
                "http": {
                    "valid_status_codes": [200],
                    "fail_if_not_ssl": True,
                    "tls_config": {"ca_file": MONITORING.ca},
                    "preferred_ip_protocol": "ip6" if ":" in host.private_address else "ip4",
                },
            }
        }
    }


def _web(passwords: Passwords) -> dict[str, Any]:
    return {
        "tls_server_config": {
            "cert_file": MONITORING.certificate,
            "key_file": MONITORING.key,
            "min_version": "TLS12",
        },
        "basic_auth_users": {USER: stable_hash(passwords.monitoring)},
    }


def stable_hash(password: str) -> str:
    """bcrypt of a long random password, the same each time: a file that changed with every rendering would restart Prometheus."""
    salt = hashlib.sha256(b"deployon monitoring" + password.encode()).digest()[:16]
    prefix = f"$2b${_HASH_ROUNDS:02d}$".encode()
    return bcrypt.hashpw(password.encode(), prefix + _bcrypt_base64(salt)).decode()


def _bcrypt_base64(salt: bytes) -> bytes:
    """bcrypt writes base 64 with an alphabet of its own: 16 bytes are 22 letters."""
    usual = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    its_own = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    return base64.b64encode(salt).rstrip(b"=").translate(bytes.maketrans(usual, its_own))


def _listen(host: Host, port: int) -> str:
    address = host.private_address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _arguments(*arguments: str) -> str:
    return f'ARGS="{" ".join(arguments)}"\n'


def _yaml(path: str, value: Any, owner: str = "root", group: str = "root", mode: int = 0o644) -> RenderedFile:
    return RenderedFile(path, yaml.safe_dump(value, sort_keys=False, width=160), owner, group, mode)
