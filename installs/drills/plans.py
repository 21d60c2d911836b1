"""The plan of a drill, a pure function: everything is well; the counter is written; the blow, beside it the counter; all well again."""

from __future__ import annotations

from installs.drills.operations import ChooseHosts, NoteHealed, ReadCounter, StartWriter, Strike
from installs.operations.balancer import HAProxyIsHealthy
from installs.operations.database import PatroniIsHealthy
from installs.operations.etcd import EtcdIsHealthy
from installs.operations.management import ManagerIsHealthy
from installs.operations.queue import RabbitMQIsHealthy
from inventory.layout import Layout, Part
from runs.operations import Operation
from runs.plans import Stage, lane, stage


def drill_stages(cluster_id: int, layout: Layout, kind: str) -> list[Stage]:
    """The same looks before and after; between them the counter and the blow go on side by side."""
    return [
        stage("Before", [lane("Health", health(cluster_id, layout))]),
        stage("Counter", [lane("Counter", [ChooseHosts(cluster_id), StartWriter(cluster_id)])]),
        stage(
            "Drill",
            [
                lane("Blow", [Strike(cluster_id, kind=kind), *health(cluster_id, layout), NoteHealed(cluster_id)]),
                lane("Counter", [ReadCounter(cluster_id)]),
            ],
        ),
    ]


def health(cluster_id: int, layout: Layout) -> list[Operation]:
    """Every part is whole, as an install waits for it too."""
    found: list[Operation] = []
    if members := layout.having(Part.ETCD):
        found.append(EtcdIsHealthy(cluster_id, members[0].name))
    if databases := layout.having(Part.DATABASE):
        found.append(PatroniIsHealthy(cluster_id, databases[0].name))
    if queues := layout.having(Part.QUEUE):
        found.append(RabbitMQIsHealthy(cluster_id, queues[0].name))
    found += [ManagerIsHealthy(cluster_id, host.name) for host in layout.having(Part.MANAGER)]
    found += [HAProxyIsHealthy(cluster_id, host.name) for host in layout.having(Part.BALANCER)]
    return found
