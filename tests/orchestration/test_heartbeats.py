"""Who is taken for living by the heartbeat of an execution, whatever the clocks of the hosts say."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from orchestration.models import Execution
from orchestration.supervisor import supervisor
from tests.orchestration import factories as make

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
ELSEWHERE = "another-host|1|abcdef"


@pytest.mark.parametrize("minutes", [-10, 0, 10])
@pytest.mark.parametrize(("age", "is_alive"), [(1, True), (3600, False)])
def test_an_execution_is_held_by_a_living_process_however_far_its_clock_is_off(
    acme, alice, monkeypatch, minutes, age, is_alive
):
    row = make.execution(make.local(acme, by=alice), "install", Execution.State.STARTED)
    Execution.objects.filter(pk=row.pk).update(held_by=ELSEWHERE, heartbeat_at=Now() - timedelta(seconds=age))
    row.refresh_from_db()
    right = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: right() + timedelta(minutes=minutes))
    assert supervisor.is_held(row) is is_alive


def test_one_that_was_let_go_meanwhile_is_not_held(acme, alice):
    row = make.execution(make.local(acme, by=alice), "install", Execution.State.STARTED)
    Execution.objects.filter(pk=row.pk).update(held_by=ELSEWHERE, heartbeat_at=Now())
    row.refresh_from_db()
    Execution.objects.filter(pk=row.pk).update(held_by="")
    assert not supervisor.is_held(row)
