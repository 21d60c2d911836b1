"""Configuration of etcd: where the database hosts agree on their leader. Clients and peers are known by certificates of the cluster's CA."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from installs.rendering.pki_paths import ETCD
from installs.rendering.values import RELEASES, Passwords, RenderedFile
from inventory.layout import Host, Layout, Part

DATA_FOLDER = "/var/lib/etcd/deployon"  # not the package's own, in which it has begun a cluster of one
CLIENT_PORT, PEER_PORT, METRICS_PORT = 2379, 2380, 2381


def members(layout: Layout) -> list[str]:
    """`name=peer URL` of each."""
    return [f"{host.name}=https://{host.private_address}:{PEER_PORT}" for host in layout.having(Part.ETCD)]


def endpoints(layout: Layout) -> list[str]:
    """`address:port` for clients."""
    return [f"{host.private_address}:{CLIENT_PORT}" for host in layout.having(Part.ETCD)]


def counting(files: Sequence[RenderedFile]) -> list[RenderedFile]:
    """What a member at work reads at each start: who belongs to the cluster is in its data from the first one on."""
    found = []
    for each in files:
        lines = [line for line in each.content.splitlines() if not line.startswith("ETCD_INITIAL_CLUSTER")]
        found.append(replace(each, content="\n".join(lines)))
    return found


def files(layout: Layout, host: Host, passwords: Passwords, present: Sequence[str] | None = None) -> list[RenderedFile]:
    """`present`: the members (`name=peer URL`) of the running cluster that this host joins; without, it begins one with the others."""
    own = host.private_address
    settings = {
        "ETCD_NAME": host.name,
        "ETCD_DATA_DIR": DATA_FOLDER,
        "ETCD_LISTEN_PEER_URLS": f"https://{own}:{PEER_PORT}",
        "ETCD_LISTEN_CLIENT_URLS": f"https://{own}:{CLIENT_PORT},https://127.0.0.1:{CLIENT_PORT}",
        "ETCD_INITIAL_ADVERTISE_PEER_URLS": f"https://{own}:{PEER_PORT}",
        "ETCD_ADVERTISE_CLIENT_URLS": f"https://{own}:{CLIENT_PORT}",
        "ETCD_INITIAL_CLUSTER": ",".join(members(layout) if present is None else present),
        "ETCD_INITIAL_CLUSTER_STATE": "new" if present is None else "existing",
        "ETCD_INITIAL_CLUSTER_TOKEN": passwords.etcd_token,
        "ETCD_CERT_FILE": ETCD.certificate,
        "ETCD_KEY_FILE": ETCD.key,
        "ETCD_TRUSTED_CA_FILE": ETCD.ca,
        "ETCD_CLIENT_CERT_AUTH": "true",
        "ETCD_PEER_CERT_FILE": ETCD.certificate,
        "ETCD_PEER_KEY_FILE": ETCD.key,
        "ETCD_PEER_TRUSTED_CA_FILE": ETCD.ca,
        "ETCD_PEER_CLIENT_CERT_AUTH": "true",
        "ETCD_LISTEN_METRICS_URLS": f"http://127.0.0.1:{METRICS_PORT}",
        "ETCD_HEARTBEAT_INTERVAL": "100",
        "ETCD_ELECTION_TIMEOUT": "1000",
        "ETCD_AUTO_COMPACTION_RETENTION": "1",
    }
    if RELEASES[layout.release].etcd_interface == "etcd":
        settings["ETCD_ENABLE_V2"] = "true"
    text = "".join(f"{name}={value}\n" for name, value in settings.items())
    # The package's unit gives up after a clean exit; a member that lost its disk for a moment should come back.
    override = "[Service]\nRestart=always\nRestartSec=2\nLimitNOFILE=65536\n"
    return [
        RenderedFile("/etc/default/etcd", text, "root", "etcd", 0o640),
        RenderedFile("/etc/systemd/system/etcd.service.d/deployon.conf", override),
    ]
