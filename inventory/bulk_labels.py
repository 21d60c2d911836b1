"""Labels of many deployments at once: what would change, and the change, in a handful of queries however many there are."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Sequence

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts import audit
from accounts.actors import Actor
from accounts.models import Tenant
from inventory.label_rules import RESERVED_PREFIX, Pair, normalise_all
from inventory.models import Deployment, Label

BATCH = 1000


@dataclasses.dataclass(frozen=True)
class Difference:
    """What adding and removing would do. `gained` and `lost`: (label as text, how many deployments)."""

    missing: Sequence[tuple[int, str, str]]  # (deployment, key, value) to be made
    gone: Sequence[int]  # ids of labels
    gained: Sequence[tuple[str, int]]
    lost: Sequence[tuple[str, int]]
    touched: int  # deployments that change at all


def additions(pairs: list[Pair]) -> list[Pair]:
    """Labels that many are to get, as they are kept; ValidationError where they cannot be."""
    refuse_reserved(key for key, _ in pairs)
    return normalise_all(pairs)


def removals(lines: Iterable[str]) -> list[tuple[str, str | None]]:
    """Labels that many are to lose: "key=value", or a key alone for all its values."""
    parts = (line.partition("=") for line in lines)
    pairs = [(key.strip().lower(), value.strip() or None) for key, _, value in parts]
    refuse_reserved(key for key, _ in pairs)
    return pairs


def refuse_reserved(keys: Iterable[str]) -> None:
    """ValidationError for labels that say what a deployment is, or where it stands: they are changed one by one."""
    for key in keys:
        if key.lower().startswith(RESERVED_PREFIX):
            raise ValidationError(f"{key} is a label of the system. Change it at one environment, not at many.")


def difference(ids: Collection[int], add: Sequence[Pair], remove: Sequence[tuple[str, str | None]]) -> Difference:
    """Compare with what is there; writes nothing. A pair that is both added and removed is there afterwards."""
    wanted = dict.fromkeys(add)
    keys = {key for key, _ in wanted} | {key for key, _ in remove}
    there = list(
        Label.objects.filter(deployment__in=ids, key__in=keys).values_list("pk", "deployment_id", "key", "value")
    )
    found = {(deployment, key, value) for _, deployment, key, value in there}
    missing = [(pk, key, value) for key, value in wanted for pk in ids if (pk, key, value) not in found]
    asked, gone = set(remove), []
    lost: dict[str, int] = {}
    touched = {pk for pk, _, _ in missing}
    for pk, deployment, key, value in there:
        if (key, value) in wanted or not ({(key, value), (key, None)} & asked):
            continue
        gone.append(pk)
        lost[f"{key}={value}"] = lost.get(f"{key}={value}", 0) + 1
        touched.add(deployment)
    gained = [(f"{key}={value}", sum(row[1:] == (key, value) for row in missing)) for key, value in wanted]
    return Difference(missing, gone, gained, sorted(lost.items()), len(touched))


@transaction.atomic
def change_labels(
    *, by: Actor, tenant: Tenant, ids: Collection[int], add: Sequence[Pair], remove: Sequence[tuple[str, str | None]]
) -> Difference:
    """Do it, in one transaction and under one audit entry that names every deployment. Labels of the system are not for this."""
    locked = list(Deployment.objects.select_for_update().filter(pk__in=ids, tenant=tenant).order_by("pk"))
    done = difference([row.pk for row in locked], add, remove)
    if not done.touched:
        return done
    changed = {pk for pk, _, _ in done.missing}
    changed |= set(Label.objects.filter(pk__in=done.gone).values_list("deployment_id", flat=True))
    Label.objects.filter(pk__in=done.gone).delete()
    Label.objects.bulk_create(
        [Label(deployment_id=pk, key=key, value=value, created_by=by.user) for pk, key, value in done.missing],
        batch_size=BATCH,
        ignore_conflicts=True,
    )
    audit.record(
        by=by,
        action="deployment.change_labels",
        row=tenant,
        tenant=tenant,
        after={
            "added": [f"{key}={value}" for key, value in add],
            "removed": [key if value is None else f"{key}={value}" for key, value in remove],
            "deployments": [row.wire_id for row in locked if row.pk in changed],
        },
    )
    return done
