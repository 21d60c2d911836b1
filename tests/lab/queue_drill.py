"""A drill on the baseline's RabbitMQ: a publisher with confirms, through the balancer, while a node is cut off or loses its power.

.venv/bin/python -m tests.lab.queue_drill partition|cut         strikes the node that the publisher is connected to
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import ssl
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import amqp

from tests.lab.drills import Cluster
from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.machine import LabError

QUEUE = "drill"
RUNNING = "timeout 15 rabbitmqctl -q cluster_status --formatter json"


@dataclass
class Publisher:
    """Publishes numbers to a quorum queue and remembers which were confirmed and when; connects anew after every error."""

    cluster: Cluster
    confirmed: list[tuple[float, int]] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)
    ended: threading.Event = field(default_factory=threading.Event)

    def connect(self) -> amqp.Connection:
        connection = amqp.Connection(
            host=f"{self.cluster.entrance['host']}:5671",
            userid="app",
            password=self.cluster.secrets["APP"],
            ssl={"ca_certs": str(self.cluster.ca), "cert_reqs": ssl.CERT_REQUIRED, "server_hostname": "lb1"},
            confirm_publish=True,
            connect_timeout=3,
            read_timeout=5,
            write_timeout=5,
        )
        connection.connect()
        return connection

    def declare(self) -> None:
        with self.connect() as connection:
            channel = connection.channel()
            with contextlib.suppress(amqp.exceptions.AMQPError):
                channel.queue_delete(QUEUE)
            channel = connection.channel()
            channel.queue_declare(QUEUE, durable=True, auto_delete=False, arguments={"x-queue-type": "quorum"})

    def publish(self) -> None:
        number, connection, channel = 0, None, None
        while not self.ended.is_set():
            number += 1
            try:
                if connection is None:
                    connection = self.connect()
                    channel = connection.channel()
                channel.basic_publish(amqp.Message(str(number), delivery_mode=2), routing_key=QUEUE, timeout=5)
                self.confirmed.append((time.monotonic(), number))
            except (OSError, amqp.exceptions.AMQPError) as error:
                name = type(error).__name__
                self.errors[name] = self.errors.get(name, 0) + 1
                with contextlib.suppress(Exception):
                    connection and connection.collect()
                connection = None
            self.ended.wait(0.1)

    def lost(self) -> list[int]:
        """Numbers that were confirmed and are not in the queue."""
        found = set()
        with self.connect() as connection:
            channel = connection.channel()
            while (message := channel.basic_get(QUEUE, no_ack=True)) is not None:
                found.add(int(message.body))
        return [number for _, number in self.confirmed if number not in found]


def nodes_running(hosts: list[Host]) -> int:
    """How many nodes see all three, each asked for itself."""
    seen = 0
    for host in hosts:
        with contextlib.suppress(LabError, json.JSONDecodeError):
            seen += len(json.loads(host.ssh(RUNNING, seconds=20))["running_nodes"]) == len(hosts)
    return seen


def node_of_the_publisher(hosts: list[Host]) -> Host:
    """The node with the client that comes from the balancer, by its own list of connections."""
    for host in hosts:
        if host.ssh("ss -Htn state established '( sport = :5671 )' | wc -l").strip() != "0":
            return host
    raise LabError("No node has the publisher's connection.")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.queue_drill", description=__doc__)
    parser.add_argument("kind", choices=["partition", "cut"])
    parser.add_argument("--seconds", type=float, default=40, help="how long the fault lasts (40)")
    given = parser.parse_args()
    cluster = Cluster(Lab())
    hosts = [host for host in cluster.lab.hosts() if host.name.startswith("mq")]
    publisher = Publisher(cluster)
    publisher.declare()
    thread = threading.Thread(target=publisher.publish, daemon=True)
    thread.start()
    time.sleep(4)
    struck = node_of_the_publisher(hosts)
    started = time.monotonic()
    struck.partition() if given.kind == "partition" else struck.cut()
    time.sleep(given.seconds)
    struck.heal() if given.kind == "partition" else struck.start()
    again = time.monotonic()
    while nodes_running(hosts) < len(hosts) and time.monotonic() - again < 120:
        time.sleep(0.5)
    healed = time.monotonic() - again
    publisher.ended.set()
    thread.join(timeout=30)
    times = [moment for moment, _ in publisher.confirmed]
    found: dict[str, Any] = {
        "drill": given.kind,
        "node": struck.name,
        "confirmed": len(times),
        "confirmed_after": sum(moment > started for moment in times),
        "lost": len(publisher.lost()),
        "longest_gap_s": round(max(after - before for before, after in itertools.pairwise(times)), 1),
        "whole_after_s": round(healed, 1),
        "errors": publisher.errors,
    }
    print(json.dumps(found))
    return 1 if found["lost"] or not found["confirmed_after"] else 0


if __name__ == "__main__":
    sys.exit(main())
