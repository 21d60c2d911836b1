"""Hosts whose clocks are ten minutes apart: what one of them wrote is due, begun and said when the database's clock says so."""

import time
import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from runs import clock
from runs.executor import _later
from runs.models import Event, Step
from runs.operations import Later
from runs.states import StepState
from runs.sweeper import sweep
from tests.runs.factories import Thing, start

TEN = timedelta(minutes=10)
right = timezone.now


@pytest.fixture
def off_by(monkeypatch):
    """`off_by(TEN)`: from now on this process is on a host whose clock is so far ahead of the database's."""

    def shift(ahead, *, is_read=True):
        monkeypatch.setattr(timezone, "now", lambda: right() + ahead)
        monkeypatch.setattr(clock, "_ahead", -ahead if is_read else timedelta())
        monkeypatch.setattr(clock, "_read_at", time.monotonic())

    return shift


def is_close(moment):
    return abs((moment - right()).total_seconds()) < 2


@pytest.mark.django_db
@pytest.mark.both_databases
@pytest.mark.parametrize("ahead", [TEN, -TEN, timedelta()])
def test_the_clock_is_that_of_the_database_wherever_it_is_asked(off_by, ahead):
    off_by(ahead, is_read=False)
    clock.read()
    if connection.vendor == "postgresql":
        assert is_close(clock.now())
    else:  # SQLite is on the same host
        assert clock.now() - timezone.now() < timedelta(seconds=1)


@pytest.mark.django_db
@pytest.mark.both_databases
@pytest.mark.parametrize(("first", "second"), [(TEN, -TEN), (-TEN, TEN)])
def test_a_step_that_one_host_made_due_is_due_at_once_at_another(off_by, first, second):
    off_by(first)
    run = start(Thing("a"))
    assert is_close(Step.objects.get().next_look_at) and all(map(is_close, Event.objects.values_list("at", flat=True)))
    off_by(second)
    sent = []
    assert sweep(sent.append) == 1
    assert sent == [[(run.pk, run.steps.get().pk, run.steps.get().attempt)]]


@pytest.mark.django_db
def test_a_step_begun_at_a_host_that_is_behind_has_all_its_time_at_one_that_is_ahead(off_by):
    off_by(-TEN)
    begun = clock.now()
    off_by(TEN)

    class Begun:
        step = Step(started_at=begun, worker=uuid.uuid4())

    assert _later(Later(1, "It takes long.", deadline=60.0), Begun, False).state == StepState.WAITING
    Begun.step.started_at -= timedelta(seconds=61)
    assert _later(Later(1, "It takes long.", deadline=60.0), Begun, False).cause == "timeout"
