"""Nodes of a serving RabbitMQ: one let in, one let go, and quorum queues that follow. What the running nodes list is the truth."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from installs.operations.applying import Gate, refuse_failed
from installs.operations.database_members import is_at_work
from installs.operations.queue import OURS, UNIT, ctl, status_of
from installs.reaching import session
from installs.rendering import rabbitmq
from installs.steps import HostStep
from inventory.connectors.ssh import Command, Host
from inventory.layout import Layout, Part
from runs.operations import Context, Later, OperationError, operation

COLUMNS = ("name", "type", "members", "leader", "online")


def listed_in(status: Mapping[str, Any]) -> set[str]:
    """Every node that belongs to the cluster, whether it runs or not."""
    return {str(node) for node in (*status.get("disk_nodes", []), *status.get("ram_nodes", []))}


def running_in(status: Mapping[str, Any]) -> set[str]:
    """Those that run."""
    return {str(node) for node in status.get("running_nodes", [])}


def queues_of(told: str) -> list[dict[str, Any]] | None:
    """The quorum queues of what `rabbitmqctl list_queues name type members ... --formatter json` wrote; None: that is no answer."""
    try:
        found = json.loads(told)
    except ValueError:
        return None
    return [each for each in found if isinstance(each, dict) and each.get("type") in ("quorum", "rabbit_quorum_queue")]


def on_node(queues: Iterable[Mapping[str, Any]] | None, node: str) -> tuple[list[str], list[str]]:
    """Names of the queues that have a replica on that node, and of those that have none."""
    there: list[str] = []
    missing: list[str] = []
    for each in queues or ():
        (there if node in (each.get("members") or []) else missing).append(str(each.get("name")))
    return there, missing


def queues_at(host: Host) -> list[dict[str, Any]] | None:
    """The quorum queues of the management service, as the node on this host knows them; None where it does not answer."""
    command = ctl("list_queues", "-p", rabbitmq.VIRTUAL_HOST, *COLUMNS, "--formatter", "json")
    return queues_of(host.run(command, codes=None, timeout=60).stdout)


def others_of(layout: Layout, name: str) -> list[str]:
    """Names of the other hosts with a node."""
    return [each.name for each in layout.having(Part.QUEUE) if each.name != name]


@operation("rabbitmq.admit")
@dataclasses.dataclass(frozen=True)
class AdmitRabbitMQ(HostStep):
    """Have the running nodes know nothing of an earlier node of this name: they would refuse one that remembers nothing."""

    def describe(self) -> str:
        return f"Clear the way for RabbitMQ on {self.host}"

    def look(self, context: Context, host: Host) -> bool | Later:
        if host.test(Command("test", "-e", OURS)):
            return True  # it goes on with the life that it has
        node = self._node(context)
        with self._other(context) as other:
            return node not in listed_in(status_of(other))

    def act(self, context: Context, host: Host) -> Later | None:
        node = self._node(context)
        host.run(Command("systemctl", "stop", UNIT), codes=None, timeout=120)
        with self._other(context) as other:
            shrink(other, node)
            other.run(ctl("forget_cluster_node", node), codes=None, timeout=60)
        return None

    def _node(self, context: Context) -> str:
        return rabbitmq.node_name(self.wanted(context).layout.host(self.host))

    def _other(self, context: Context) -> Any:
        return session(self.cluster, others_of(self.wanted(context).layout, self.host)[0])


@operation("rabbitmq.join")
@dataclasses.dataclass(frozen=True)
class JoinRabbitMQ(HostStep):
    """Have this host's node run in the cluster of the others. One that found nobody and began alone is joined to them."""

    seconds: ClassVar[float] = 300.0

    def describe(self) -> str:
        return f"Join RabbitMQ on {self.host} to the running nodes"

    def look(self, context: Context, host: Host) -> bool | Later:
        layout = self.wanted(context).layout
        status = status_of(host)
        others = {rabbitmq.node_name(layout.host(name)) for name in others_of(layout, self.host)}
        return rabbitmq.node_name(layout.host(self.host)) in running_in(status) and bool(others & running_in(status))

    def act(self, context: Context, host: Host) -> Later | None:
        refuse_failed(host, UNIT)
        status, layout = status_of(host), self.wanted(context).layout
        own = rabbitmq.node_name(layout.host(self.host))
        if running_in(status) == {own} == listed_in(status):
            context.say(f"RabbitMQ on {self.host} began alone: it is joined to the others.")
            first = rabbitmq.node_name(layout.host(others_of(layout, self.host)[0]))
            for words in (("stop_app",), ("reset",), ("join_cluster", first), ("start_app",)):
                host.run(ctl(*words), timeout=120)
        return Later(
            3.0, f"Waiting for RabbitMQ on {self.host}: it does not run with the others yet.", deadline=self.seconds
        )


