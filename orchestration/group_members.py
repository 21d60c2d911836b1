"""Who is in a deployment group, and the labels of a group on its members; groups themselves are made in groups."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.db import transaction

from accounts import audit
from accounts.actors import Actor
from inventory.label_rules import PARENT_KEY, TYPE_KEY, Pair
from inventory.labels import add_labels, remove_labels
from inventory.models import Deployment, Label
from orchestration.group_models import DeploymentGroup

THROUGH = DeploymentGroup.members.through
# Labels that move a deployment in the hierarchy are set one by one.
STRUCTURAL = frozenset({PARENT_KEY, TYPE_KEY})


def pairs_of(group: DeploymentGroup) -> list[Pair]:
    """The labels of the group as pairs."""
    return [(label["key"], label["value"]) for label in group.labels]


def ids_of(group: DeploymentGroup) -> set[int]:
    """Keys of the members."""
    return set(THROUGH.objects.filter(deploymentgroup_id=group.pk).values_list("deployment_id", flat=True))


@transaction.atomic
def add(*, by: Actor, group: DeploymentGroup, rows: Collection[Deployment], has_labels: bool = False) -> None:
    """Put deployments into the group; they get its labels, unless they have them (`has_labels`) by now."""
    known = ids_of(group)
    new = [row for row in rows if row.pk not in known]
    if not new:
        return
    THROUGH.objects.bulk_create(
        [THROUGH(deploymentgroup_id=group.pk, deployment_id=row.pk) for row in new], ignore_conflicts=True
    )
    if not has_labels:
        give_labels(by, pairs_of(group), new)
    told(by, group, "deployment_group.add", new)


@transaction.atomic
def remove(*, by: Actor, group: DeploymentGroup, rows: Collection[Deployment]) -> None:
    """Take deployments out of the group; labels that they got by it stay with them."""
    known = ids_of(group)
    gone = [row for row in rows if row.pk in known]
    if not gone:
        return
    THROUGH.objects.filter(deploymentgroup_id=group.pk, deployment_id__in=[row.pk for row in gone]).delete()
    told(by, group, "deployment_group.remove", gone)


def told(by: Actor, group: DeploymentGroup, action: str, rows: Collection[Deployment]) -> None:
    """What the audit trail keeps of a change of members: how many, and the first of them."""
    names = sorted(row.wire_id for row in rows)
    after = {"deployments": names[:100], "count": len(names)}
    audit.record(by=by, action=action, row=group, tenant=group.tenant, after=after)


def give_labels(by: Actor, pairs: Iterable[Pair], rows: Collection[Deployment]) -> None:
    """Add labels to many deployments; those that are there stay as they are."""
    pairs = list(pairs)
    plain = [pair for pair in pairs if pair[0] not in STRUCTURAL]
    Label.objects.bulk_create(
        [Label(deployment_id=row.pk, key=key, value=value, created_by=by.user) for row in rows for key, value in plain],
        ignore_conflicts=True,
    )
    structural = [pair for pair in pairs if pair[0] in STRUCTURAL]
    for row in rows if structural else ():
        add_labels(by=by, deployment=row, labels=structural)


def take_labels(by: Actor, pairs: Iterable[Pair], rows: Collection[Deployment]) -> None:
    """Take labels away from many deployments."""
    pairs = list(pairs)
    keys = [row.pk for row in rows]
    for key, value in pairs:
        if key not in STRUCTURAL:
            Label.objects.filter(deployment_id__in=keys, key=key, value=value).delete()
    structural = [pair for pair in pairs if pair[0] in STRUCTURAL]
    for row in rows if structural else ():
        remove_labels(by=by, deployment=row, labels=structural)
