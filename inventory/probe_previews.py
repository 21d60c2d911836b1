"""What a look at many environments would be: how many, in which state, when they were last looked at."""

from __future__ import annotations

import dataclasses
from datetime import datetime

from django.db.models import Count, F, Max, Min

from inventory.choosing import STATES_WORST_FIRST
from inventory.models import Environment
from inventory.querysets import EnvironmentQuerySet

NAMED = 40


@dataclasses.dataclass(frozen=True)
class ProbePreview:
    """Counted in SQL, so that ten thousand cost as much as ten."""

    total: int
    managers: int  # sub-managers that are asked
    never: int  # environments that were not looked at yet
    oldest: datetime | None  # last look of the one that was left longest
    newest: datetime | None
    states: list[tuple[str, int]]  # worst first, only those that are there
    named: list[Environment]  # those that were left longest


def preview(rows: EnvironmentQuerySet) -> ProbePreview:
    """Three queries."""
    counted = rows.order_by().aggregate(
        total=Count("pk"),
        managers=Count("sub_manager", distinct=True),
        looked=Count("last_probe_at"),
        oldest=Min("last_probe_at"),
        newest=Max("last_probe_at"),
    )
    states = dict(rows.order_by().values_list("state").annotate(Count("pk")))
    longest = rows.select_related("deployment").order_by(F("last_probe_at").asc(nulls_first=True), "pk")
    return ProbePreview(
        total=counted["total"],
        managers=counted["managers"],
        never=counted["total"] - counted["looked"],
        oldest=counted["oldest"],
        newest=counted["newest"],
        states=[(state, states[state]) for state in STATES_WORST_FIRST if state in states],
        named=list(longest[:NAMED]),
    )
