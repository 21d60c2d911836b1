"""The last step of work on a cluster: the portal's own rows say what stands now. No host is touched."""

from __future__ import annotations

import dataclasses

from django.db import transaction

from inventory.clusters import move_cluster
from inventory.models import Cluster, ClusterNode
from runs.operations import Context, Later, Operation, OperationError, operation


@operation("cluster.settle")
@dataclasses.dataclass(frozen=True)
class SettleCluster(Operation):
    """Have the rows of cluster and hosts say that they are installed, or (`is_installed` False) clean again."""

    cluster: int
    is_installed: bool = True

    def describe(self) -> str:
        return "Note that the cluster is ready" if self.is_installed else "Note that the hosts are clean"

    def check(self, context: Context) -> bool | Later:
        cluster, state, of_host = self._wanted()
        return cluster.state == state and not self._unsettled(cluster, of_host)

    def apply(self, context: Context) -> Later | None:
        cluster, state, of_host = self._wanted()
        with transaction.atomic():
            for node in self._unsettled(cluster, of_host):
                node.move(of_host, only_from=list(ClusterNode.State.values))
            move_cluster(cluster, state, only_from=list(Cluster.State.values))
        return None

    def _unsettled(self, cluster: Cluster, of_host: str) -> list[ClusterNode]:
        """Hosts of this work that have another state: who was described meanwhile, or leaves, is not of an install."""
        nodes = list(cluster.nodes.all())
        if self.is_installed:
            nodes = [node for node in nodes if node.is_at_work] or nodes
        return [node for node in nodes if node.state != of_host]

    def _wanted(self) -> tuple[Cluster, str, str]:
        """(the cluster, its state, that of its hosts)"""
        cluster = Cluster.objects.filter(pk=self.cluster).first()
        if cluster is None:
            raise OperationError("This cluster is not there any more; its hosts were left as they are.", cause="gone")
        if self.is_installed:
            return cluster, Cluster.State.READY, ClusterNode.State.INSTALLED
        return cluster, Cluster.State.PLANNED, ClusterNode.State.PLANNED
