"""On which releases several database hosts would lose acknowledged writes."""

from __future__ import annotations

# A release leaves this table, or joins it, by a measurement in docs/lab.md alone. Debian 12's Patroni 3.0.2 takes the lock back
# without asking whose it is by now, wherever etcd stands and is led from; version 2 of etcd's API asks, so what is rendered
# for that release decides (tests/installs/test_topology.py holds the two together).
LOSES_WRITES: dict[str, str] = {}
