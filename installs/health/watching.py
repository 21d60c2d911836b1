"""Looks at every cluster that serves, every few seconds, whether or not somebody watches."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from installs.health.following import WATCHED
from installs.health.looking import access_of, keep, look
from inventory.models import Cluster
from runs import clock

TASK = "installs.look_at_clusters"
SECONDS = 15.0
AT_ONCE = 8  # clusters


def look_at_clusters() -> int:
    """Look at those that nobody looked at just now; how many. Threads ask, this one alone reads and writes rows."""
    recently = clock.now() - timedelta(seconds=SECONDS / 2)
    rows = Cluster.objects.filter(state__in=WATCHED).exclude(checkup__looked_at__gt=recently)
    clusters = list(rows.select_related("tenant").prefetch_related("nodes"))
    if not clusters:
        return 0
    asked = [(cluster, cluster.layout(), access_of(cluster)) for cluster in clusters]
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="clusters") as pool:
        futures = [(cluster, pool.submit(look, layout, access)) for cluster, layout, access in asked]
        for cluster, future in futures:
            with contextlib.suppress(Cluster.DoesNotExist):  # forgotten meanwhile
                keep(cluster, future.result())
    return len(clusters)
