"""Ready-made layouts: all on one host, three compact hosts, and 3 + 3 + N with a balancer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from inventory.layout import Balancing, Host, Layout, Part

COMPACT_HOSTS = 3
SERVICES = frozenset({Part.ETCD, Part.DATABASE, Part.QUEUE, Part.MANAGER})


def all_in_one(name: str, host: Host, **options: Any) -> Layout:
    """Everything on one host, which is its own entrance; `options` are further fields of Layout."""
    return Layout(
        name=name,
        hosts=(replace(host, parts=_needed(SERVICES, options)),),
        **{"balancing": Balancing.NONE, **options},
    )


def compact(
    name: str, hosts: Sequence[Host], *, balancers: Sequence[Host] = (), entrance: str = "", **options: Any
) -> Layout:
    """Three hosts, each with everything.

    In front: hosts of their own (`balancers`), or the first two hosts holding the virtual address `entrance`, or the operator's
    balancer (`balancing=Balancing.THEIRS`).
    """
    parts = _needed(SERVICES, options)
    balancing = Balancing(options.pop("balancing", Balancing.OURS))
    shares = balancing is Balancing.OURS and bool(entrance) and not balancers
    members = [
        replace(host, parts=parts | {Part.BALANCER} if shares and position < 2 else parts)
        for position, host in enumerate(hosts)
    ]
    return Layout(
        name=name,
        hosts=(*members, *_with(balancers, Part.BALANCER)),
        balancing=balancing,
        entrance=entrance,
        **options,
    )


def distributed(
    name: str,
    *,
    databases: Sequence[Host] = (),
    queues: Sequence[Host] = (),
    managers: Sequence[Host] = (),
    balancers: Sequence[Host] = (),
    **options: Any,
) -> Layout:
    """3 + 3 + N and the balancer; without `databases` or `queues` where these are external. etcd stands beside the database."""
    hosts = [
        *(replace(host, parts=frozenset({Part.DATABASE, Part.ETCD})) for host in databases),
        *_with(queues, Part.QUEUE),
        *_with(managers, Part.MANAGER),
        *_with(balancers, Part.BALANCER),
    ]
    balancing = options.pop("balancing", None) or _usual_balancing(len(managers), len(balancers))
    return Layout(name=name, hosts=tuple(hosts), balancing=Balancing(balancing), **options)


def _with(hosts: Sequence[Host], part: Part) -> list[Host]:
    return [replace(host, parts=frozenset({part})) for host in hosts]


def _usual_balancing(managers: int, balancers: int) -> Balancing:
    if balancers:
        return Balancing.OURS
    return Balancing.NONE if managers == 1 else Balancing.THEIRS


def _needed(parts: frozenset[Part], options: dict[str, Any]) -> frozenset[Part]:
    """Without the parts that somebody else runs."""
    absent: set[Part] = set()
    if options.get("external_database"):
        absent |= {Part.DATABASE, Part.ETCD}
    if options.get("external_queue"):
        absent.add(Part.QUEUE)
    return parts - absent
