"""The end of a host's part in a cluster: its services stopped where others serve, and its row and certificates gone."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from django.db import transaction

from installs import certificates
from installs.operations import management
from installs.operations.database_members import is_at_work
from installs.steps import HostStep
from inventory import cluster_hosts
from inventory.connectors.ssh import Command, Host
from inventory.layout import Part
from inventory.models import Cluster, ClusterNode
from runs.operations import Context, Later, Operation, operation

# keepalived first: the address goes to the other balancer before this one ends.
UNITS: dict[str, tuple[str, ...]] = {Part.MANAGER: management.UNITS, Part.BALANCER: ("keepalived", "haproxy")}
NAMES = {Part.MANAGER: "the management service", Part.BALANCER: "the load balancer"}


@operation("host.stop")
@dataclasses.dataclass(frozen=True)
class StopServices(HostStep):
    """Have the services of one part of a host stopped for good. What they have in hand they finish; users are elsewhere by now."""

    part: str

    seconds: ClassVar[int] = 150

    def describe(self) -> str:
        return f"Stop {NAMES[Part(self.part)]} on {self.host}"

    def look(self, context: Context, host: Host) -> bool | Later:
        return not any(is_at_work(host, unit) for unit in UNITS[self.part])

    def act(self, context: Context, host: Host) -> Later | None:
        for unit in UNITS[self.part]:
            if is_at_work(host, unit):
                host.run(Command("systemctl", "disable", "--now", unit), timeout=self.seconds)
        return None


@operation("cluster.forget_host")
@dataclasses.dataclass(frozen=True)
class ForgetHost(Operation):
    """Have the portal's rows know nothing of a host that left: its certificate is marked, its key destroyed."""

    cluster: int
    host: str

    def describe(self) -> str:
        return f"Forget {self.host} and destroy its key"

    def check(self, context: Context) -> bool | Later:
        return not ClusterNode.objects.filter(cluster=self.cluster, name=self.host).exists()

    def apply(self, context: Context) -> Later | None:
        cluster = Cluster.objects.filter(pk=self.cluster).first()
        node = ClusterNode.objects.filter(cluster=self.cluster, name=self.host).select_related("cluster").first()
        if cluster is None or node is None:
            return None
        with transaction.atomic():
            certificates.retire_host(cluster=cluster, name=self.host)
            cluster_hosts.forget_host(node=node)
        return None
