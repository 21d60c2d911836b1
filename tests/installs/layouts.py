"""Layouts of clusters that are right, for tests to break one thing in."""

from __future__ import annotations

from dataclasses import replace

from installs import topology
from inventory.layout import Host, Layout


def bare(name: str, last: int, **more) -> Host:
    return Host(name=name, private_address=f"10.0.0.{last}", **more)


def several(prefix: str, count: int, start: int, **more) -> list[Host]:
    return [bare(f"{prefix}{number + 1}", start + number, **more) for number in range(count)]


def all_in_one(**options) -> Layout:
    return topology.all_in_one("solo", bare("box", 11), **options)


def compact(**options) -> Layout:
    return topology.compact("trio", several("n", 3, 11), **{"entrance": "10.0.0.50"} | options)


def ten(**options) -> Layout:
    """3 + 3 + 3 and one balancer."""
    return topology.distributed(
        "west",
        **{
            "databases": several("db", 3, 11),
            "queues": several("mq", 3, 14),
            "managers": several("mg", 3, 17),
            "balancers": several("lb", 1, 20),
            "entrance": "west.example.org",
        }
        | options,
    )


def change(layout: Layout, which: str, /, **changes) -> Layout:
    """The layout with one host changed."""
    return replace(
        layout, hosts=tuple(replace(host, **changes) if host.name == which else host for host in layout.hosts)
    )


def replace_addresses(layout: Layout, **more) -> Layout:
    """The layout with an address for every host."""
    hosts = (replace(host, private_address=f"10.0.0.{number + 1}") for number, host in enumerate(layout.hosts))
    return replace(layout, hosts=tuple(hosts), **more)
