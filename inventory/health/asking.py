"""All hosts of a cluster asked at once, each for a few seconds at most."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from inventory.connectors.prometheus import Access, PrometheusError, Sample, ask
from inventory.health.facts import Answers
from inventory.health.judging import judge
from inventory.health.queries import QUERY
from inventory.health.values import ClusterHealth
from inventory.layout import Host, Layout


def look(layout: Layout, access: Access) -> ClusterHealth:
    """How the cluster is now; takes as long as its slowest host, which is cut off after a few seconds."""
    return judge(layout, ask_all(layout.hosts, access))


def ask_all(hosts: Iterable[Host], access: Access) -> Answers:
    """What each host says, or why it says nothing."""
    asked = list(hosts)
    samples: dict[str, list[Sample]] = {}
    failures: dict[str, str] = {}
    if not asked:
        return Answers(samples, failures)
    # Threads of this call alone: they end with it, and touch no database.
    with ThreadPoolExecutor(max_workers=len(asked), thread_name_prefix="health") as pool:
        futures = {host.name: pool.submit(ask, host.private_address, QUERY, access) for host in asked}
        for name, future in futures.items():
            try:
                samples[name] = future.result()
            except PrometheusError as error:
                failures[name] = str(error)
    return Answers(samples, failures)
