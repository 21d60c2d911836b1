"""What apps have checked every few seconds beside the engine's own house: by the process that holds the sweeper's lease."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.core.exceptions import ObjectDoesNotExist

_CHORES: list[Callable[[], object]] = []
logger = logging.getLogger(__name__)


def register(chore: Callable[[], object]) -> None:
    """Called by an app when it is ready. A chore is short, bears being called twice, and does what was left undone."""
    _CHORES.append(chore)


def do_chores() -> None:
    """Each of them; one that fails keeps nobody from the others."""
    for chore in _CHORES:
        try:
            chore()
        except (
            ObjectDoesNotExist,
            LookupError,
            ValueError,
            TypeError,
        ) as error:  # of the database the sweeper thinks itself
            logger.warning("A chore failed and is tried again in a few seconds: %s: %s", type(error).__name__, error)
