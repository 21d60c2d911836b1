"""Who this process is among the workers, which steps it has in hand, and what becomes of the steps of a dead one."""

from __future__ import annotations

import os
import socket
import threading
import uuid
from collections.abc import Iterable
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from runs.ledger import opened
from runs.models import Lease, Step, Worker
from runs.states import StepState

CAUGHT = "Its worker stopped. It was caught in the middle and is repeated."


class Identity:
    """This process as a worker. A forked child would be another one; the thread pool does not fork."""

    def __init__(self) -> None:
        self.id = uuid.uuid4()
        self.in_hand: dict[int, int] = {}  # step id: its attempt; written by the threads that work on them
        self.is_stopping = threading.Event()  # begin nothing new


me = Identity()


def beat() -> None:
    """Say that this process lives."""
    name = f"{socket.gethostname()} process {os.getpid()}"
    Worker.objects.update_or_create(pk=me.id, defaults={"heartbeat_at": timezone.now()}, create_defaults={"name": name})


def living() -> set[uuid.UUID]:
    """Workers whose heartbeat is fresh."""
    limit = timezone.now() - timedelta(seconds=settings.RUN_DEAD_AFTER_SECONDS)
    return set(Worker.objects.filter(heartbeat_at__gte=limit).values_list("pk", flat=True))


def hand_on(steps: Iterable[Step]) -> int:
    """Give steps that were caught at work to whoever comes; the number of those that still were as given.

    A run that is locked, perhaps by the process that hangs, is left for the next time.
    """
    by_run: dict[int, dict[int, int]] = {}
    for step in steps:
        by_run.setdefault(step.run_id, {})[step.pk] = step.attempt
    handed = 0
    for run_id, caught in by_run.items():
        with opened([run_id], skip_locked=True) as book:
            for step in book.steps.get(run_id, []):
                if step.state == StepState.RUNNING and caught.get(step.pk) == step.attempt:
                    book.hand_on(step, CAUGHT)
                    handed += 1
    return handed


def hand_on_from_dead() -> int:
    """Steps at work at processes that no longer say that they live."""
    alive = living() | {me.id}
    return hand_on(step for step in Step.objects.filter(state=StepState.RUNNING) if step.worker not in alive)


def hand_on_lost(suspects: dict[int, int]) -> dict[int, int]:
    """Steps that the database says are in hand here, and no thread knows of, twice in a row; returns the new suspects.

    That is what remains when a transaction was committed and its answer was lost with the connection.
    """
    mine = Step.objects.filter(state=StepState.RUNNING, worker=me.id)
    lost = {step.pk: step for step in mine if me.in_hand.get(step.pk) != step.attempt}
    hand_on(step for step in lost.values() if suspects.get(step.pk) == step.attempt)
    return {step.pk: step.attempt for step in lost.values()}


def succeed(predecessor: uuid.UUID) -> int:
    """Take over at once from a worker that is known to be dead; the number of steps that it was caught with.

    Its messages died with it: what was handed to it is due again. What only waits is looked at once more, which costs little.
    """
    Worker.objects.filter(pk=predecessor).delete()
    Lease.objects.filter(worker=predecessor).delete()
    handed = hand_on(Step.objects.filter(state=StepState.RUNNING, worker=predecessor))
    due = Step.objects.filter(state__in=[StepState.PENDING, StepState.WAITING], next_look_at__isnull=False)
    due.update(next_look_at=timezone.now())
    return handed


def hold_lease(name: str, seconds: float) -> bool:
    """Take or keep the lease; False while another worker has it."""
    now = timezone.now()
    until = now + timedelta(seconds=seconds)
    if Lease.objects.filter(name=name, worker=me.id).update(until=until):
        return True
    if Lease.objects.filter(name=name, until__lt=now).update(worker=me.id, until=until):
        return True
    if Lease.objects.filter(name=name).exists():
        return False
    return Lease.objects.get_or_create(name=name, defaults={"worker": me.id, "until": until})[1]
