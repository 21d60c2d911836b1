"""What a process that carries out operations makes ready once it serves, so that the first of them need not wait for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

POLL_SECONDS = 0.05
_WARMERS: list[Callable[[], object]] = []


def register(warm: Callable[[], object]) -> None:
    """Called by an app when it is ready; `warm` is called later, in a thread: it raises nothing and touches no database."""
    _WARMERS.append(warm)


def warm_up(is_ready: Callable[[], bool] = lambda: True) -> threading.Thread:
    """Make everything ready in the background, as soon as `is_ready`: nobody who starts the process waits for it."""
    thread = threading.Thread(target=_warm, args=(is_ready,), name="warming", daemon=True)
    thread.start()
    return thread


def _warm(is_ready: Callable[[], bool]) -> None:
    while not is_ready():
        time.sleep(POLL_SECONDS)
    for warm in _WARMERS:
        warm()
