"""On which releases several database hosts would lose acknowledged writes."""

from __future__ import annotations

# A release leaves this table, or joins it, by a measurement in docs/lab.md alone. Debian 12's Patroni 3.0.2 takes the lock back
# without asking whose it is by now, wherever etcd stands and is led from; version 2 of etcd's API asks, so what is rendered
# for that release decides (tests/installs/test_topology.py holds the two together).
LOSES_WRITES = {
    "bookworm": "on Debian 12 Patroni 3.0.2 takes the leader's lock back through version 3 of etcd's API without asking: in the "
    "drill a leader that froze for 35 s cost 81 to 122 acknowledged writes, wherever etcd stood"
}
