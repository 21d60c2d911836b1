"""Schedules: what the API takes, and what happens when one is due, in process; the engine does not run."""

from __future__ import annotations

import datetime
import threading

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.actors import Actor
from accounts.models import AuditEntry, Membership
from inventory.models import Deployment
from orchestration import schedules
from orchestration.models import Execution, ExecutionSchedule
from tests.orchestration import factories as made

MINUTE = datetime.timedelta(minutes=1)


def scheduled(local, alice, *, due_in=-MINUTE / 2, **more):
    """A daily install that is due in that time, and its time."""
    moment = (timezone.now() + due_in).replace(microsecond=0)
    changes = schedules.Changes(
        workflow="install",
        **{"since": timezone.now() + datetime.timedelta(days=1), "recurrence": "1 day", "arguments": {}} | more,
    )
    row = schedules.create(by=Actor(user=alice, via="test"), local=local, wire_id="s", changes=changes)
    ExecutionSchedule.objects.filter(pk=row.pk).update(
        since=moment - datetime.timedelta(days=3), next_at=moment, created_by=alice
    )
    row.refresh_from_db()
    return row


def whys(action):
    return [entry.after["why"] for entry in AuditEntry.objects.filter(action=action).order_by("sequence")]


@pytest.mark.django_db
@pytest.mark.both_databases
def test_a_schedule_is_made_changed_listed_and_removed(call, acme, alice):
    made.local(acme, "d", by=alice)
    path = "/execution-schedules/nightly?deployment_id=d"
    body = {
        "workflow_id": "install",
        "since": "2040-01-01T00:00:00",
        "recurrence": "1 day",
        "count": 3,
        "slip": 5,
        "execution_arguments": {"force": False, "dry_run": True, "wait_after_fail": None},
    }
    reply = call(alice, "PUT", path, body)
    assert reply.status_code == 201, reply.json()
    assert reply.json()["all_next_occurrences"] == [f"2040-01-0{day} 00:00:00" for day in (1, 2, 3)]
    assert reply.json()["execution_arguments"] == {"force": False, "dry_run": True}
    assert Deployment.objects.get(wire_id="d").has_schedules
    rule = {"type": "attribute", "key": "schedules", "operator": "is_not_empty", "values": []}
    assert call(alice, "POST", "/searches/deployments", {"filter_rules": [rule]}).json()["items"][0]["id"] == "d"
    assert call(alice, "PUT", path, body).status_code == 409
    changed = call(alice, "PATCH", path, {"count": 2, "weekdays": [], "since": None, "enabled": False})
    assert changed.status_code == 201 and changed.json()["enabled"] is False
    assert changed.json()["rule"] == {"recurrence": "1 day", "count": 2, "weekdays": None}
    changed = call(alice, "PATCH", path, {"rrule": "FREQ=WEEKLY", "workflow_id": "uninstall"}).json()
    assert changed["rule"] == {"rrule": "FREQ=WEEKLY"} and changed["workflow_id"] == "uninstall"
    listed = call(alice, "GET", "/execution-schedules?deployment_id=d&_sort=next_occurrence&_include=id,rule")
    assert listed.json()["items"] == [{"id": "nightly", "rule": {"rrule": "FREQ=WEEKLY"}}]
    summary = call(alice, "GET", "/summary/execution_schedules?_target_field=deployment_id").json()["items"]
    assert summary == [{"deployment_id": "d", "execution_schedules": 1}]
    assert call(alice, "DELETE", path).status_code == 204
    assert call(alice, "GET", path).status_code == 404
    assert not Deployment.objects.get(wire_id="d").has_schedules


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"since": "2040-01-01"}, 400, "workflow_id"),
        ({"workflow_id": "install"}, 400, "since"),
        ({"workflow_id": "install", "since": "tomorrow"}, 400, "not a time"),
        ({"workflow_id": "install", "since": "2020-01-01T00:00"}, 400, "Nothing would ever run"),
        ({"workflow_id": "install", "since": "2040-01-01T00:00", "until": "2039-01-01T00:00"}, 400, "before since"),
        ({"workflow_id": "install", "since": "2040-01-01T00:00", "count": 2}, 400, "recurrence"),
        ({"workflow_id": "install", "since": "2040-01-01T00:00", "rrule": "FREQ=DAILY", "count": 2}, 400, "not both"),
        ({"workflow_id": "install", "since": "2040-01-01T00:00", "slip": -1}, 400, "slip"),
        ({"workflow_id": "install", "since": "2040-01-01T00:00", "slip": "soon"}, 400, "slip"),
        ({"workflow_id": "fly", "since": "2040-01-01T00:00"}, 400, "does not exist"),
        ({"workflow_id": "greet", "since": "2040-01-01T00:00"}, 400, "must be provided"),
        ({"workflow_id": "install", "since": "2040-01-01T00:00", "parameters": []}, 400, "parameters"),
        ({"workflow_id": "install", "since": "2040-01-01T00:00", "execution_arguments": {"x": 1}}, 400, "has no x"),
        (
            {"workflow_id": "install", "since": "2040-01-01T00:00", "execution_arguments": {"force": "yes"}},
            400,
            "type bool",
        ),
        ({"workflow_id": "install", "since": "2040-01-01T00:00", "enabled": "perhaps"}, 400, "enabled"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(call, acme, alice, body, status, word):
    made.local(acme, "d", by=alice)
    reply = call(alice, "PUT", "/execution-schedules/s?deployment_id=d", body)
    assert reply.status_code == status and word in reply.json()["message"], reply.json()
    assert not ExecutionSchedule.objects.exists()


@pytest.mark.django_db
def test_who_sees_and_changes_schedules(call, acme, other, alice, bob, charlie):
    made.local(acme, "d", by=alice)
    body = {"workflow_id": "install", "since": "2040-01-01T00:00"}
    path = "/execution-schedules/s?deployment_id=d"
    assert call(bob, "PUT", path, body).status_code == 403
    assert call(charlie, "PUT", path, body, tenant="other").status_code == 404
    assert call(alice, "PUT", "/execution-schedules/s", body).status_code == 400
    assert call(alice, "PUT", "/execution-schedules/bad id?deployment_id=d", body).status_code == 400
    assert call(alice, "PUT", path, body).status_code == 201
    assert call(bob, "GET", path).status_code == 200
    assert [call(bob, verb, path, {}).status_code for verb in ("PATCH", "DELETE")] == [403, 403]
    assert call(charlie, "GET", "/execution-schedules", tenant="other").json()["items"] == []


@pytest.mark.django_db
def test_an_execution_at_a_later_time_becomes_a_schedule(call, acme, alice):
    made.local(acme, "d", by=alice)
    body = {"deployment_id": "d", "workflow_id": "install", "scheduled_time": "204001010000+0100"}
    reply = call(alice, "POST", "/executions", body)
    assert (reply.status_code, reply.json()["id"], reply.json()["status"]) == (201, None, "scheduled")
    assert call(alice, "POST", "/executions", body | {"force": True}).status_code == 201
    assert list(ExecutionSchedule.objects.order_by("pk").values_list("wire_id", flat=True)) == [
        "install_203912312300",
        "install_203912312300_2",
    ]
    assert ExecutionSchedule.objects.last().arguments["force"] is True
    for wrong in ("202001010000+0000", "204001010000", "noon", "2040-01-01T00:00:00", 5):
        assert call(alice, "POST", "/executions", body | {"scheduled_time": wrong}).status_code == 400
    assert not Execution.objects.exists()


@pytest.mark.django_db
@pytest.mark.both_databases
def test_a_due_schedule_starts_its_workflow_once_and_waits_for_the_next_time(acme, alice):
    row = scheduled(made.local(acme, "d", by=alice), alice)
    due = row.next_at
    assert schedules.fire_due() == 1 and schedules.fire_due() == 0
    row.refresh_from_db()
    execution = Execution.objects.get()
    assert (execution.workflow, execution.created_by, row.latest_execution) == ("install", alice, execution)
    assert row.next_at == due + datetime.timedelta(days=1)


@pytest.mark.django_db
def test_a_time_within_its_slip_still_runs_and_one_beyond_is_skipped(acme, alice):
    row = scheduled(made.local(acme, "d", by=alice), alice, due_in=-20 * MINUTE, slip=30)
    assert schedules.fire_due() == 1
    Execution.objects.all().delete()
    ExecutionSchedule.objects.filter(pk=row.pk).update(slip=10, next_at=timezone.now() - 20 * MINUTE)
    assert schedules.fire_due() == 0 and "missed" in whys("schedule.skip")[0]
    row.refresh_from_db()
    assert row.next_at > timezone.now() and not Execution.objects.exists()


@pytest.mark.django_db
def test_times_that_were_missed_together_are_made_up_for_by_one_execution(acme, alice):
    row = scheduled(made.local(acme, "d", by=alice), alice, due_in=-20 * MINUTE, slip=60)
    ExecutionSchedule.objects.filter(pk=row.pk).update(rule={"recurrence": "1 min"})
    assert schedules.fire_due() == 1 and schedules.fire_due() == 0
    row.refresh_from_db()
    assert row.next_at > timezone.now()


@pytest.mark.django_db
def test_while_the_deployment_is_busy_it_is_tried_again_until_its_time_is_over(acme, alice):
    local = made.local(acme, "d", by=alice)
    row = scheduled(local, alice, due_in=-MINUTE, slip=5)
    busy = made.execution(local, state="started")
    assert schedules.fire_due() == 0
    unchanged = ExecutionSchedule.objects.get(pk=row.pk)
    assert unchanged.next_at == row.next_at and whys("schedule.skip") == []
    busy.delete()
    assert schedules.fire_due() == 1


@pytest.mark.django_db
def test_what_is_refused_for_good_is_skipped_and_said(acme, alice):
    local = made.local(acme, "d", by=alice, instances=("started",))
    row = scheduled(local, alice)
    assert schedules.fire_due() == 0
    assert whys("schedule.skip") == ["Workflow not available: install"]
    row.refresh_from_db()
    assert row.next_at > timezone.now() and row.is_enabled


@pytest.mark.django_db
def test_after_a_failure_one_that_stops_on_failures_is_disabled(acme, alice):
    local = made.local(acme, "d", by=alice)
    row = scheduled(local, alice, stop_on_fail=True)
    failed = made.execution(local, state="failed")
    ExecutionSchedule.objects.filter(pk=row.pk).update(latest_execution=failed)
    assert schedules.fire_due() == 0
    row.refresh_from_db()
    assert not row.is_enabled and str(failed.pk) in whys("schedule.disable")[0]


@pytest.mark.django_db
def test_who_may_no_longer_start_executions_has_no_schedule_do_it(acme, alice):
    row = scheduled(made.local(acme, "d", by=alice), alice)
    Membership.objects.filter(user=alice).update(role="viewer")
    assert schedules.fire_due() == 0
    row.refresh_from_db()
    assert not row.is_enabled and "may no longer" in whys("schedule.disable")[0]


@pytest.mark.django_db
def test_a_disabled_schedule_rests_and_a_rule_that_is_over_ends(acme, alice):
    local = made.local(acme, "d", by=alice)
    row = scheduled(local, alice)
    ExecutionSchedule.objects.filter(pk=row.pk).update(is_enabled=False)
    assert schedules.fire_due() == 0
    ExecutionSchedule.objects.filter(pk=row.pk).update(is_enabled=True, until=timezone.now() + MINUTE)
    assert schedules.fire_due() == 1
    row.refresh_from_db()
    assert row.next_at is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.both_databases
def test_of_many_members_that_look_together_one_starts_it(acme, alice):
    for number in range(3):
        scheduled(made.local(acme, f"d{number}", by=alice), alice)
    gate, started = threading.Barrier(4), []

    def look():
        gate.wait(10)
        try:
            started.append(schedules.fire_due())
        finally:
            connection.close()

    members = [threading.Thread(target=look) for _ in range(4)]
    for member in members:
        member.start()
    for member in members:
        member.join(60)
    assert sum(started) == 3 and Execution.objects.count() == 3


@pytest.mark.django_db
def test_a_list_takes_as_many_queries_for_one_as_for_many(call, acme, alice):
    def count():
        with CaptureQueriesContext(connection) as found:
            assert call(alice, "GET", "/execution-schedules").status_code == 200
        return len(found)

    def fill(number):
        for _ in range(number):
            name = made.local(acme, by=alice).deployment.wire_id
            body = {"workflow_id": "install", "since": "2040-01-01T00:00"}
            assert call(alice, "PUT", f"/execution-schedules/s?deployment_id={name}", body).status_code == 201

    fill(1)
    before = count()
    fill(3)
    assert count() == before
