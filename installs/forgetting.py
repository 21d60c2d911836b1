"""A host forgotten by force: what its members at the others are then, and the commands with which a person lets them go."""

from __future__ import annotations

import dataclasses

from django.db import transaction

from accounts.actors import Actor
from installs import certificates
from installs.operations.strangers import NAMES, commands_for
from installs.rendering import monitoring
from inventory import cluster_hosts
from inventory.models import ClusterNode


@dataclasses.dataclass(frozen=True)
class Remaining:
    """What is left of a host somewhere: the commands to run as root at host `at`, and why."""

    at: str
    why: str
    commands: tuple[str, ...]


@transaction.atomic
def take_out(*, by: Actor, node: ClusterNode, is_forced: bool = False) -> list[Remaining]:
    """Take a host out of the description; what remains to be done on hosts, where something of it was installed.

    Conflict where it is installed and this is not forced: its planned removal leaves nothing behind.
    """
    remaining = remains_of(node) if is_forced else []
    cluster_hosts.remove_host(by=by, node=node, is_forced=is_forced)
    if is_forced:
        certificates.retire_host(cluster=node.cluster, name=node.name)
    return remaining


def remains_of(node: ClusterNode) -> list[Remaining]:
    """Nothing for a host that was described alone. The next plan that changes the cluster does what is to be done at the others."""
    if node.state == ClusterNode.State.PLANNED:
        return []
    layout, gone = node.cluster.layout_at_work(node.name), node.host()
    units = " ".join(unit for unit in monitoring.units_of(layout, gone))
    found = [
        Remaining(gone.name, f"{gone.name} runs on with its passwords and keys", (f"systemctl disable --now {units}",))
    ]
    for part, title in NAMES.items():
        living = next((each for each in layout.having(part) if each.name != gone.name), None)
        if gone.has(part) and living is not None:
            why = f"{title} on the other hosts still counts {gone.name} as a member"
            found.append(Remaining(living.name, why, tuple(commands_for(gone, part, living))))
    return found


def in_words(name: str, remaining: list[Remaining]) -> str:
    """One paragraph for a page."""
    if not remaining:
        return ""
    steps = [f"on {each.at} ({each.why}): {'; '.join(each.commands)}" for each in remaining]
    return f"{name} is forgotten, not removed. Switch it off, then plan changes, which has the others let it go. By hand: {' · '.join(steps)}"
