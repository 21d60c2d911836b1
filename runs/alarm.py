"""When the sweeper of this process should look next; a hint, kept in memory: without it the sweeper looks by itself."""

from __future__ import annotations

import functools
import threading
from datetime import datetime

from django.db import transaction

from runs import clock


class Alarm:
    """The earliest moment that somebody expects something to be due."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._at: datetime | None = None

    def set(self, at: datetime) -> None:
        """Wake the sweeper at that time, or now when it has passed."""
        with self._changed:
            if self._at is None or at < self._at:
                self._at = at
                self._changed.notify_all()

    def wait(self, seconds: float) -> None:
        """Sleep until the alarm rings, at most so long."""
        end = clock.now().timestamp() + seconds
        with self._changed:
            while (left := min(end, self._at.timestamp() if self._at else end) - clock.now().timestamp()) > 0:
                self._changed.wait(left)
            if self._at and self._at <= clock.now():
                self._at = None


alarm = Alarm()


def expect(at: datetime) -> None:
    """Something will be due then; told once the present transaction is committed."""
    transaction.on_commit(functools.partial(alarm.set, at))
