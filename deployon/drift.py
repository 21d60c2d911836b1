"""In what a placement is not there as it is wanted; pure but for reading the order. Defaults of a blueprint are no drift."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from deployon.models import Placement
from deployon.orders import order_for
from inventory.connectors.resources import Deployment as Remote
from inventory.driver import Situation, compare
from inventory.driver.deployments import judge_situation
from inventory.driver.order import INPUTS

AT_WORK = (Placement.State.ABSENT, Placement.State.DEPLOYING, Placement.State.REMOVING)
# kind -> what it means; those that a rollout can set right
KINDS = {
    "deleted": "Deleted there",
    "owner": "Belongs to somebody else there",
    "content": "Another blueprint there",
    "inputs": "Other inputs there",
    "installation": "Not installed there",
    "instances": "Instances need attention",
}
FIXABLE = ("deleted", "content", "inputs", "installation")
_MOVING = (Situation.CREATING, Situation.INSTALLING, Situation.REMOVING, Situation.BUSY)


@dataclasses.dataclass(frozen=True)
class Finding:
    """One placement that is not as wanted: in what (a key of KINDS), and in words; never with values of inputs."""

    placement: int
    kind: str
    why: str


def judge_all(placements: Iterable[Placement], found: Iterable[Remote]) -> list[Finding]:
    """The findings of one environment."""
    there = {row.id: row for row in found}
    verdicts = (judge(placement, there.get(remote_id(placement))) for placement in placements)
    return [each for each in verdicts if each is not None]


def remote_id(placement: Placement) -> str:
    """The id of its deployment at the sub-manager."""
    return placement.remote_deployment or placement.service.name


def judge(placement: Placement, found: Remote | None) -> Finding | None:
    """The worst in which it is not as wanted; None: in nothing, or it is at work."""
    if found is None:
        return Finding(
            placement.pk,
            "deleted",
            "It is not there any more: somebody deleted it. Put it there again, or forget it here.",
        )
    situation = judge_situation(found)
    if situation in _MOVING or placement.desired_version is None:
        return None
    if situation is not Situation.INSTALLED:
        words = str(situation).replace("_", " ")
        return Finding(placement.pk, "installation", f"It is not installed there ({words}).")
    kind, why = _compare(placement, found)
    if kind:
        return Finding(placement.pk, kind, why)
    # Instances that passed no check are no finding: in most services nobody checks them.
    if found.drifted_instances:
        count = found.drifted_instances
        what = f"{count} of its instances {'is' if count == 1 else 'are'} not as configured, by check_drift"
        return Finding(placement.pk, "instances", f"{what}. Run update or heal on it, or look at it there.")
    if found.deployment_status == "requires_attention":
        return Finding(
            placement.pk,
            "instances",
            "The manager says that it requires attention. Run heal on it, or look at it there.",
        )
    return None


def _compare(placement: Placement, found: Remote) -> tuple[str, str]:
    assert placement.desired_version is not None
    environment = placement.environment.deployment.wire_id
    order = order_for(placement.desired_version, placement.desired_inputs, environment, placement=placement)
    left = {each.what: each for each in compare(found, order)}
    if "owner" in left:
        return "owner", f"By its labels there {left['owner'].words}. Adopt it again, or find out who changed them."
    for what in ("digest", "blueprint"):
        if what in left:
            return "content", f"Somebody changed it there: {left[what].words}."
    if "inputs" in left and (names := left["inputs"].names):
        return "inputs", f"Somebody changed inputs there: {', '.join(names)}."
    said = found.label(INPUTS)
    if "inputs" in left and said and said != placement.actual_inputs_hash:
        return "inputs", "It was deployed with other inputs than this portal gave it."
    return "", ""
