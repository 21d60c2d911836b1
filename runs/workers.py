"""Who this process is among the workers, which steps it has in hand, and what becomes of the steps of a dead one."""

from __future__ import annotations

import os
import socket
import threading
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from runs import clock
from runs.ledger import opened
from runs.models import Lease, Step, Worker
from runs.states import StepState

RECENT = 6  # so many times RUN_DEAD_AFTER_SECONDS after a loss its messages are not waited for
CAUGHT = "Its worker stopped. It was caught in the middle and is repeated."
# Ends what `idle_in_transaction_session_timeout` does not: to the server a session whose client sends rows in one go, as executemany
# does, is at work until all are there, for ever where the client hangs in between. Sessions of this product alone.
END_SILENT = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND usename = session_user AND application_name = current_setting('application_name')
      AND state = 'active' AND wait_event = 'ClientRead' AND pid <> pg_backend_pid()
      AND current_setting('idle_in_transaction_session_timeout')::interval > interval '0'
      AND state_change < clock_timestamp() - current_setting('idle_in_transaction_session_timeout')::interval
"""


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
    # By the database's clock, as everything between processes: those of their hosts may differ.
    Worker.objects.update_or_create(
        pk=me.id, defaults={"heartbeat_at": Now()}, create_defaults={"name": name, "heartbeat_at": Now()}
    )
    clock.read()


def living() -> set[uuid.UUID]:
    """Workers whose heartbeat is fresh."""
    limit = Now() - timedelta(seconds=settings.RUN_DEAD_AFTER_SECONDS)
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


def end_silent_sessions() -> int:
    """Take the locks from processes that hang in the middle of what they send to PostgreSQL; the number of sessions ended.

    Silent for as long as a session may be idle in a transaction. Their processes get an error where they wake up, and ask again.
    """
    if connection.vendor != "postgresql":
        return 0  # a process that hangs while it writes to SQLite is the only one there is
    with connection.cursor() as cursor:
        cursor.execute(END_SILENT)
        return int(cursor.fetchone()[0])


class Watch:
    """What one process knows of the others: who died while it looked on, and whether it can tell at all.

    Nobody can say that he lives while the database is away. When it is back, each gets the time to say so before he is taken for dead.
    """

    def __init__(self) -> None:
        self.alive: set[uuid.UUID] = set()
        self.lost: set[uuid.UUID] = set()  # died, and their messages were not handed out again by the one who sweeps
        self.beat_at = 0.0  # when this process said last that it lives, as of time.monotonic
        self._patient_until = self._lost_at = 0.0

    def beat(self, now: float) -> None:
        """Say that this process lives; `now` in seconds, as of time.monotonic."""
        beat()
        if self.beat_at and now - self.beat_at > 2 * settings.RUN_HEARTBEAT_SECONDS:
            self._patient_until = now + settings.RUN_DEAD_AFTER_SECONDS / 2
        self.beat_at = now

    def can_tell(self, now: float) -> bool:
        """False while others may not have had the time to say that they live."""
        return now >= self._patient_until

    def settle(self, now: float) -> None:
        """What the lost were told of was handed out again."""
        self.lost.clear()
        self._lost_at = now

    def patience(self, now: float) -> float | None:
        """Seconds after which a message is sent again, or None for as long as always.

        The broker may take a dead worker for living for a while yet, and gives it messages.
        """
        is_recent = self._lost_at and now - self._lost_at < RECENT * settings.RUN_DEAD_AFTER_SECONDS
        return settings.RUN_DEAD_AFTER_SECONDS / 2 if is_recent else None

    def look(self, now: float) -> None:
        """Who lives."""
        if self.can_tell(now):
            alive = living()
            self.lost = (self.lost | (self.alive - alive)) - alive
            self.alive = alive


def make_due_again(until: datetime | None = None) -> int:
    """Steps that were handed out in messages which died with a worker; the number of steps.

    Nobody knows whose message held which step, so all are due that were to come again before `until`, or whenever. What only waits is
    looked at once more, which costs little.
    """
    due = Step.objects.filter(state__in=[StepState.PENDING, StepState.WAITING], next_look_at__isnull=False)
    if until is not None:
        due = due.filter(next_look_at__lte=until)
    return due.update(next_look_at=clock.now())


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

    Its messages died with it: what was handed to it is due again.
    """
    Worker.objects.filter(pk=predecessor).delete()
    Lease.objects.filter(worker=predecessor).delete()
    handed = hand_on(Step.objects.filter(state=StepState.RUNNING, worker=predecessor))
    make_due_again()
    return handed


def hold_lease(name: str, seconds: float) -> bool:
    """Take or keep the lease; False while another worker has it."""
    until = Now() + timedelta(seconds=seconds)
    if Lease.objects.filter(name=name, worker=me.id).update(until=until):
        return True
    if Lease.objects.filter(name=name, until__lt=Now()).update(worker=me.id, until=until):
        return True
    if Lease.objects.filter(name=name).exists():
        return False
    return Lease.objects.get_or_create(name=name, defaults={"worker": me.id, "until": until})[1]
