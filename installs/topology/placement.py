"""Where etcd may stand: the one decision that depends on how the release's etcd behaves after a long stall."""

from __future__ import annotations

from collections.abc import Sequence

from inventory.layout import Host

# Releases whose etcd loses acknowledged writes where it stands beside the database: a host that leads both and stands still for
# 35 s revokes the other side's leadership when it wakes up (etcd issues 12528, 15247). Measured on Debian 12: 55 of 83 lost.
# A release leaves this table, or joins it, by a measurement in docs/lab.md alone.
ETCD_APART = {
    "bookworm": "etcd 3.4 of Debian 12: in the drill a database host that led both and froze for 35 s lost 55 of 83 "
    "acknowledged writes when it woke up"
}
USUAL_VOTES = 3


def must_stand_apart(release: str) -> bool:
    """May etcd and the database not share a host there?"""
    return release in ETCD_APART


def etcd_hosts(
    release: str, databases: Sequence[Host], queues: Sequence[Host], managers: Sequence[Host]
) -> tuple[Host, ...]:
    """On which of the hosts etcd stands: beside the database where that is safe, else on three queue or manager hosts."""
    if not databases:
        return ()
    if len(databases) == 1 or not must_stand_apart(release):
        return tuple(databases)
    apart = queues if len(queues) >= USUAL_VOTES else managers
    return tuple(apart[:USUAL_VOTES])
