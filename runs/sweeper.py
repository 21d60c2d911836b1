"""Hands what is due to the workers, and what a dead worker had in hand to the living; at work in one process at a time."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from celery import current_app
from celery.exceptions import CeleryError
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models.functions import Now
from kombu.exceptions import KombuError

from runs import chores, clock, parents, workers
from runs.alarm import alarm
from runs.desk import Item
from runs.models import Step, Worker
from runs.operations import REGISTRY
from runs.states import StepState
from runs.work import BATCH

TASK = "runs.work"  # by name: the module of the task starts the caretaker of its process
LOOK_SECONDS = 0.2  # how late a step may be handed on where no alarm tells of it: it was stored by another process
GATHER_SECONDS = 0.01  # between two sweeps, so that what comes due together goes into one message
HOUSEKEEPING_SECONDS = 2.0
LEASE_SECONDS = 6.0
LIMIT = 2000  # steps handed on in one sweep
FORGET_SECONDS = 24 * 3600.0  # when the record of a dead worker is deleted

logger = logging.getLogger(__name__)
Publish = Callable[[list[Item]], None]


def expiry_seconds() -> float:
    """A message that nobody took by then is dropped and sent again: it may lie with a worker that died."""
    return float(3 * settings.RUN_DEAD_AFTER_SECONDS)


def publish(items: list[Item], seconds: float | None = None) -> None:
    """Put a message on the broker, for so long. Raises what the broker raises."""
    current_app.send_task(TASK, args=(items,), expires=seconds or expiry_seconds(), ignore_result=True)


def sweep(send: Publish = publish, processes: int = 1, patience: float | None = None) -> int:
    """Hand every step that is due to the workers, of which there are so many processes; the number of steps.

    What nobody has begun after `patience` seconds is handed out once more.
    """
    now = clock.now()
    due = list(
        Step.objects.filter(state__in=[StepState.PENDING, StepState.WAITING], next_look_at__lte=now)
        .order_by("next_look_at")
        .values_list("run_id", "pk", "attempt", "operation", "next_look_at")[:LIMIT]
    )
    if not due:
        return 0
    # First stamp, then send: when this process dies in between, they come due once more, later.
    again = now + timedelta(seconds=expiry_seconds() if patience is None else patience)
    Step.objects.filter(
        pk__in=[pk for _, pk, _, _, _ in due], state__in=[StepState.PENDING, StepState.WAITING], next_look_at__lte=now
    ).update(next_look_at=again)
    cheap = [(run, pk, attempt) for run, pk, attempt, key, _ in due if key in REGISTRY and REGISTRY[key].is_batchable]
    single = [
        (run, pk, attempt) for run, pk, attempt, key, _ in due if key not in REGISTRY or not REGISTRY[key].is_batchable
    ]
    size = min(BATCH, max(10, math.ceil(len(cheap) / max(1, processes))))
    messages = [cheap[start : start + size] for start in range(0, len(cheap), size)] + [[item] for item in single]
    for number, message in enumerate(messages):
        try:
            send(message)
        except (OSError, KombuError, CeleryError) as error:
            unsent = [pk for rest in messages[number:] for _, pk, _ in rest]
            logger.warning("The broker takes no messages (%s); %d steps are handed on in 2 s", error, len(unsent))
            Step.objects.filter(pk__in=unsent, next_look_at=again).update(next_look_at=now + timedelta(seconds=2))
            break
    return len(due)


def keep_house(watch: workers.Watch) -> None:
    """What is checked every few seconds: sessions that hang, dead workers, parents and locks whose turn was lost with a process."""
    if ended := workers.end_silent_sessions():
        logger.warning("%d sessions of the database hung in the middle of what they wrote and were ended", ended)
    if watch.can_tell(time.monotonic()):
        if handed := workers.hand_on_from_dead():
            logger.warning("%d steps were caught in the middle by the end of their worker and are repeated", handed)
        if watch.lost:
            due = workers.make_due_again(clock.now() + timedelta(seconds=expiry_seconds()))
            logger.warning(
                "%d workers were lost; %d steps that they may have been told of are due again", len(watch.lost), due
            )
            watch.settle(time.monotonic())
    parents.advance_all()
    Worker.objects.filter(heartbeat_at__lt=Now() - timedelta(seconds=FORGET_SECONDS)).delete()


class Caretaker(threading.Thread):
    """One thread of each worker process: says that the process lives, and sweeps while it holds the lease. Does no work itself."""

    def __init__(self) -> None:
        super().__init__(name="caretaker", daemon=True)
        self._ended = threading.Event()
        self._lease_at = self._house_at = 0.0
        self._is_leader = False
        self._watch = workers.Watch()
        self._suspects: dict[int, int] = {}
        self._rota = chores.Rota()

    def run(self) -> None:
        while not self._ended.is_set():
            try:
                self.turn()
            except DatabaseError as error:
                logger.warning("The database did not answer the sweeper, which asks again in 1 s: %s", error)
                connection.close()
                self._ended.wait(1)
        connection.close()

    def turn(self) -> None:
        """Wait for the alarm, then do what is due."""
        alarm.wait(LOOK_SECONDS)
        now = time.monotonic()
        if now - self._watch.beat_at >= settings.RUN_HEARTBEAT_SECONDS or not self._watch.beat_at:
            self._watch.beat(now)
            self._suspects = workers.hand_on_lost(self._suspects)
        if now - self._lease_at >= LEASE_SECONDS / 3 or not self._lease_at:
            self._is_leader = workers.hold_lease("sweeper", LEASE_SECONDS)
            self._watch.look(now)
            if not self._is_leader:
                self._watch.lost.clear()  # they are the concern of whoever sweeps
            self._lease_at = now
        if self._is_leader and not self._ended.is_set():
            patience = self._watch.patience(now)
            sweep(partial(publish, seconds=patience), len(self._watch.alive), patience)
            if now - self._house_at >= HOUSEKEEPING_SECONDS:
                keep_house(self._watch)
                self._rota.send_due(now)
                self._house_at = now
            time.sleep(GATHER_SECONDS)

    def stop(self) -> None:
        """End soon; the steps in hand are somebody else's concern."""
        self._ended.set()
        alarm.set(clock.now())
