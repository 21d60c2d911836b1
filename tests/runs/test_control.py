"""Pause, resume, cancel, and the audit trail of who asked."""

import pytest

from accounts.errors import Conflict
from accounts.models import AuditEntry
from runs import engine, services
from runs.models import Event
from tests.runs import factories
from tests.runs.drive import drive
from tests.runs.factories import (
    CALLS,
    WORLD,
    Gated,
    PointOfNoReturn,
    Remote,
    Thing,
    finish,
    plan_of,
    start,
    start_family,
    start_plan,
)

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


@pytest.fixture(autouse=True)
def clean():
    factories.reset()


def states(run):
    return [step.state for step in run.steps.all()]


def test_a_run_that_was_not_begun_is_cancelled_at_once(by_alice):
    run = start(Thing("a"))
    engine.cancel(run, by=by_alice)
    assert (run.state, run.why, states(run)) == ("cancelled", "Cancel asked for by alice-of-runs.", ["cancelled"])
    drive()
    assert not CALLS


def test_a_waiting_step_is_cancelled_where_it_runs(by_alice):
    run = start(Remote("a", 60), Thing("b"))
    drive()
    engine.cancel(run, by=by_alice)
    assert run.state == "waiting" and "Waits until this has ended: Bring about a" in run.why
    drive(run)
    assert (run.state, states(run)) == ("cancelled", ["cancelled", "cancelled"])
    assert CALLS["cancel a"] == 1
    assert Event.objects.filter(run=run, message="the other side said: cancelled").exists()


def test_a_cancel_that_takes_time_there_is_waited_for(by_alice):
    run = start(Remote("a", 60, stop_seconds=60))
    drive()
    engine.cancel(run, by=by_alice)
    drive()
    run.refresh_from_db()
    assert run.state == "waiting"
    assert run.steps.get().why == "a is being stopped there"
    engine.wake(run)
    drive(run)
    assert (run.state, CALLS["cancel a"]) == ("cancelled", 2)


def test_a_point_of_no_return_comes_to_its_end_and_nothing_is_begun_after_it(by_alice):
    run = start(PointOfNoReturn("a", 60), Thing("b"))
    drive()
    engine.cancel(run, by=by_alice)
    drive()
    finish(run, "a")
    drive(run)
    assert (run.state, states(run)) == ("cancelled", ["succeeded", "cancelled"])
    assert CALLS["cancel a"] == 0


def test_a_run_that_has_ended_cannot_be_cancelled_paused_or_resumed(by_alice):
    run = drive(start(Thing("a")))
    for verb in (engine.cancel, engine.pause, engine.resume):
        with pytest.raises(Conflict, match=f"R-{run.pk}"):
            verb(run, by=by_alice)


def test_a_paused_run_begins_nothing_and_says_who_can_unblock_it(by_alice):
    run = start(Remote("a", 60), Thing("b"))
    drive()
    engine.pause(run, by=by_alice)
    assert run.state == "waiting" and "Goes on until this has ended: Bring about a" in run.why
    finish(run, "a")
    drive()
    run.refresh_from_db()
    assert (run.state, states(run)) == ("paused", ["succeeded", "pending"])
    assert run.why == "Paused by alice-of-runs; resume it to go on."
    engine.resume(run, by=by_alice)
    drive(run)
    assert (run.state, states(run)) == ("succeeded", ["succeeded", "succeeded"])


def test_a_run_that_is_paused_before_its_first_step_does_not_begin(by_alice):
    run = start(Thing("a"))
    engine.pause(run, by=by_alice)
    drive()
    assert (run.state, CALLS) == ("paused", {})
    engine.resume(run, by=by_alice)
    assert drive(run).state == "succeeded"


def test_a_paused_run_can_be_cancelled(by_alice):
    run = start(Thing("a"))
    engine.pause(run, by=by_alice)
    engine.cancel(run, by=by_alice)
    assert run.state == "cancelled"


def test_cancel_of_a_parent_cancels_what_is_at_work_and_what_was_not_begun(by_alice):
    parent = start_family([[Remote(f"a{n}", 60)] for n in range(4)], max_parallel=2)
    drive()
    engine.cancel(parent, by=by_alice)
    drive(parent)
    rows = [(child.state, child.cause, child.started_at is None) for child in parent.children.order_by("position")]
    assert parent.state == "cancelled"
    assert rows == [("cancelled", "", False)] * 2 + [("cancelled", "not-started", True)] * 2
    assert sum(CALLS[f"cancel a{n}"] for n in range(4)) == 2


def test_a_paused_parent_releases_no_child_and_pauses_those_at_work(by_alice):
    parent = start_family([[Remote(f"a{n}", 60), Thing(f"b{n}")] for n in range(4)], max_parallel=2)
    drive()
    engine.pause(parent, by=by_alice)
    assert parent.state == "running" and "Goes on until the 2 at work come to rest." in parent.why
    finish(parent, "a0", "a1")
    drive()
    parent.refresh_from_db()
    states_now = list(parent.children.order_by("position").values_list("state", flat=True))
    assert (parent.state, states_now) == ("paused", ["paused", "paused", "held", "held"])
    engine.resume(parent, by=by_alice)
    drive()
    finish(parent, "a2", "a3")
    assert drive(parent).state == "succeeded"


def test_a_failed_child_can_be_resumed_while_its_parent_is_at_work(by_alice):
    parent = start_family([[factories.Failing("a")], [Remote("b", 60)]])
    drive()
    child = parent.children.get(state="failed")
    WORLD.add("a")
    engine.resume(child, by=by_alice)
    drive()
    finish(parent, "b")
    drive(parent)
    assert parent.state == "succeeded"
    with pytest.raises(Conflict):
        engine.resume(child, by=by_alice)


def test_wake_looks_at_once_at_what_waits():
    run = start(Remote("a", 0.0, look=3600))
    drive()
    engine.wake(run)
    assert drive(run, seconds=2).state == "succeeded"


def test_lanes_are_cancelled_together(by_alice):
    run = start_plan(plan_of([[Remote("a", 60)], [Remote("b", 60)]], [[Thing("c")]]))
    drive()
    engine.cancel(run, by=by_alice)
    drive(run)
    assert (run.state, set(states(run)), CALLS["cancel a"], CALLS["cancel b"]) == ("cancelled", {"cancelled"}, 1, 1)


@pytest.mark.django_db(transaction=True)
def test_an_operation_at_work_learns_of_the_cancel_and_stops(by_alice, workers):
    run = start(Gated("a"))
    workers.wait_for(lambda: CALLS["apply a"])
    engine.cancel(run, by=by_alice)
    workers.wait_for_end(run)
    assert (run.state, run.steps.get().why) == ("cancelled", "The other side was told, and stopped.")


@pytest.mark.parametrize(("verb", "action"), [(services.pause_run, "run.pause"), (services.cancel_run, "run.cancel")])
def test_what_was_asked_for_is_in_the_audit_trail(by_alice, verb, action):
    run = start(Thing("a"))
    verb(by=by_alice, run=run)
    entry = AuditEntry.objects.get(action=action)
    assert (entry.actor, entry.object_id) == ("alice-of-runs", str(run.pk))


def test_what_was_refused_is_not_in_the_audit_trail(by_alice):
    run = drive(start(Thing("a")))
    with pytest.raises(Conflict):
        services.cancel_run(by=by_alice, run=run)
    assert not AuditEntry.objects.filter(action="run.cancel").exists()
