"""Plans of clusters: which operations on which hosts, in which order and what beside what. Pure functions; no host is touched."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from installs.operations.apart import KeepLeadersApart
from installs.operations.balancer import ConfigureHAProxy, HAProxyIsHealthy
from installs.operations.certificates import PlaceCertificates
from installs.operations.database import ConfigurePatroni, MakeDatabase, PatroniIsHealthy
from installs.operations.database_members import PatroniSettings
from installs.operations.entrance import EntranceAnswers, VirtualAddressIsHeld
from installs.operations.etcd import ConfigureEtcd, EtcdIsHealthy, EtcdMemberIsHealthy
from installs.operations.etcd_members import JoinEtcd
from installs.operations.exposing import ExposeCluster
from installs.operations.external import MakeExternalDatabase, MakeExternalQueue
from installs.operations.hosts import InstallPackages, PushBundle, SetNames
from installs.operations.management import ConfigureManager, InstallProduct, MakeAdministrator, ManagerIsHealthy
from installs.operations.monitoring import ConfigureMonitoring
from installs.operations.purging import PurgeHost
from installs.operations.queue import ConfigureRabbitMQ, MakeVirtualHost, RabbitMQIsHealthy
from installs.operations.queue_copies import QueuesAreWhole
from installs.operations.queue_members import (
    AdmitRabbitMQ,
    GrowQueues,
    JoinRabbitMQ,
    RabbitMQNodeIsHealthy,
)
from installs.operations.settling import SettleCluster
from installs.operations.strangers import LetStrangersGo
from installs.rendering import apart
from inventory.host_names import is_address
from inventory.layout import Balancing, Host, Layout, Part
from runs.operations import Operation
from runs.plans import Lane, Stage, lane, stage

OneOfHost = Callable[[int, str], Operation]
HOST_STEPS: tuple[OneOfHost, ...] = (
    SetNames,
    PushBundle,
    InstallPackages,
    PlaceCertificates,
)  # their users come with packages
ROWS = "Rows"


def install_stages(
    cluster_id: int,
    layout: Layout,
    *,
    is_rolling: bool = False,
    joining: Collection[str] = (),
    is_exposed: bool = False,
) -> list[Stage]:
    """From bare hosts to a cluster. `is_rolling`: it serves already, so what votes or serves is taken one after another, and
    `joining` are the hosts that the others let in.

    Packages everywhere come first; then the database beside the queue, and beside both the product, which needs neither; the service
    when it has all three, and beside it monitoring, which asks again until somebody answers.
    """
    if is_rolling:
        begin, settle = [], _serving_data(cluster_id, layout, joining)
    else:
        begin, settle = _begin_data(cluster_id, layout), _settle_data(cluster_id, layout)
    stages = [
        stage("Hosts", [lane_of(cluster_id, host, HOST_STEPS) for host in layout.hosts]),
        stage("Data services", begin),
        stage("Database, queue and product", [*settle, *_products(cluster_id, layout)]),
        stage(
            "Management service and monitoring",
            [*managers_of(cluster_id, layout, is_rolling, joining), *_monitoring(cluster_id, layout)],
        ),
        stage("Entrance", _balancers(cluster_id, layout)),
        stage("Way in", _way_in(cluster_id, layout)),
        stage(
            ROWS, [lane("Portal", [SettleCluster(cluster_id), *([ExposeCluster(cluster_id)] if is_exposed else [])])]
        ),
    ]
    return [each for each in stages if each["lanes"]]


def verify_stages(cluster_id: int, layout: Layout) -> list[Stage]:
    """What is looked at on the hosts; the portal's rows follow from it."""
    return [each for each in install_stages(cluster_id, layout) if each["title"] != ROWS]


def remove_stages(cluster_id: int, layout: Layout) -> list[Stage]:
    """Every host clean again, all at once."""
    return [
        stage("Hosts", [lane_of(cluster_id, host, [PurgeHost]) for host in layout.hosts]),
        stage(ROWS, [lane("Portal", [SettleCluster(cluster_id, is_installed=False)])]),
    ]


def lane_of(cluster_id: int, host: Host, kinds: Iterable[OneOfHost]) -> Lane:
    """The steps of one host."""
    return lane(host.name, [kind(cluster_id, host.name) for kind in kinds])


def _products(cluster_id: int, layout: Layout) -> list[Lane]:
    return [
        lane(f"{host.name}, product", [InstallProduct(cluster_id, host.name)]) for host in layout.having(Part.MANAGER)
    ]


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
            lanes.append(lane_of(cluster_id, host, steps))
    return lanes


def _serving_data(cluster_id: int, layout: Layout, joining: Collection[str]) -> list[Lane]:
    """Database with etcd below it, and queue: two lanes, each member well before the next."""
    both = (
        ("Database", [*_roll_etcd(cluster_id, layout, joining), *_roll_database(cluster_id, layout, joining)]),
        ("Queue", _roll_queue(cluster_id, layout, joining)),
    )
    return [lane(title, steps) for title, steps in both if steps]


def _roll_etcd(cluster_id: int, layout: Layout, joining: Collection[str]) -> list[Operation]:
    members = members_first(layout.having(Part.ETCD), joining)
    steps: list[Operation] = _strangers(cluster_id, Part.ETCD, members)
    for host in members:
        if host.name in joining:
            steps.append(JoinEtcd(cluster_id, host.name))
        steps += [ConfigureEtcd(cluster_id, host.name), EtcdMemberIsHealthy(cluster_id, host.name)]
    return steps


