"""Parents and children: limits, the failure budget, locks, and how a parent ends."""

import pytest

from runs import engine
from runs.models import Event, Run
from runs.reads import causes, progress, why_waiting
from tests.runs import factories
from tests.runs.drive import drive
from tests.runs.factories import CALLS, Failing, Remote, Thing, finish, start, start_family

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


@pytest.fixture(autouse=True)
def clean():
    factories.reset()


def child_states(parent):
    return list(parent.children.order_by("position").values_list("state", flat=True))


def test_all_children_are_carried_out_and_the_parent_succeeds():
    parent = drive(start_family([[Thing(f"a{n}"), Thing(f"b{n}")] for n in range(12)]))
    assert (parent.state, set(child_states(parent))) == ("succeeded", {"succeeded"})
    assert len(factories.WORLD) == 24
    assert progress(parent)["percent"] == 100


def test_no_more_children_are_at_work_than_allowed():
    parent = start_family([[Remote(f"a{n}", 0.15)] for n in range(5)], max_parallel=2)
    most = 0
    while parent.state not in ("succeeded", "failed"):
        drive()
        parent.refresh_from_db()
        active = sum(state in ("pending", "running", "waiting") for state in child_states(parent))
        most = max(most, active)
    assert (parent.state, most) == ("succeeded", 2)


def test_a_held_child_says_what_it_waits_for():
    parent = start_family([[Remote("a", 60)], [Thing("b")]], max_parallel=1)
    drive()
    held = parent.children.get(state="held")
    assert why_waiting(held) == "Waits for its turn: 1 of at most 1 are at work."


def test_children_start_in_their_order():
    parent = drive(start_family([[Thing(f"a{n}")] for n in range(6)], max_parallel=1))
    started = (
        Event.objects.filter(top=parent, kind="step.running").order_by("id").values_list("run__position", flat=True)
    )
    assert list(started) == list(range(6))


def test_the_failure_budget_lets_what_is_at_work_end_and_starts_nothing_more():
    parent = start_family(
        [[Failing("a0")], [Failing("a1")], [Thing("a2")], [Thing("a3")]], max_parallel=1, failure_budget=1
    )
    drive(parent)
    assert (parent.state, child_states(parent)) == ("failed", ["failed", "failed", "cancelled", "cancelled"])
    last = parent.children.get(position=3)
    assert (last.cause, last.why) == ("not-started", "Not started: the failure budget was used up.")
    assert last.started_at is None and last.ended_at is not None
    assert "2 of 4 failed" in parent.why
    assert CALLS["apply a2"] == 0


def test_failures_within_the_budget_stop_nothing():
    parent = drive(start_family([[Failing("a0")], [Thing("a1")], [Thing("a2")]], max_parallel=1, failure_budget=1))
    assert (parent.state, child_states(parent)) == ("failed", ["failed", "succeeded", "succeeded"])


def test_without_a_budget_everything_is_tried():
    parent = drive(start_family([[Failing(f"a{n}")] for n in range(4)]))
    assert set(child_states(parent)) == {"failed"}
    assert causes(parent) == [
        {"cause": "unreachable", "message": "The host is not there: check its address.", "count": 4}
    ]


def test_a_parent_without_children_succeeds():
    assert start_family([]).state == "succeeded"


def test_children_with_a_plan_of_stages_are_carried_out_too():
    parent = engine.start_parent(title="x", tenant=factories.a_tenant(), started_by=None)
    plan = factories.plan_of([[Thing("a")], [Thing("b")]], [[Thing("c")]])
    engine.add_children(parent, [(plan, "with stages", "")])
    engine.advance(parent)
    assert drive(parent).state == "succeeded"
    assert {"a", "b", "c"} == factories.WORLD


def test_a_second_run_on_one_lock_is_held_names_the_holder_and_starts_when_that_one_ends():
    first = start(Remote("a", 60), lock="environment:12", title="first")
    second = start(Thing("b"), lock="environment:12")
    third = start(Thing("c"), lock="environment:12")
    assert second.state == "held"
    assert (
        second.why == f"R-{first.pk} (first) is at work on the same thing (environment:12). Starts when it has ended."
    )
    drive()
    finish(first, "a")
    drive(third)
    second.refresh_from_db()
    assert (second.state, second.started_at < third.started_at) == ("succeeded", True)


def test_a_lock_is_free_again_after_a_failure_and_after_a_cancel(by_alice):
    first = start(Failing("a"), lock="x")
    second = start(Thing("b"), Remote("b", 5), lock="x")
    third = start(Thing("c"), lock="x")
    drive(first)
    drive()
    second.refresh_from_db()
    engine.cancel(second, by=by_alice)
    assert drive(third).state == "succeeded"


def test_children_of_two_parents_on_one_lock_go_one_after_the_other():
    locks = ["environment:1", "environment:2"]
    first = start_family([[Remote("a1", 60)], [Remote("a2", 60)]], locks=locks, title="one")
    second = start_family([[Thing("b1")], [Thing("b2")]], locks=locks)
    drive()
    second.refresh_from_db()
    holder = first.children.get(position=0)
    assert second.state == "waiting"
    child = second.children.get(position=0)
    assert child.state == "held" and child.why.startswith(f"R-{holder.pk} (Child 0) is at work on the same thing")
    finish(first, "a1", "a2")
    drive(second)
    first.refresh_from_db()
    assert (first.state, second.state) == ("succeeded", "succeeded")


def test_two_children_of_one_parent_on_one_lock_go_one_after_the_other():
    parent = drive(start_family([[Thing("a")], [Thing("b")], [Thing("c")]], locks=["x", "x", ""]))
    assert set(child_states(parent)) == {"succeeded"}


def test_a_parent_can_hold_a_lock_and_wait_for_one(by_alice):
    first = start_family([[Remote("a", 60)]], lock="rollout")
    second = start_family([[Thing("b")]], lock="rollout")
    assert (second.state, second.why.split(" ")[0]) == ("held", f"R-{first.pk}")
    drive()
    finish(first, "a")
    assert drive(second).state == "succeeded"


def test_the_sweeper_advances_a_parent_whose_turn_was_lost():
    parent = start_family([[Thing("a")], [Thing("b")]], max_parallel=1)
    # As if the process had died after the commit of the child's end.
    child = parent.children.get(position=0)
    child.steps.update(state="succeeded", next_look_at=None)
    Run.objects.filter(pk=child.pk).update(state="succeeded")
    assert drive(parent).state == "succeeded"


def test_a_thousand_children_are_made_with_few_queries(django_assert_max_num_queries):
    parent = engine.start_parent(title="big", tenant=factories.a_tenant(), started_by=None, max_parallel=10)
    with django_assert_max_num_queries(600):  # inserts of some hundred rows each
        engine.add_children(
            parent, [([Thing(f"a{n}"), Thing(f"b{n}")], f"Child {n}", f"environment:{n}") for n in range(1000)]
        )
    with django_assert_max_num_queries(30):
        engine.advance(parent)
    assert parent.children.filter(state="pending").count() == 10
