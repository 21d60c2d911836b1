"""Labels of deployments: set, add, remove, and the vocabulary in use; what a label may be is in label_rules."""

from __future__ import annotations

from collections.abc import Callable, Collection

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts import audit
from accounts.actors import Actor
from accounts.errors import Conflict
from accounts.models import Tenant, User
from accounts.revisions import check_seen
from inventory.editable import of_labels
from inventory.label_rules import CONSUMER_KEY, ENVIRONMENT_TYPE, PARENT_KEY, TYPE_KEY, Pair, normalise, normalise_all
from inventory.models import Deployment, Environment, Label
from inventory.rollup import refresh_states


class ParentNotFound(ValidationError):
    """A csys-obj-parent label names a deployment that is not there; `parent_id` is its id."""

    def __init__(self, parent_id: str) -> None:
        super().__init__(
            {
                "labels": f"There is no deployment {parent_id} to be the parent. Check csys-obj-parent, or create it first."
            }
        )
        self.parent_id = parent_id


def set_labels(*, by: Actor, deployment: Deployment, labels: list[Pair], seen: str = "") -> None:
    """Replace all labels by these. What says that an environment is one, and where a placement stands, stays.

    `seen` is the revision that was edited (accounts.revisions): Changed where it is another one by now.
    """
    wanted = _without_computed(normalise_all(labels))
    _change(by, deployment, lambda _: wanted, "set_labels", seen)


def add_labels(*, by: Actor, deployment: Deployment, labels: list[Pair]) -> None:
    """Add these labels; those that are there already stay as they are."""
    given = _without_computed(normalise_all(labels))
    _change(by, deployment, lambda before: [*before, *given], "add_labels")


def remove_labels(*, by: Actor, deployment: Deployment, labels: Collection[tuple[str, str | None]]) -> None:
    """Take these labels away, all values of a key where the value is None; what is not there is no error."""
    keys = {key.lower() for key, value in labels if value is None}
    exact = {normalise(key, value) for key, value in labels if value is not None}

    def without(before: list[Pair]) -> list[Pair]:
        return [(key, value) for key, value in before if key not in keys and (key, value) not in exact]

    _change(by, deployment, without, "remove_labels")


def first_labels(*, by: Actor, deployment: Deployment, labels: list[Pair]) -> None:
    """Labels (normalised) of a deployment that was just made: not audited here, for its creation is."""
    pairs = list(dict.fromkeys(_without_computed(labels)))
    parent = _find_parent(by.user, deployment, pairs)
    Label.objects.bulk_create(
        Label(deployment=deployment, key=key, value=value, created_by=by.user) for key, value in pairs
    )
    if parent is not None:
        Deployment.objects.filter(pk=deployment.pk).update(parent=parent)
        deployment.parent = parent


def label_keys(user: User | None, tenant: Tenant, search: str = "") -> list[str]:
    """Keys in use on what the user sees, in order; `search`: those that hold the text."""
    labels = Label.objects.filter(deployment__in=Deployment.objects.visible_to(user, tenant), key__icontains=search)
    return list(labels.order_by("key").values_list("key", flat=True).distinct())


def label_values(user: User | None, tenant: Tenant, key: str, search: str = "") -> list[str]:
    """Values of one key in use on what the user sees, in order."""
    deployments = Deployment.objects.visible_to(user, tenant)
    labels = Label.objects.filter(deployment__in=deployments, key=key.lower(), value__icontains=search)
    return list(labels.order_by("value").values_list("value", flat=True).distinct())


def _without_computed(pairs: list[Pair]) -> list[Pair]:
    """Without the key that the manager itself computes: what users say of it is ignored."""
    return [(key, value) for key, value in pairs if key != CONSUMER_KEY]


def _pairs(deployment: Deployment) -> list[Pair]:
    return list(deployment.labels.order_by("pk").values_list("key", "value"))


def _fixed(deployment: Deployment, before: list[Pair]) -> list[Pair]:
    """Labels that are no matter of taste: an environment is one, a placement stays where it is."""
    if deployment.kind == Deployment.Kind.ENVIRONMENT or Environment.objects.filter(deployment=deployment).exists():
        return [pair for pair in before if pair == (TYPE_KEY, ENVIRONMENT_TYPE)]
    if deployment.kind == Deployment.Kind.PLACEMENT:
        return [pair for pair in before if pair[0] == PARENT_KEY]
    return []


@transaction.atomic
def _change(
    by: Actor, deployment: Deployment, choose: Callable[[list[Pair]], list[Pair]], verb: str, seen: str = ""
) -> None:
    """Make the labels those that `choose` makes of the present ones, read under a lock; those that stay keep when and by whom."""
    row = Deployment.objects.select_for_update().get(pk=deployment.pk)
    check_seen(seen, of_labels(row), row, tenant=row.tenant)
    before = _pairs(row)
    computed = [pair for pair in before if pair[0] == CONSUMER_KEY]
    after = list(dict.fromkeys([*_fixed(row, before), *computed, *choose(before)]))
    added = [pair for pair in after if pair not in set(before)]
    gone = set(before) - set(after)
    if not added and not gone:
        return
    parent = _find_parent(by.user, row, after)
    gone_ids = [label.pk for label in row.labels.all() if (label.key, label.value) in gone]
    Label.objects.filter(pk__in=gone_ids).delete()
    Label.objects.bulk_create(Label(deployment=row, key=key, value=value, created_by=by.user) for key, value in added)
    old_parent = row.parent
    has_moved = old_parent != parent
    if has_moved:
        Deployment.objects.filter(pk=row.pk).update(parent=parent)
        deployment.parent = parent
    audit.record(
        by=by,
        action=f"deployment.{verb}",
        row=row,
        tenant=row.tenant,
        before={"labels": _told(before)},
        after={"labels": _told(after)},
    )
    if has_moved or any(key == TYPE_KEY for key, _ in [*added, *gone]):
        refresh_states(deployment)
        if has_moved and old_parent is not None:
            refresh_states(old_parent)


def _told(pairs: list[Pair]) -> list[str]:
    return sorted(f"{key}={value}" for key, value in pairs)


def _find_parent(user: User | None, deployment: Deployment, pairs: list[Pair]) -> Deployment | None:
    """The deployment named by the first csys-obj-parent label; every one named must be there, and not lead back here."""
    named = [value for key, value in pairs if key == PARENT_KEY]
    if not named:
        return None
    found = {
        row.wire_id: row for row in Deployment.objects.visible_to(user, deployment.tenant).filter(wire_id__in=named)
    }
    for wire_id in named:
        if wire_id not in found:
            raise ParentNotFound(wire_id)
    _check_no_cycle(deployment, set(named))
    return found[named[0]]


def _check_no_cycle(deployment: Deployment, parents: set[str]) -> None:
    seen: set[str] = set()
    level = parents
    while level:
        if deployment.wire_id in level:
            via = ", ".join(sorted(parents))
            raise Conflict(
                f"{deployment.wire_id} cannot stand below {via}: that would be a circle. Remove csys-obj-parent on one of them."
            )
        seen |= level
        above = Label.objects.filter(
            deployment__tenant=deployment.tenant, deployment__wire_id__in=level, key=PARENT_KEY
        )
        level = set(above.values_list("value", flat=True)) - seen
