"""Plans of clusters: which operations on which hosts, in which order and what beside what. Pure functions; no host is touched."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from installs.operations.apart import KeepLeadersApart
from installs.operations.balancer import ConfigureHAProxy, HAProxyIsHealthy
from installs.operations.certificates import PlaceCertificates
from installs.operations.database import ConfigurePatroni, MakeDatabase, PatroniIsHealthy
from installs.operations.etcd import ConfigureEtcd, EtcdIsHealthy
from installs.operations.hosts import InstallPackages, PurgeHost, PushBundle, SetNames
from installs.operations.management import ConfigureManager, InstallProduct, MakeAdministrator, ManagerIsHealthy
from installs.operations.monitoring import ConfigureMonitoring
from installs.operations.queue import ConfigureRabbitMQ, MakeVirtualHost, RabbitMQIsHealthy
from installs.operations.settling import SettleCluster
from installs.rendering import apart
from inventory.layout import Host, Layout, Part
from runs.operations import Operation
from runs.plans import Lane, Stage, lane, stage

OneOfHost = Callable[[int, str], Operation]


def install_stages(cluster_id: int, layout: Layout, *, is_rolling: bool = False) -> list[Stage]:
    """From bare hosts to a cluster. `is_rolling`: it serves already, so its managers are taken one after another.

    Packages everywhere come first and side by side, for they take longest; database beside queue; the service when it has both.
    """
    stages = [
        stage("Hosts", [_lane(cluster_id, host, _host_steps(host)) for host in layout.hosts]),
        stage("Data services", _begin_data(cluster_id, layout)),
        stage("Database and queue", _settle_data(cluster_id, layout)),
        stage("Management service", _managers(cluster_id, layout, is_rolling)),
        stage("Entrance and monitoring", _entrance(cluster_id, layout)),
        stage("Rows", [lane("Portal", [SettleCluster(cluster_id)])]),
    ]
    return [each for each in stages if each["lanes"]]


def remove_stages(cluster_id: int, layout: Layout) -> list[Stage]:
    """Every host clean again, all at once."""
    return [
        stage("Hosts", [_lane(cluster_id, host, [PurgeHost]) for host in layout.hosts]),
        stage("Rows", [lane("Portal", [SettleCluster(cluster_id, is_installed=False)])]),
    ]


def _lane(cluster_id: int, host: Host, kinds: Iterable[OneOfHost]) -> Lane:
    return lane(host.name, [kind(cluster_id, host.name) for kind in kinds])


def _host_steps(host: Host) -> list[OneOfHost]:
    """Certificates last: the users who may read them come with the packages and the product."""
    product: list[OneOfHost] = [InstallProduct] if host.has(Part.MANAGER) else []
    return [SetNames, PushBundle, InstallPackages, *product, PlaceCertificates]


def _begin_data(cluster_id: int, layout: Layout) -> list[Lane]:
    """etcd and RabbitMQ begin on all their hosts at once: none of them is ready before a majority is there."""
    lanes = []
    for host in layout.hosts:
        steps: list[OneOfHost] = []
        if host.has(Part.ETCD):
            steps.append(ConfigureEtcd)
        if host.has(Part.QUEUE):
            steps.append(ConfigureRabbitMQ)
        if steps:
            lanes.append(_lane(cluster_id, host, steps))
    return lanes


def _settle_data(cluster_id: int, layout: Layout) -> list[Lane]:
    """A lane for each database host, which waits for etcd itself; the first of them makes the roles. A lane for the queue."""
    lanes = []
    databases, queues, members = (layout.having(part) for part in (Part.DATABASE, Part.QUEUE, Part.ETCD))
    for number, host in enumerate(databases):
        steps: list[Operation] = []
        if members:
            steps.append(EtcdIsHealthy(cluster_id, members[number % len(members)].name))
        steps.append(ConfigurePatroni(cluster_id, host.name))
        if number == 0:
            steps += [PatroniIsHealthy(cluster_id, host.name), MakeDatabase(cluster_id, host.name)]
        lanes.append(lane(host.name, steps))
    if queues:
        first = queues[0].name
        lanes.append(lane("Queue", [RabbitMQIsHealthy(cluster_id, first), MakeVirtualHost(cluster_id, first)]))
    return lanes


def _managers(cluster_id: int, layout: Layout, is_rolling: bool) -> list[Lane]:
    """On a first install all at once, of which one makes the tables; where they serve already one after another."""
    managers = layout.having(Part.MANAGER)
    steps: list[list[Operation]] = []
    for number, host in enumerate(managers):
        end: list[Operation] = [MakeAdministrator(cluster_id, host.name)] if number == 0 else []
        steps.append([ConfigureManager(cluster_id, host.name), ManagerIsHealthy(cluster_id, host.name), *end])
    if is_rolling or not managers:
        return [lane("Managers", [each for one in steps for each in one])] if managers else []
    return [lane(host.name, each) for host, each in zip(managers, steps, strict=True)]


def _entrance(cluster_id: int, layout: Layout) -> list[Lane]:
    lanes = []
    for host in layout.hosts:
        steps: list[OneOfHost] = [ConfigureMonitoring]
        if host.has(Part.BALANCER):
            steps = [ConfigureHAProxy, ConfigureMonitoring, HAProxyIsHealthy]
        if apart.is_on(layout, host):
            steps.append(KeepLeadersApart)
        lanes.append(_lane(cluster_id, host, steps))
    return lanes
