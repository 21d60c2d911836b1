"""Places at sub-managers that limit how many targets are at work there at once, over all rollouts: who has one, and who waits."""

from __future__ import annotations

import time

from django.db import transaction
from django.db.models import Count, Q

from deployon.models import Target
from deployon.work import Work
from inventory.models import SubManager
from runs.operations import Context, Later
from runs.states import ACTIVE_RUN_STATES

SHORTEST_SECONDS = 1.0
LOOKS_A_SECOND = 50  # of all that wait at one sub-manager together


def wait_for_place(context: Context, work: Work) -> Later | None:
    """Later, naming the sub-manager and its limit, until this target has a place there; asked before its first request.

    A place is given up by the end of the run, however that comes about: only those of active runs count.
    """
    if work.has_place or not work.limit:
        return None
    memory, now = context.memory, time.time()
    manager = SubManager.objects.get(pk=work.sub_manager)
    at_work, waiting = _count(work)  # most are told to wait by this, without a lock
    if _is_full(manager, at_work) or not _take(work):
        memory.setdefault("queued_at", now)
        many = f"{manager.max_parallel} target{'' if manager.max_parallel == 1 else 's'}"
        why = f"{manager} takes at most {many} at once, over all rollouts. Starts when one of those at work has ended."
        return Later(max(SHORTEST_SECONDS, waiting / LOOKS_A_SECOND), why)
    work.has_place = True
    memory["queued"] = now - memory.pop("queued_at", now)  # the limits of the step do not count this
    return None


def _is_full(manager: SubManager, at_work: int) -> bool:
    return bool(manager.max_parallel) and at_work >= manager.max_parallel


def _count(work: Work) -> tuple[int, int]:
    """(how many others have a place there, how many wait or have not asked)."""
    others = Target.objects.filter(environment__sub_manager=work.sub_manager, run__state__in=ACTIVE_RUN_STATES)
    counted = others.exclude(pk=work.key[0]).aggregate(
        at_work=Count("pk", filter=Q(has_place=True)), waiting=Count("pk", filter=Q(has_place=False))
    )
    return counted["at_work"], counted["waiting"]


def _take(work: Work) -> bool:
    """Count again with the sub-manager locked, and take a place where there is one: workers come one after the other."""
    with transaction.atomic():
        manager = SubManager.objects.select_for_update(no_key=True).get(pk=work.sub_manager)
        if _is_full(manager, _count(work)[0]):
            return False
        Target.objects.filter(pk=work.key[0]).update(has_place=True)
    return True