@operation("rabbitmq.member")
@dataclasses.dataclass(frozen=True)
class RabbitMQNodeIsHealthy(Gate):
    """The node on this host runs with all that ran before, without a partition: the next one may be taken."""

    seconds: ClassVar[float] = 300.0
    every: ClassVar[float] = 3.0

    def describe(self) -> str:
        return f"Wait until RabbitMQ on {self.host} runs with the others"

    def fault(self, context: Context, host: Host) -> str:
        status = status_of(host)
        if not status:
            return f"Waiting for RabbitMQ on {self.host}: it does not answer yet."
        ours = {rabbitmq.node_name(each) for each in self.wanted(context).layout.having(Part.QUEUE)}
        if down := sorted((listed_in(status) & ours) - running_in(status)):
            return f"Waiting for RabbitMQ: {', '.join(down)} does not run."
        return (
            "Waiting for RabbitMQ: its nodes do not see each other (a partition)." if status.get("partitions") else ""
        )


@operation("rabbitmq.grow")
@dataclasses.dataclass(frozen=True)
class GrowQueues(HostStep):
    """Have every quorum queue of the management service keep a copy on this host: queues do not move by themselves."""

    def describe(self) -> str:
        return f"Have every queue keep a copy on {self.host}"

    def look(self, context: Context, host: Host) -> bool | Later:
        queues = queues_at(host)
        return queues is not None and not on_node(queues, self._node(context))[1]

    def act(self, context: Context, host: Host) -> Later | None:
        node = self._node(context)
        if queues_at(host) is None:
            return Later(3.0, f"Waiting for RabbitMQ on {self.host}: it does not tell its queues yet.", deadline=180.0)
        grow(host, node)
        missing = on_node(queues_at(host), node)[1]
        return Later(3.0, f"Waiting for RabbitMQ: {len(missing)} queues grow.", deadline=180.0) if missing else None

    def _node(self, context: Context) -> str:
        return rabbitmq.node_name(self.wanted(context).layout.host(self.host))


@operation("rabbitmq.leave")
@dataclasses.dataclass(frozen=True)
class LeaveRabbitMQ(HostStep):
    """Have the node on `leaving` forgotten, and no queue with a copy there. Done by a node that stays."""

    leaving: str
    is_lost: bool = False

    def describe(self) -> str:
        return f"Let RabbitMQ on {self.leaving} go"

    def look(self, context: Context, host: Host) -> bool | Later:
        node, status = self._node(context), status_of(host)
        queues = queues_at(host)
        return bool(status) and queues is not None and node not in listed_in(status) and not on_node(queues, node)[0]

    def act(self, context: Context, host: Host) -> Later | None:
        node, status = self._node(context), status_of(host)
        if not status:
            return Later(3.0, f"Waiting for RabbitMQ on {self.host}: it does not answer yet.", deadline=180.0)
        shrink(host, node)
        if kept := on_node(queues_at(host), node)[0]:
            return Later(
                3.0, f"Waiting for RabbitMQ: {len(kept)} queues still have a copy on {self.leaving}.", deadline=180.0
            )
        if self.is_lost and node in running_in(status):
            raise OperationError(
                f"RabbitMQ on {self.leaving} runs: that host is not lost. Plan its removal as that of a host that answers.",
                cause="not-lost",
            )
        if not self.is_lost:
            self._stop()
        if node in running_in(status_of(host)):
            return Later(2.0, f"Waiting for RabbitMQ on {self.leaving} to end.", deadline=120.0)
        if node in listed_in(status_of(host)):
            host.run(ctl("forget_cluster_node", node), timeout=60)
        return None

    def _stop(self) -> None:
        with session(self.cluster, self.leaving) as there:
            if is_at_work(there, UNIT):
                there.run(Command("systemctl", "disable", "--now", UNIT), timeout=150)

    def _node(self, context: Context) -> str:
        return rabbitmq.node_name(self.wanted(context, including=self.leaving).layout.host(self.leaving))


def grow(host: Host, node: str) -> None:
    """Have every queue of the management service keep a copy on that node, where it has none."""
    words = ("grow", node, "all", "--vhost-pattern", f"^{rabbitmq.VIRTUAL_HOST}$")
    host.run(Command("rabbitmq-queues", "--quiet", "--timeout", "60", *words), codes=None, timeout=120)


def shrink(host: Host, node: str) -> None:
    """Take the copies of all queues off that node. One that would be left without a majority stays: it is asked for again."""
    host.run(Command("rabbitmq-queues", "--quiet", "--timeout", "60", "shrink", node), codes=None, timeout=120)
