"""What the map of environments shows: one pin a site, with how many environments there are in which state."""

from __future__ import annotations

import dataclasses
from typing import Any

from django.db.models import Count

from inventory.choosing import STATES_WORST_FIRST
from inventory.querysets import EnvironmentQuerySet

NAMED = 6  # sites in the list beside the map


@dataclasses.dataclass(frozen=True)
class Pin:
    """A site and its environments; latitude and longitude in degrees, None where nobody entered them."""

    site: str
    latitude: float | None
    longitude: float | None
    counts: dict[str, int]  # state -> how many, worst state first, only those that are there

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def is_on_map(self) -> bool:
        return self.latitude is not None and self.longitude is not None

    @property
    def troubles(self) -> list[tuple[str, int]]:
        """What is not ready, worst first."""
        return [(state, count) for state, count in self.counts.items() if state != "ready"]

    def to_json(self) -> dict[str, Any]:
        """For the script of the map."""
        return {"site": self.site, "at": [self.latitude, self.longitude], "counts": self.counts}


def pins(rows: EnvironmentQuerySet) -> list[Pin]:
    """A pin for every site of these environments, the one with most trouble first; those without a site are left out. One query."""
    found: dict[tuple[str, Any, Any], dict[str, int]] = {}
    place = ("deployment__site__name", "deployment__site__latitude", "deployment__site__longitude")
    counted = rows.filter(deployment__site__isnull=False).order_by().values_list(*place, "state")
    for name, latitude, longitude, state, count in counted.annotate(Count("pk")):
        found.setdefault((name, latitude, longitude), {})[state] = count
    result = [
        Pin(*where, {state: counts[state] for state in STATES_WORST_FIRST if state in counts})
        for where, counts in found.items()
    ]
    return sorted(result, key=lambda pin: [*(-pin.counts.get(state, 0) for state in STATES_WORST_FIRST), pin.site])
