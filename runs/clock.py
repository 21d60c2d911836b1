"""What time it is for all processes of this installation: the database's clock, as those of their hosts may differ by minutes.

Times by which one process acts on what another has written (due, begun, said at) are taken from here; the difference to the clock of this
host is read with each heartbeat, and where that is none, now and then. SQLite has the host's own clock, and is not asked.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

OLD_SECONDS = 60.0
_ahead = timedelta()  # of the database's clock, before ours
_read_at: float | None = None  # as of time.monotonic


def now() -> datetime:
    """By the database's clock, as far as it was read; asks nobody."""
    return timezone.now() + _ahead


def read() -> None:
    """Ask the database."""
    global _ahead, _read_at
    if connection.vendor == "postgresql":
        before = timezone.now()
        there = asked()
        after = timezone.now()
        # Read between the two; what is within the time that the question took is no difference.
        _ahead = timedelta() if before <= there <= after else there - (before + (after - before) / 2)
    _read_at = time.monotonic()


def read_if_old() -> None:
    """Ask where the last answer is a minute old; for processes that have no heartbeat."""
    if _read_at is None or time.monotonic() - _read_at > OLD_SECONDS:
        read()


def asked() -> datetime:
    """The database's clock; also within a transaction that began long ago."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT STATEMENT_TIMESTAMP()")
        (there,) = cursor.fetchone()
    if not isinstance(there, datetime):
        raise TypeError(f"The database says {there!r} for a time.")
    return there
