"""Which state of a cluster follows from what was seen of it: ready becomes degraded and ready again, and says why."""

from __future__ import annotations

from datetime import timedelta

from installs.installing import active_run
from installs.models import Checkup
from inventory.clusters import move_cluster
from inventory.health.values import Health
from inventory.models import Cluster
from runs import clock

State = Cluster.State
WATCHED = (State.READY, State.DEGRADED)
MARK = "Health: "  # begins what was said here; what others said of a cluster is theirs to take back
STEADY = timedelta(seconds=12)  # a service that begins anew is no news
SILENCE = timedelta(seconds=60)  # after which nobody knows any more


def follow(cluster: Cluster, row: Checkup) -> None:
    """Move the cluster's state where it is not what was seen. Work on it moves its state itself."""
    if cluster.state not in WATCHED:
        return
    now = clock.now()
    if row.verdict == Health.HEALTHY:
        if cluster.state == State.DEGRADED and cluster.why.startswith(MARK) and not active_run(cluster):
            move_cluster(cluster, State.READY, only_from=[State.DEGRADED])
        return
    if row.verdict == Health.UNKNOWN:
        # Where its hosts have never been reached by this portal, a firewall may stand between: that is no news either.
        if row.known_at is None or now - row.known_at < SILENCE:
            return
        why = f"{MARK}nobody has said how it is since {row.known_at:%Y-%m-%d %H:%M} UTC"
    else:
        if row.unwell_since is None or now - row.unwell_since < STEADY:
            return
        why = MARK + "; ".join(row.told["why"])
    is_said = cluster.state == State.DEGRADED and (not cluster.why.startswith(MARK) or cluster.why == why[:512])
    if not is_said and not active_run(cluster):
        move_cluster(cluster, State.DEGRADED, only_from=[cluster.state], why=why)
