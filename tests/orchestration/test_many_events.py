"""Ten thousand events of one execution: a client pages to the end without gaps and doubles, the page shows the newest at once."""

from __future__ import annotations

import re
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from orchestration.models import ExecutionEvent
from tests.orchestration import factories as made

pytestmark = pytest.mark.django_db
MANY = 10_000


def told(execution, numbers, since):
    """Events and logs, fifty in each second, so that pages end between events of one time."""
    ExecutionEvent.objects.bulk_create(
        ExecutionEvent(
            execution=execution,
            kind="cloudify_log" if number % 3 else "cloudify_event",
            level=("error" if number % 1000 == 1 else "info") if number % 3 else "",
            event_type="" if number % 3 else "sending_task",
            timestamp=since + timedelta(seconds=number // 50),
            reported_at=since + timedelta(seconds=number // 50),
            message=f"line {number:05d}",
        )
        for number in numbers
    )


@pytest.fixture
def execution(acme, alice):
    row = made.execution(made.local(acme, "app", by=alice), state="started", created_by=alice)
    told(row, range(MANY), timezone.now() - timedelta(hours=1))
    return row


def lines(items):
    return [item["message"] for item in items]


@pytest.mark.parametrize("order", ["", "&_sort=-reported_timestamp"])
def test_a_client_pages_to_the_end_without_gaps_and_doubles(call, alice, execution, order):
    found, total = [], 1
    while len(found) < total:
        reply = call(
            alice, "GET", f"/events?execution_id={execution.pk}&_size=3000&_include=message&_offset={len(found)}{order}"
        ).json()
        total = reply["metadata"]["pagination"]["total"]
        assert reply["items"], "a page before the end is never empty"
        found += lines(reply["items"])
    assert total == MANY == len(set(found)) == len(found)
    wanted = [f"line {number:05d}" for number in range(MANY)]
    assert found == (wanted if not order else wanted[::-1]), (
        "events of one time stay in the order in which they were told"
    )


def test_what_is_said_while_a_client_pages_is_at_the_end_and_shifts_nothing(call, alice, execution):
    path = f"/events?execution_id={execution.pk}&_sort=reported_timestamp&_include=message&_size=4000"
    first = lines(call(alice, "GET", path).json()["items"])
    told(execution, range(MANY, MANY + 100), timezone.now() - timedelta(hours=1))
    rest = []
    for offset in (4000, 8000):
        rest += lines(call(alice, "GET", f"{path}&_offset={offset}").json()["items"])
    assert first + rest == [f"line {number:05d}" for number in range(MANY + 100)]


def test_without_a_size_the_first_ten_thousand_come_and_the_reply_says_how_many_there_are(call, alice, execution):
    told(execution, range(MANY, MANY + 100), timezone.now() - timedelta(hours=1))
    reply = call(alice, "GET", f"/events?execution_id={execution.pk}&_include=message").json()
    assert len(reply["items"]) == MANY
    assert reply["metadata"]["pagination"] == {"total": MANY + 100, "size": MANY, "offset": 0}
    errors = call(alice, "GET", f"/events?execution_id={execution.pk}&level=error").json()
    assert errors["metadata"]["pagination"]["total"] == len(errors["items"]) == 8


def test_the_page_shows_the_newest_at_once_and_says_how_to_see_the_rest(client, alice, execution):
    client.force_login(alice)
    address = f"/deployments/{execution.local.deployment_id}/executions/{execution.pk}/"
    client.get(address)  # templates are read
    begun = time.process_time()
    with CaptureQueriesContext(connection) as asked:
        page = client.get(address).text
    assert time.process_time() - begun < 1.0 and len(asked) < 20
    assert re.findall(r"line \d{5}", page)[:2] == ["line 09999", "line 09998"]
    assert len(re.findall(r"line \d{5}", page)) == 200, "a page of them, not all"
    assert "1–200 of 10,000" in page and "?page=2" in page and "the latest first, 200 a page" in page
    assert "line 09799" in client.get(f"{address}?page=2").text
    assert "line 00000" in client.get(f"{address}?page=50").text
    worse = client.get(f"{address}?level=error").text
    assert len(re.findall(r"line \d{5}", worse)) == 7
