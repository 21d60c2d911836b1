"""Whether a run is to be cancelled is read for all steps at work together, and at most half a second late."""

import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.actors import SYSTEM
from runs import context, engine, workers
from runs.desk import claim
from runs.models import Step
from tests.runs.factories import Thing, start

pytestmark = pytest.mark.django_db


def test_a_cancel_is_seen_after_half_a_second_with_one_query_for_all(monkeypatch):
    monkeypatch.setattr(context, "_cancels", context.Cancels())
    runs = [start(Thing(f"t{number}")) for number in range(10)]
    contexts = claim(list(Step.objects.exclude(next_look_at=None).values_list("run_id", "pk", "attempt")))
    workers.me.in_hand.clear()
    engine.cancel(runs[3], by=SYSTEM)
    with CaptureQueriesContext(
        connection,
    ) as asked:
        assert not any(each.is_cancelled() for each in contexts), "it was read with the steps, a moment ago"
    assert len(asked) == 0
    time.sleep(context.FLAG_SECONDS + 0.05)
    with CaptureQueriesContext(connection) as asked:
        found = [each.run_id for each in contexts if each.is_cancelled()]
    assert (found, len(asked)) == ([runs[3].pk], 1)
