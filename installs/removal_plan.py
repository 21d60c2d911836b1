"""The plan of one host's removal from a serving cluster: its work goes elsewhere, the others let it go, it is made clean. Pure functions."""

from __future__ import annotations

from installs.operations.balancer import ConfigureHAProxy, HAProxyIsHealthy
from installs.operations.database import ConfigurePatroni, PatroniIsHealthy
from installs.operations.database_members import HandOver, LeavePatroni, PatroniForgets, PatroniSettings
from installs.operations.etcd import ConfigureEtcd, EtcdIsHealthy
from installs.operations.etcd_members import LeaveEtcd
from installs.operations.hosts import SetNames
from installs.operations.leaving import ForgetHost, StopServices
from installs.operations.monitoring import ConfigureMonitoring
from installs.operations.purging import PurgeHost
from installs.operations.queue import ConfigureRabbitMQ, RabbitMQIsHealthy
from installs.operations.queue_members import GrowQueues, LeaveRabbitMQ
from installs.operations.settling import SettleCluster
from installs.plans import ROWS, OneOfHost, lane_of, managers_of
from inventory.layout import Host, Layout, Part
from runs.operations import Operation
from runs.plans import Lane, Stage, lane, stage


def removal_stages(cluster_id: int, rest: Layout, leaving: Host, *, is_lost: bool = False) -> list[Stage]:
    """`rest` is the cluster without `leaving`. Of a lost host nothing is asked.

    Users go first, then the data move, then the members let it go, then all others forget it. Each step finds out by itself how far
    an earlier try came.
    """
    clean = [] if is_lost else [lane_of(cluster_id, leaving, [PurgeHost])]
    stages = [
        stage("Copies and leadership elsewhere", _elsewhere(cluster_id, rest, leaving, is_lost)),
        stage("Users elsewhere", _balancers(cluster_id, rest)),
        stage("Letting go", _letting_go(cluster_id, rest, leaving, is_lost)),
        stage("The others follow", _following(cluster_id, rest, leaving, is_lost)),
        stage("Management service", managers_of(cluster_id, rest, is_rolling=True)),
        stage("Hosts", [*clean, *[lane_of(cluster_id, host, _last_steps(host)) for host in rest.hosts]]),
        stage(ROWS, [lane("Portal", [ForgetHost(cluster_id, leaving.name), SettleCluster(cluster_id)])]),
    ]
    return [each for each in stages if each["lanes"]]


def _elsewhere(cluster_id: int, rest: Layout, leaving: Host, is_lost: bool) -> list[Lane]:
    """What would be missed is had by others before anything ends."""
    lanes = []
    if leaving.has(Part.DATABASE) and not is_lost:
        lanes.append(lane("Database", [HandOver(cluster_id, leaving.name)]))
    if leaving.has(Part.QUEUE) and rest.having(Part.QUEUE):
        lanes.append(lane("Queue", [GrowQueues(cluster_id, host.name) for host in rest.having(Part.QUEUE)]))
    return lanes


def _balancers(cluster_id: int, rest: Layout) -> list[Lane]:
    return [lane_of(cluster_id, host, [ConfigureHAProxy]) for host in rest.having(Part.BALANCER)]


def _letting_go(cluster_id: int, rest: Layout, leaving: Host, is_lost: bool) -> list[Lane]:
    lanes = []
    databases, queues = rest.having(Part.DATABASE), rest.having(Part.QUEUE)
    if leaving.has(Part.DATABASE) and databases:
        steps: list[Operation] = [PatroniSettings(cluster_id, databases[0].name)]
        if not is_lost:
            steps.append(LeavePatroni(cluster_id, leaving.name))
        lanes.append(lane("Database", [*steps, PatroniForgets(cluster_id, databases[0].name, leaving.name)]))
    if leaving.has(Part.QUEUE) and queues:
        lanes.append(lane("Queue", [LeaveRabbitMQ(cluster_id, queues[0].name, leaving.name, is_lost)]))
    for part in (Part.MANAGER, Part.BALANCER):
        if leaving.has(part) and not is_lost:
            lanes.append(lane(f"{leaving.name}, {part}", [StopServices(cluster_id, leaving.name, str(part))]))
    return lanes


def _following(cluster_id: int, rest: Layout, leaving: Host, is_lost: bool) -> list[Lane]:
    """Patroni asks other members of etcd before that one goes; who may copy and sign in is told anew."""
    lanes = []
    databases, members, queues = (rest.having(part) for part in (Part.DATABASE, Part.ETCD, Part.QUEUE))
    steps: list[Operation] = [ConfigurePatroni(cluster_id, host.name) for host in databases]
    if leaving.has(Part.ETCD) and members:
        steps.append(LeaveEtcd(cluster_id, members[0].name, leaving.name, is_lost))
        steps += [ConfigureEtcd(cluster_id, host.name) for host in members]
        steps.append(EtcdIsHealthy(cluster_id, members[0].name))
    if databases:
        steps.append(PatroniIsHealthy(cluster_id, databases[0].name))
    if steps:
        lanes.append(lane("Database", steps))
    if leaving.has(Part.QUEUE) and queues:
        told: list[Operation] = [ConfigureRabbitMQ(cluster_id, host.name) for host in queues]
        lanes.append(lane("Queue", [*told, RabbitMQIsHealthy(cluster_id, queues[0].name)]))
    return lanes


def _last_steps(host: Host) -> list[OneOfHost]:
    healthy: list[OneOfHost] = [HAProxyIsHealthy] if host.has(Part.BALANCER) else []
    return [SetNames, ConfigureMonitoring, *healthy]
