"""Environments are looked at again by themselves; what the looks say together."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from inventory import watching
from inventory.models import Credential, Environment, Probe
from inventory.uptime import uptime
from tests.inventory import factories as inventory

pytestmark = pytest.mark.django_db


def looked(acme, name, minutes, **more):
    """An environment whose last look is so many minutes old; None: never."""
    row = inventory.environment(acme, name, **more)
    if minutes is not None:
        Environment.objects.filter(pk=row.pk).update(last_probe_at=timezone.now() - timedelta(minutes=minutes))
    return row


def test_the_oldest_is_looked_at_first_and_a_fresh_one_not_at_all(acme, settings):
    settings.PROBE_EVERY_SECONDS = 300
    old, never, _, older = (looked(acme, name, age) for name, age in [("a", 6), ("b", None), ("c", 1), ("d", 30)])
    assert watching.due() == [never.pk, older.pk, old.pk]
    assert watching.due(2) == [never.pk, older.pk]


def test_who_refused_our_credential_is_asked_much_later(acme, settings):
    settings.PROBE_EVERY_SECONDS = 300
    row = looked(acme, "a", 30)
    Credential.objects.filter(pk=row.credential_id).update(last_failure_at=timezone.now() - timedelta(minutes=29))
    assert watching.due() == []
    Environment.objects.filter(pk=row.pk).update(last_probe_at=timezone.now() - timedelta(minutes=61))
    assert watching.due() == [row.pk]


def test_zero_switches_it_off(acme, settings):
    looked(acme, "a", None)
    settings.PROBE_EVERY_SECONDS = 0
    assert watching.watch() == 0
    assert not Probe.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_turn_looks_at_what_is_due_and_keeps_what_it_found(acme, settings):
    settings.PROBE_EVERY_SECONDS = 300
    row = looked(acme, "a", None)
    assert watching.watch() == 1
    row.refresh_from_db()
    assert row.state == Environment.State.UNREACHABLE and row.last_probe_at is not None
    assert watching.watch() == 0


@pytest.mark.django_db(transaction=True)
def test_what_is_not_begun_in_time_is_left_for_the_next_turn(acme):
    assert watching.look_at([looked(acme, "a", None).pk], seconds=-1) == 0
    assert not Probe.objects.exists()


def look(environment, minutes, is_ready, milliseconds=30):
    return Probe.objects.create(
        environment=environment, at=timezone.now() - timedelta(minutes=minutes), is_ready=is_ready,
        milliseconds=milliseconds, rungs=[],
    )  # fmt: skip


def test_each_look_counts_for_the_time_until_the_next(acme):
    row = inventory.environment(acme)
    for minutes, is_ready, took in [(40, True, 20), (30, False, 8000), (20, True, 30), (0, True, 70)]:
        look(row, minutes, is_ready, took)
    found = uptime(list(row.probes.order_by("-id")))
    assert found.share == pytest.approx(30 / 40, abs=0.001) and found.looks == 4
    assert found.median == 30 and found.slowest == 70
    assert [bar.height for bar in found.bars] == [4, 40, 4, 4]


def test_one_look_is_all_there_is_to_say(acme):
    row = inventory.environment(acme)
    assert uptime([]) is None
    assert uptime([look(row, 1, False)]).share == 0