def _roll_database(cluster_id: int, layout: Layout, joining: Collection[str]) -> list[Operation]:
    """The members know of a new database host before it copies from them."""
    databases = members_first(layout.having(Part.DATABASE), joining)
    if not databases:
        return []
    steps: list[Operation] = [EtcdIsHealthy(cluster_id, host.name) for host in layout.having(Part.ETCD)[:1]]
    steps += [ConfigurePatroni(cluster_id, host.name) for host in databases]
    steps += _strangers(cluster_id, Part.DATABASE, databases)
    return steps + [kind(cluster_id, databases[0].name) for kind in (PatroniIsHealthy, PatroniSettings, MakeDatabase)]


def _roll_queue(cluster_id: int, layout: Layout, joining: Collection[str]) -> list[Operation]:
    """New nodes are let in one after another; then queues grow onto them."""
    queues = members_first(layout.having(Part.QUEUE), joining)
    steps: list[Operation] = _strangers(cluster_id, Part.QUEUE, queues)
    for host in queues:
        kinds: list[OneOfHost] = [ConfigureRabbitMQ, RabbitMQNodeIsHealthy]
        if host.name in joining:
            kinds = [AdmitRabbitMQ, ConfigureRabbitMQ, JoinRabbitMQ, RabbitMQNodeIsHealthy]
        steps += [kind(cluster_id, host.name) for kind in kinds]
    if queues:
        steps += [kind(cluster_id, queues[0].name) for kind in (RabbitMQIsHealthy, MakeVirtualHost)]
        steps += [GrowQueues(cluster_id, host.name) for host in queues if host.name in joining]
        steps.append(QueuesAreWhole(cluster_id, queues[0].name))
    return steps


def members_first(hosts: Iterable[Host], joining: Collection[str]) -> list[Host]:
    """Those that serve already before those that are let in."""
    return sorted(hosts, key=lambda host: host.name in joining)


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
            steps += [*_strangers(cluster_id, Part.ETCD, members), *_strangers(cluster_id, Part.DATABASE, databases)]
            steps += [kind(cluster_id, host.name) for kind in (PatroniIsHealthy, PatroniSettings, MakeDatabase)]
        lanes.append(lane(host.name, steps))
    if queues:
        first = queues[0].name
        kinds: tuple[OneOfHost, ...] = (RabbitMQIsHealthy, MakeVirtualHost, QueuesAreWhole)
        steps = [*_strangers(cluster_id, Part.QUEUE, queues), *[kind(cluster_id, first) for kind in kinds]]
        lanes.append(lane("Queue", steps))
    managers = layout.having(Part.MANAGER)
    if managers and layout.external_database:
        lanes.append(lane("External PostgreSQL", [MakeExternalDatabase(cluster_id, managers[0].name)]))
    if managers and layout.external_queue:
        lanes.append(lane("External RabbitMQ", [MakeExternalQueue(cluster_id, managers[0].name)]))
    return lanes


def _strangers(cluster_id: int, part: Part, members: Sequence[Host]) -> list[Operation]:
    """What a host that was forgotten by force left with the others goes before anything is asked of all."""
    return [LetStrangersGo(cluster_id, members[0].name, str(part))] if members else []


def managers_of(cluster_id: int, layout: Layout, is_rolling: bool, joining: Collection[str] = ()) -> list[Lane]:
    """All at once on a first install, and those that join: one of them makes the tables. Of those that serve at most half at once."""
    managers = layout.having(Part.MANAGER)
    steps: dict[str, list[Operation]] = {}
    for number, host in enumerate(managers):
        end: list[Operation] = [MakeAdministrator(cluster_id, host.name)] if number == 0 else []
        steps[host.name] = [ConfigureManager(cluster_id, host.name), ManagerIsHealthy(cluster_id, host.name), *end]
    serving = [host.name for host in managers if is_rolling and host.name not in joining]
    beside = max(1, len(serving) // 2)
    groups = [serving[start::beside] for start in range(beside)] if serving else []
    groups += [[name] for name in steps if name not in serving]
    return [lane(", ".join(names), [each for name in names for each in steps[name]]) for names in groups]


def _monitoring(cluster_id: int, layout: Layout) -> list[Lane]:
    lanes = []
    for host in layout.hosts:
        steps: list[OneOfHost] = [ConfigureMonitoring, *([KeepLeadersApart] if apart.is_on(layout, host) else [])]
        lanes.append(lane(f"{host.name}, monitoring", [kind(cluster_id, host.name) for kind in steps]))
    return lanes


def _balancers(cluster_id: int, layout: Layout) -> list[Lane]:
    return [lane_of(cluster_id, host, [ConfigureHAProxy, HAProxyIsHealthy]) for host in layout.having(Part.BALANCER)]


def _way_in(cluster_id: int, layout: Layout) -> list[Lane]:
    """What users meet, looked at from a manager; not where its name may be known to users alone and the balancer is ours."""
    managers, balancers = layout.having(Part.MANAGER), layout.having(Part.BALANCER)
    steps: list[Operation] = []
    if layout.balancing is Balancing.OURS and len(balancers) > 1:
        steps.append(VirtualAddressIsHeld(cluster_id, balancers[0].name))
    if managers and (
        layout.balancing is Balancing.THEIRS or (layout.balancing is Balancing.OURS and is_address(layout.entrance))
    ):
        steps.append(EntranceAnswers(cluster_id, managers[0].name))
    return [lane("Entrance", steps)] if steps else []
