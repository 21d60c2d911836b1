"""What stands on others goes before them: which of many chosen deployments can go at all, and in which order."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from inventory.models import Deployment
from orchestration.bulk_looks import LeftOut, Preview
from orchestration.dequeuing import named

CIRCLE = "These stand on each other in a circle, so none of them can go first: {}. Force one of them."


def settle(
    found: Preview, dependents: Mapping[int, Sequence[Deployment]], words: str, harmless: Collection[int] = ()
) -> None:
    """Leave out what carries something that would stay, and put the rest in order: `found.waves`, the first one first.

    `dependents`: what stands directly on each; `harmless`: keys of what may stay, because it is uninstalled.
    """
    going = {row.pk for row in found.acting}
    while True:  # what stays keeps what it stands on
        may_stay = going | set(harmless)
        kept = [row for row in found.acting if any(one.pk not in may_stay for one in dependents.get(row.pk, ()))]
        if not kept:
            break
        for row in kept:
            staying = [one.wire_id for one in dependents[row.pk] if one.pk not in may_stay]
            found.left_out.append(LeftOut(row, words.format(named(staying))))
        going -= {row.pk for row in kept}
        found.acting = [row for row in found.acting if row.pk in going]
    found.waves, circle = waves(found.acting, dependents)
    if circle:
        names = named([row.wire_id for row in circle])
        found.left_out += [LeftOut(row, CIRCLE.format(names)) for row in circle]
    found.acting = [row for wave in found.waves for row in wave]


def waves(
    rows: Sequence[Deployment], dependents: Mapping[int, Sequence[Deployment]]
) -> tuple[list[list[Deployment]], list[Deployment]]:
    """Rows side by side, wave after wave, each after all that stands on it; and those that form a circle, or carry one."""
    left, order = list(rows), []
    while left:
        keys = {row.pk for row in left}
        free = [row for row in left if not any(one.pk in keys for one in dependents.get(row.pk, ()))]
        if not free:
            break
        order.append(free)
        done = {row.pk for row in free}
        left = [row for row in left if row.pk not in done]
    return order, left
