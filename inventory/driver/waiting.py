"""How long until the next look, and what to say when a look brought no certainty."""

from __future__ import annotations

from inventory.connectors.errors import ManagerError
from inventory.driver.results import NotYet

_FIRST_SECONDS, _GROWTH, _LONGEST_SECONDS = 0.5, 1.5, 15.0


def poll_delay(looks: int) -> float:
    """Seconds to the next look after so many: short at first, never more than a quarter of a minute."""
    return min(_LONGEST_SECONDS, _FIRST_SECONDS * _GROWTH ** min(looks, 20))


def unknown(what: str, error: ManagerError, looks: int) -> NotYet:
    """A write got no clear answer: it may have been done, so the next look finds out by id instead of repeating it."""
    return NotYet(
        f"Whether {what} arrived is not known, so it is looked up by its id next. {error.message}",
        max(2.0, poll_delay(looks)),
        error=error,
    )
