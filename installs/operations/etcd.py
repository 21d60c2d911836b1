"""etcd: its members begin at the same time, since none of them is ready before a majority is."""

from __future__ import annotations

import dataclasses
import json
from typing import ClassVar

from installs.operations.applying import Configure, Gate
from installs.rendering import etcd
from installs.rendering.pki_paths import ETCD
from installs.rendering.values import RenderedFile
from installs.wanted import Wanted
from inventory.connectors.ssh import Command, Host
from inventory.layout import Part
from runs.operations import Context, Later, operation


@operation("etcd.configure")
@dataclasses.dataclass(frozen=True)
class ConfigureEtcd(Configure):
    """Have etcd at work on one host. It is not waited for: alone it cannot be ready."""

    service: ClassVar[str] = "etcd"

    def files(self, context: Context, wanted: Wanted, host: Host) -> list[RenderedFile]:
        return etcd.files(wanted.layout, wanted.layout.host(self.host), wanted.passwords)

    def look(self, context: Context, host: Host) -> bool | Later:
        is_begun = host.test(Command("systemctl", "is-enabled", "--quiet", "etcd")) and not host.test(
            Command("systemctl", "is-failed", "--quiet", "etcd")
        )
        return is_begun and super().look(context, host)

    def tell(self, wanted: Wanted, host: Host) -> None:
        """A member that runs goes on: who belongs to the cluster is in its data, the file counts at its first start only."""
        host.run(Command("systemctl", "daemon-reload"))
        host.run(Command("systemctl", "enable", "etcd"))
        if not host.test(Command("systemctl", "is-active", "--quiet", "etcd")):
            # The package may have begun a cluster of one, in a folder that we do not use.
            host.run(Command("rm", "-rf", "/var/lib/etcd/default"))
            host.run(Command("systemctl", "reset-failed", "etcd"), codes=None)
            host.run(Command("systemctl", "restart", "--no-block", "etcd"))


@operation("etcd.healthy")
@dataclasses.dataclass(frozen=True)
class EtcdIsHealthy(Gate):
    """Every member answers."""

    def describe(self) -> str:
        return "Wait until etcd has a quorum"

    def fault(self, context: Context, host: Host) -> str:
        wanted = self.wanted(context)
        answer = host.run(etcdctl(wanted, "endpoint", "health", "--write-out=json"), codes=None, timeout=20)
        try:
            healthy = [str(each["endpoint"]) for each in json.loads(answer.stdout) if each.get("health")]
        except (ValueError, TypeError, KeyError):
            healthy = []
        ill = [
            each.name
            for each in wanted.layout.having(Part.ETCD)
            if not any(f"//{each.private_address}:" in endpoint for endpoint in healthy)
        ]
        return f"Waiting for quorum of etcd: {', '.join(ill)} not answering yet." if ill else ""


def etcdctl(wanted: Wanted, *words: str) -> Command:
    """A command of etcdctl against all members, known by the certificate of this host."""
    endpoints = ",".join(f"https://{endpoint}" for endpoint in etcd.endpoints(wanted.layout))
    tls = [f"--cacert={ETCD.ca}", f"--cert={ETCD.certificate}", f"--key={ETCD.key}"]
    return Command("env", "ETCDCTL_API=3", "etcdctl", f"--endpoints={endpoints}", *tls, *words)
