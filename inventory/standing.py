"""What stands on environments: apps above this one say it here, for whoever wants to take an environment away."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from accounts.actors import Actor
from inventory.models import Environment


class Stand(Protocol):
    """One kind of thing that stands on environments."""

    def names_on(self, environments: Collection[Environment]) -> list[tuple[int, str]]:
        """What stands on them, in words: key of the environment, name."""
        ...

    def forget_on(self, *, by: Actor, environment: Environment) -> None:
        """Remove its rows here; nothing is changed at the remote manager. Called in a transaction."""
        ...


_STANDS: list[Stand] = []


def register(stand: Stand) -> None:
    """Called once by the app that owns the rows, when it is ready."""
    _STANDS.append(stand)


def names_on(environment: Environment) -> list[str]:
    """All that stands there."""
    return names_on_each([environment]).get(environment.pk, [])


def names_on_each(environments: Collection[Environment]) -> dict[int, list[str]]:
    """All that stands on each, by its key; what has nothing is not in it. The number of queries does not grow with them."""
    found: dict[int, list[str]] = {}
    for stand in _STANDS:
        for key, name in stand.names_on(environments):
            found.setdefault(key, []).append(name)
    return found


def forget_on(*, by: Actor, environment: Environment) -> None:
    """Forget all of it here."""
    for stand in _STANDS:
        stand.forget_on(by=by, environment=environment)
