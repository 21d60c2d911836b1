"""A single run: the one rule of execution, what it leaves behind, and how it ends."""

import pytest
from django.core.exceptions import ValidationError

from runs import engine
from runs.models import Event, Run
from tests.runs import factories
from tests.runs.drive import drive
from tests.runs.factories import CALLS, WORLD, Broken, Failing, Idle, Remote, Thing, finish, plan_of, start, start_plan

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


@pytest.fixture(autouse=True)
def clean():
    factories.reset()


def states(run):
    return [step.state for step in run.steps.all()]


def test_what_is_already_as_wanted_is_skipped_and_the_rest_is_brought_about():
    WORLD.add("a")
    run = drive(start(Thing("a"), Thing("b")))
    assert (run.state, states(run)) == ("succeeded", ["skipped", "succeeded"])
    assert CALLS == {"check a": 1, "check b": 2, "apply b": 1}


def test_every_change_of_state_leaves_an_event_in_order():
    run = drive(start(Thing("a"), Thing("b")))
    kinds = list(Event.objects.filter(run=run).values_list("kind", flat=True))
    assert kinds == [
        "run.pending",
        "run.running",
        "step.running",
        "step.succeeded",
        "step.running",
        "step.succeeded",
        "run.succeeded",
    ]


def test_a_step_that_was_carried_out_and_is_not_as_wanted_has_failed():
    run = drive(start(Idle("a"), Thing("b")))
    step = run.steps.first()
    assert (run.state, states(run)) == ("failed", ["failed", "pending"])
    assert (step.cause, step.why) == ("no-effect", "It was carried out, and still is not as wanted.")
    assert CALLS["check b"] == 0


def test_a_failure_names_its_cause_on_the_step_and_on_the_run():
    run = drive(start(Failing("a")))
    assert (run.state, run.cause, run.why) == ("failed", "unreachable", "The host is not there: check its address.")


def test_an_unforeseen_error_fails_the_step_and_shows_no_secret():
    run = drive(start(Broken("a")))
    texts = [
        run.why,
        run.steps.get().why,
        *(f"{event.message} {event.data}" for event in Event.objects.filter(run=run)),
    ]
    assert run.cause == "broken" and "cannot log in with ***" in run.why
    assert not any("hunter2" in text for text in texts)
    assert any("trying ***" in text for text in texts)


def test_waiting_is_a_state_that_says_why_and_when_it_is_looked_at_next():
    run = start(Remote("a", seconds=60, look=30), Thing("b"))
    drive()
    run.refresh_from_db()
    step = run.steps.first()
    assert (run.state, run.why) == ("waiting", "a is at work there")
    assert step.next_look_at is not None and run.next_look_at == step.next_look_at
    assert step.memory == {"looks": 1}
    finish(run, "a")
    drive(run)
    assert (run.state, states(run)) == ("succeeded", ["succeeded", "succeeded"])
    assert CALLS["apply a"] == 1
    assert Event.objects.filter(run=run, kind="step.waiting").count() == 1


def test_a_wait_ends_as_failed_after_its_deadline():
    run = drive(start(Remote("a", seconds=60, look=0.05, deadline=0.2)))
    assert (run.state, run.cause, run.why) == ("failed", "timeout", "Not done after 0 s: a is at work there")


def test_lanes_go_side_by_side_and_stages_in_order():
    run = start_plan(plan_of([[Thing("a1"), Remote("a2", 60)], [Thing("b1")]], [[Thing("c")]]))
    drive()
    by_name = {step.args["name"]: step.state for step in run.steps.all()}
    assert by_name == {"a1": "succeeded", "a2": "waiting", "b1": "succeeded", "c": "pending"}
    finish(run, "a2")
    drive(run)
    assert set(states(run)) == {"succeeded"}


def test_a_failure_in_one_lane_lets_the_others_end_their_step_and_begins_nothing_new():
    run = start_plan(plan_of([[Failing("a")], [Remote("b", 60), Thing("b2")]], [[Thing("c")]]))
    drive()
    run.refresh_from_db()
    assert run.state == "waiting" and "A step failed" in run.why and "Bring about b" in run.why
    finish(run, "b")
    drive(run)
    assert {step.args["name"]: step.state for step in run.steps.all()} == {
        "a": "failed",
        "b": "succeeded",
        "b2": "pending",
        "c": "pending",
    }


def test_check_mode_reports_all_differences_and_applies_nothing():
    WORLD.add("b")
    run = drive(start(Thing("a"), Thing("b"), Thing("c"), mode=Run.Mode.CHECK))
    assert (run.state, states(run)) == ("failed", ["failed", "skipped", "failed"])
    assert run.why == "2 steps differ: Bring about a; Bring about c"
    assert not any(call.startswith("apply") for call in CALLS)


def test_a_check_without_differences_succeeds():
    WORLD.update("ab")
    assert drive(start(Thing("a"), Thing("b"), mode=Run.Mode.CHECK)).state == "succeeded"


def test_start_must_name_the_digest_of_what_was_shown():
    plan = plan_of([[Thing("a")]])
    with pytest.raises(ValidationError, match="has changed since it was shown"):
        engine.start_run(plan=plan, digest="0" * 64, title="x", tenant=factories.a_tenant(), started_by=None)


def test_a_plan_without_steps_succeeds_at_once():
    assert start_plan(plan_of([])).state == "succeeded"


def test_a_failed_run_goes_on_at_its_first_unfinished_step(by_alice):
    run = drive(start(Thing("a"), Failing("b"), Thing("c")))
    WORLD.add("b")
    engine.resume(run, by=by_alice)
    drive(run)
    assert (run.state, states(run), run.attempt) == ("succeeded", ["succeeded"] * 3, 2)
    assert CALLS["apply a"] == 1 and CALLS["check a"] == 2


def test_an_operation_that_this_version_does_not_know_fails_with_the_remedy():
    run = start(Thing("a"))
    run.steps.update(operation="test.forgotten")
    drive(run)
    assert run.cause == "unknown-operation" and "plan again" in run.why
