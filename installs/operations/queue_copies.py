"""Quorum queues one by one: each has a leader, and as many copies at work as RabbitMQ itself makes of a new one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from installs.operations.applying import Gate
from installs.operations.queue_members import grow, on_node, queues_at
from installs.rendering import rabbitmq
from inventory.connectors.ssh import Host
from inventory.health.queues import COPIES
from inventory.layout import Part
from runs.operations import Context, Later, operation

NAMED = 5  # queues that are named at once


@operation("rabbitmq.queues")
@dataclasses.dataclass(frozen=True)
class QueuesAreWhole(Gate):
    """Every quorum queue of the management service has a leader and its copies at work. Copies that are missing are made."""

    every: ClassVar[float] = 3.0

    def describe(self) -> str:
        return "Look whether every queue has a leader and its copies"

    def fault(self, context: Context, host: Host) -> str:
        queues = queues_at(host)
        if queues is None:
            return f"Waiting for RabbitMQ on {self.host}: it does not tell its queues yet."
        return fault_of(queues, self._nodes(context))

    def act(self, context: Context, host: Host) -> Later | None:
        nodes = self._nodes(context)
        few = [each for each in queues_at(host) or [] if len(each.get("members") or []) < min(COPIES, len(nodes))]
        for node in nodes:
            if names := on_node(few, node)[1]:
                context.say(f"{len(names)} queues get a copy on {_host(node)}: {', '.join(names[:NAMED])}.")
                grow(host, node)
        return super().act(context, host)

    def _nodes(self, context: Context) -> list[str]:
        return [rabbitmq.node_name(each) for each in self.wanted(context).layout.having(Part.QUEUE)]


def fault_of(queues: Iterable[Mapping[str, Any]], nodes: Sequence[str]) -> str:
    """The first queues that lack something, by name, what and the remedy; "" where nothing is missing."""
    told = []
    for each in queues:
        online = set(each.get("online") or [])
        if each.get("leader") and len(online) >= min(COPIES, len(nodes)):
            continue
        without = ", ".join(_host(node) for node in nodes if node not in online)
        leader = "" if each.get("leader") else "no leader, "
        where = f", none on {without}" if without else ""
        told.append(f"{each.get('name')} has {leader}{len(online)} of {min(COPIES, len(nodes))} copies at work{where}")
    if not told:
        return ""
    more = f"; and {len(told) - NAMED} more" if len(told) > NAMED else ""
    return (
        f"Waiting for RabbitMQ: queue {'; queue '.join(told[:NAMED])}{more}. Bring the hosts back; on one that runs, planning "
        "changes makes the copies."
    )


def _host(node: str) -> str:
    return node.partition("@")[2]
