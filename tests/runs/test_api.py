"""/api/v1/runs: list, detail, events by cursor, pause, resume and cancel."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from accounts.models import AuditEntry
from runs.models import Event
from tests import factories as people
from tests.runs import factories
from tests.runs.drive import drive
from tests.runs.factories import Failing, Remote, Thing, start, start_family

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


@pytest.fixture(autouse=True)
def clean():
    factories.reset()


def client_of(user):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {people.token(user)}")
    return client


@pytest.fixture
def api(alice):
    return client_of(alice)


def test_a_list_shows_the_runs_of_the_tenant_without_children(api, acme, other):
    parent = start_family([[Thing("a")]], tenant=acme)
    start(Thing("b"), tenant=other)
    single = start(Thing("c"), tenant=acme)
    found = api.get("/api/v1/runs/").json()
    assert [run["id"] for run in found["results"]] == [single.pk, parent.pk]
    children = api.get("/api/v1/runs/", {"parent": parent.pk}).json()["results"]
    assert [run["position"] for run in children] == [0]


def test_a_list_can_be_filtered_by_state_and_title(api, acme):
    failed = drive(start(Failing("a"), tenant=acme, title="Roll out"))
    start(Thing("b"), tenant=acme, title="Verify")
    assert [run["id"] for run in api.get("/api/v1/runs/", {"state": "failed"}).json()["results"]] == [failed.pk]
    assert [run["id"] for run in api.get("/api/v1/runs/", {"title": "roll"}).json()["results"]] == [failed.pk]
    assert api.get("/api/v1/runs/", {"state": "asleep"}).status_code == 400


def test_the_detail_has_steps_progress_and_why(api, acme):
    run = start(Remote("a", 60), Thing("b"), tenant=acme)
    drive()
    found = api.get(f"/api/v1/runs/{run.pk}/").json()
    assert (found["state"], found["why"], found["started_by"]) == ("waiting", "a is at work there", None)
    assert [step["state"] for step in found["steps"]] == ["waiting", "pending"]
    assert (found["progress"]["total"], found["progress"]["waiting"]) == (2, 1)


def test_a_list_takes_the_same_number_of_queries_however_long(api, acme):
    def queries():
        with CaptureQueriesContext(connection) as found:
            assert api.get("/api/v1/runs/").status_code == 200
        return len(found)

    start(Thing("a"), tenant=acme)
    queries()  # the first use of a token is noted
    few = queries()
    for number in range(8):
        start(Thing(f"b{number}"), tenant=acme)
    assert queries() == few


def test_events_come_by_cursor_without_a_gap(api, acme):
    parent = drive(start_family([[Thing(f"a{n}")] for n in range(5)], tenant=acme))
    Event.objects.update(at=parent.created_at.replace(year=2020))  # long settled
    expected = list(Event.objects.filter(top=parent).order_by("id").values_list("id", flat=True))
    seen, cursor = [], 0
    while page := api.get(f"/api/v1/runs/{parent.pk}/events/", {"after": cursor, "limit": 7}).json()["events"]:
        seen += [event["id"] for event in page]
        cursor = page[-1]["id"]
    assert seen == expected


def test_the_cursor_stays_before_events_that_may_still_get_older_neighbours(api, acme):
    run = start(Thing("a"), tenant=acme)
    reply = api.get(f"/api/v1/runs/{run.pk}/events/").json()
    assert len(reply["events"]) == 1 and reply["cursor"] == 0
    Event.objects.update(at=run.created_at.replace(year=2020))
    assert api.get(f"/api/v1/runs/{run.pk}/events/").json()["cursor"] == reply["events"][0]["id"]


@pytest.mark.parametrize("after", ["x", "-1", "9" * 30])
def test_a_cursor_that_is_no_number_is_refused(api, acme, after):
    run = start(Thing("a"), tenant=acme)
    reply = api.get(f"/api/v1/runs/{run.pk}/events/", {"after": after})
    assert (reply.status_code, reply.json()["detail"]) == (400, "after: Give a whole number.")


def test_pause_resume_and_cancel_are_done_and_audited(api, acme):
    run = start(Thing("a"), tenant=acme)
    assert api.post(f"/api/v1/runs/{run.pk}/pause/").json()["state"] == "paused"
    assert api.post(f"/api/v1/runs/{run.pk}/resume/").json()["state"] == "pending"
    assert api.post(f"/api/v1/runs/{run.pk}/cancel/").json()["state"] == "cancelled"
    assert sorted(AuditEntry.objects.filter(action__startswith="run.").values_list("action", flat=True)) == [
        "run.cancel",
        "run.pause",
        "run.resume",
    ]


def test_what_cannot_be_done_is_a_conflict_in_words(api, acme):
    run = drive(start(Thing("a"), tenant=acme))
    reply = api.post(f"/api/v1/runs/{run.pk}/cancel/")
    assert reply.status_code == 409
    assert reply.json()["detail"] == f"R-{run.pk} has ended (succeeded): there is nothing to cancel."


def test_a_viewer_may_look_and_not_touch_and_a_stranger_sees_nothing(acme, bob, charlie):
    run = start(Thing("a"), tenant=acme)
    assert client_of(bob).get(f"/api/v1/runs/{run.pk}/").status_code == 200
    assert client_of(bob).post(f"/api/v1/runs/{run.pk}/cancel/").status_code == 403
    assert client_of(charlie).get(f"/api/v1/runs/{run.pk}/").status_code == 404
    assert client_of(charlie).get(f"/api/v1/runs/{run.pk}/events/").status_code == 404
    assert client_of(charlie).post(f"/api/v1/runs/{run.pk}/cancel/").status_code == 404
    run.refresh_from_db()
    assert run.state == "pending"
