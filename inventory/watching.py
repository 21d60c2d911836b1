"""Environments are looked at again by themselves: which are due, and a look at a share of them; what a look is, is in probing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from django.conf import settings
from django.db import connection
from django.db.models import F, Q

from inventory.models import Environment
from inventory.probing import probe
from runs import clock

TASK = "inventory.watch_environments"
SECONDS = 20.0  # between two turns
SIDE_BY_SIDE = 6
PER_TURN = 200
# A wrong password that is shown every few minutes locks its account there.
REFUSED_FACTOR = 12


def due(now_count: int = PER_TURN) -> list[int]:
    """Environments whose last look is older than PROBE_EVERY_SECONDS, the oldest first; those that refused our credential wait longer."""
    every = timedelta(seconds=settings.PROBE_EVERY_SECONDS)
    now = clock.now()
    was_refused = Q(credential__last_failure_at__gte=F("last_probe_at"))
    is_old = Q(last_probe_at__lt=now - every) & ~was_refused
    is_very_old = Q(last_probe_at__lt=now - REFUSED_FACTOR * every)
    rows = Environment.objects.filter(Q(last_probe_at__isnull=True) | is_old | is_very_old)
    return list(rows.order_by(F("last_probe_at").asc(nulls_first=True)).values_list("pk", flat=True)[:now_count])


def watch() -> int:
    """Look at those that are due, for one turn at most; how many were looked at. PROBE_EVERY_SECONDS of 0 switches it off."""
    if settings.PROBE_EVERY_SECONDS <= 0:
        return 0
    return look_at(due())


def look_at(ids: Sequence[int], seconds: float = SECONDS * 0.8) -> int:
    """Probe these, some side by side; what is not begun within `seconds` is left for the next turn."""
    until = time.monotonic() + seconds

    def look(pk: int) -> bool:
        try:
            if time.monotonic() > until:
                return False
            environment = Environment.objects.for_connecting().select_related("deployment").filter(pk=pk).first()
            if environment is None:  # removed meanwhile
                return False
            probe(environment)
            return True
        finally:
            connection.close()

    with ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="watch") as pool:
        return sum(pool.map(look, ids))
