"""Pages of schedules."""

from __future__ import annotations

import datetime

import pytest
from django.utils import timezone

from orchestration.models import ExecutionSchedule
from tests.orchestration import factories as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def web(acme, alice):
    return make.local(acme, "web", instances=("started",), by=alice)


@pytest.fixture
def asked():
    first = timezone.now() + datetime.timedelta(days=2)
    return {
        "name": "nightly", "workflow": "greet", "parameters": '{"name": "Ada"}', "since": f"{first:%Y-%m-%dT%H:%M}",
        "recurrence": "1 day", "until": "", "slip": "5", "stop_on_fail": "on",
    }  # fmt: skip


def test_a_workflow_is_scheduled_switched_off_and_on_and_removed(signed_in, alice, web, asked):
    client, address = signed_in(alice), f"/deployments/{web.deployment_id}/schedules/"
    assert f'href="{address}"' in client.get(f"/deployments/{web.deployment_id}/").text
    assert "Nothing runs by itself" in client.get(address).text
    page = client.post(address, asked, follow=True).text
    row = ExecutionSchedule.objects.get()
    assert f"{row.since:%Y-%m-%dT%H:%M}" == asked["since"] and row.next_at == row.since
    assert (row.parameters, row.slip, row.stop_on_fail, row.created_by) == ({"name": "Ada"}, 5, True, alice)
    assert "every 1 day" in page and f"{row.since:%Y-%m-%d %H:%M}" in page
    assert f"{row.since + datetime.timedelta(days=1):%Y-%m-%d %H:%M}" in page
    page = client.post(f"{address}{row.pk}/disable/", follow=True).text
    assert "switched off" in page and not ExecutionSchedule.objects.get().is_enabled
    client.post(f"{address}{row.pk}/enable/")
    assert ExecutionSchedule.objects.get().is_enabled
    assert ">nightly<" in client.get("/schedules/?q=greet").text
    assert "No schedule matches" in client.get("/schedules/?q=nosuch").text
    assert client.post(f"{address}{row.pk}/explode/").status_code == 404
    assert "is removed" in client.post(f"{address}{row.pk}/delete/", follow=True).text
    assert not ExecutionSchedule.objects.exists()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"recurrence": "now and then"}, "recurrence"),
        ({"since": "2020-01-01T00:00", "recurrence": ""}, "Nothing would ever run"),
        ({"parameters": "{}"}, "must be provided with the following parameters"),
        ({"parameters": "[1]"}, "not a JSON object"),
        ({"name": "not an id/"}, "id"),
        ({"since": "soon"}, "Enter a valid date"),
    ],
)
def test_what_cannot_be_scheduled_is_said(signed_in, alice, web, asked, wrong, words):
    reply = signed_in(alice).post(f"/deployments/{web.deployment_id}/schedules/", asked | wrong)
    assert reply.status_code == 400 and words in reply.text
    assert not ExecutionSchedule.objects.exists()


def test_a_viewer_looks_and_an_outsider_finds_nothing(signed_in, alice, bob, charlie, web, asked):
    address = f"/deployments/{web.deployment_id}/schedules/"
    signed_in(alice).post(address, asked)
    row = ExecutionSchedule.objects.get()
    client = signed_in(bob)
    page = client.get(address).text
    assert "nightly" in page and "Switch off" not in page and "Schedule a workflow" not in page
    assert client.post(address, asked).status_code == 403
    assert client.post(f"{address}{row.pk}/delete/").status_code == 403
    client = signed_in(charlie)
    assert client.get(address).status_code == 404 and client.post(f"{address}{row.pk}/delete/").status_code == 404
    assert ">nightly<" not in client.get("/schedules/").text
