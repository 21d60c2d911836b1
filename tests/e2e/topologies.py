"""The clusters that `python -m tests.e2e --topology NAME` builds, as data: hosts, parts, and what others bring."""

from __future__ import annotations

from dataclasses import dataclass

VIRTUAL = "virtual"  # as an entrance: an address of the hosts' network that nobody has
DATA = ["database", "etcd", "queue"]


@dataclass(frozen=True)
class Topology:
    """One layout. `entrance`: the host of the lab at whose address users come in, or VIRTUAL.

    `others` are hosts of the lab that are none of the cluster's: what tests/e2e/others.py puts there is described as external.
    """

    parts: dict[str, list[str]]
    entrance: str = "lb1"
    balancing: str = "ours"
    others: tuple[str, ...] = ()

    @property
    def hosts(self) -> list[str]:
        """Every host of the lab, the cluster's first."""
        return [*self.parts, *self.others]

    def having(self, part: str) -> list[str]:
        return [name for name, parts in self.parts.items() if part in parts]


TOPOLOGIES = {
    "one": Topology({"one": [*DATA, "manager"]}, entrance="one", balancing="none"),
    "compact": Topology({**{f"c{n}": [*DATA, "manager"] for n in (1, 2, 3)}, "lb1": ["balancer"]}),
    "ten": Topology(
        {
            **{f"db{n}": ["database", "etcd"] for n in (1, 2, 3)},
            **{f"mq{n}": ["queue"] for n in (1, 2, 3)},
            **{f"mg{n}": ["manager"] for n in (1, 2, 3)},
            "lb1": ["balancer"],
        }
    ),
    "pair": Topology(
        {**{f"c{n}": [*DATA, "manager"] for n in (1, 2, 3)}, "lb1": ["balancer"], "lb2": ["balancer"]},
        entrance=VIRTUAL,
    ),
    "compact-pair": Topology(
        {
            "c1": [*DATA, "manager", "balancer"],
            "c2": [*DATA, "manager", "balancer"],
            "c3": [*DATA, "manager"],
        },
        entrance=VIRTUAL,
    ),
    "theirs": Topology(
        {**{f"c{n}": [*DATA, "manager"] for n in (1, 2, 3)}}, entrance="bal", balancing="theirs", others=("bal",)
    ),
    "external": Topology(
        {"m1": ["manager", "balancer"], "m2": ["manager", "balancer"]}, entrance=VIRTUAL, others=("ext",)
    ),
}
