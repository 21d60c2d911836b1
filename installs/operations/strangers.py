"""Members that the portal knows nothing of, such as those of a host that was forgotten by force: the others let them go."""

from __future__ import annotations

import dataclasses
import shlex
from typing import Any

from installs.operations import database, etcd_members, queue_members
from installs.operations.etcd import etcdctl
from installs.operations.queue import ctl, status_of
from installs.rendering import etcd, rabbitmq
from installs.steps import HostStep
from inventory.connectors.ssh import Host
from inventory.layout import Host as Member
from inventory.layout import Part
from inventory.models import ClusterNode
from runs.operations import Context, Later, OperationError, operation

NAMES = {Part.ETCD: "etcd", Part.DATABASE: "PostgreSQL", Part.QUEUE: "RabbitMQ"}
UNITS = {Part.DATABASE: "patroni", Part.QUEUE: "rabbitmq-server"}


@operation("members.strangers")
@dataclasses.dataclass(frozen=True)
class LetStrangersGo(HostStep):
    """Have no members of one part but those of the cluster's hosts. Who leaves by a removal of its own is that removal's."""

    part: str

    def describe(self) -> str:
        return f"Look whether {NAMES[Part(self.part)]} has members that are no hosts of the cluster"

    def look(self, context: Context, host: Host) -> bool | Later:
        return not self._strangers(context, host)

    def act(self, context: Context, host: Host) -> Later | None:
        strangers = self._strangers(context, host)
        for name, what in strangers.items():
            context.say(f"{name} is no host of the cluster: {NAMES[Part(self.part)]} lets it go.", kind="warning")
            if self.part == Part.ETCD:
                own = [self.wanted(context).layout.host(self.host)]
                host.run(etcdctl(own, "member", "remove", f"{what['ID']:x}"), timeout=20)
                continue
            if what["runs"]:
                raise OperationError(
                    f"{name} is no host of the cluster any more, and its {NAMES[Part(self.part)]} still runs with the others. Switch "
                    f"that machine off, or run `systemctl disable --now {UNITS[Part(self.part)]}` there. Then resume.",
                    cause="stranger",
                )
            if self.part == Part.QUEUE:
                queue_members.shrink(host, f"rabbit@{name}")
                host.run(ctl("forget_cluster_node", f"rabbit@{name}"), timeout=60)
        if strangers and self.part == Part.DATABASE:  # its entry runs out by itself
            return Later(3.0, f"Waiting for Patroni: it still lists {', '.join(strangers)}.", deadline=180.0)
        return None

    def _strangers(self, context: Context, host: Host) -> dict[str, dict[str, Any]]:
        """Name -> what is known of it."""
        leaving = ClusterNode.objects.filter(cluster=self.cluster, state=ClusterNode.State.LEAVING)
        layout = self.wanted(context).layout
        known = [*layout.hosts, *(node.host() for node in leaving)]
        if self.part == Part.ETCD:
            return _of_etcd(etcd_members.members_of(host, [layout.host(self.host)]), known)
        names = {each.name for each in known}
        if self.part == Part.DATABASE:
            told = {str(each["Member"]): each for each in database.members_of(host)}
            idle = ("stopped", "start failed", "unknown", "crashed")
            return {name: {"runs": each.get("State") not in idle} for name, each in told.items() if name not in names}
        status = status_of(host)
        listed = queue_members.listed_in(status) - {rabbitmq.node_name(each) for each in known}
        running = queue_members.running_in(status)
        return {node.partition("@")[2]: {"runs": node in running} for node in sorted(listed)}


def _of_etcd(listed: list[dict[str, Any]], known: list[Member]) -> dict[str, dict[str, Any]]:
    """By peer URL: a member has no name before its first start."""
    urls = {f"//{each.private_address}:{etcd.PEER_PORT}" for each in known}
    return {
        str(each.get("name") or f"{each['ID']:x}"): each
        for each in listed
        if not any(url in peer for url in urls for peer in each.get("peerURLs", []))
    }


def commands_for(leaving: Member, part: Part, living: Member) -> list[str]:
    """What a person would do by hand at a living host of that part."""
    if part is Part.ETCD:
        etcdctl_words = shlex.join(etcdctl([living]).parts)
        return [
            f"{etcdctl_words} member list",
            f"{etcdctl_words} member remove ID  # that of the line with {leaving.private_address}:{etcd.PEER_PORT}",
        ]
    if part is Part.QUEUE:
        node = rabbitmq.node_name(leaving)
        return [f"rabbitmq-queues shrink {node}", f"rabbitmqctl forget_cluster_node {node}"]
    return [
        f"patronictl -c /etc/patroni/config.yml list  # {leaving.name} goes from it within a minute once its Patroni is stopped"
    ]
