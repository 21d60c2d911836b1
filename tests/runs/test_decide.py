"""What a run does next, from its flags and its open steps alone."""

import pytest

from runs.decide import decide
from runs.models import Run, Step


def step(state="pending", stage=0, lane=0, position=0, **more):
    return Step(state=state, stage=stage, lane=lane, position=position, title=f"{stage}.{lane}.{position}", **more)


def titles(steps):
    return [step.title for step in steps]


def test_the_first_step_of_every_lane_of_the_present_stage_begins():
    steps = [step(lane=0), step(lane=0, position=1), step(lane=1), step(stage=1)]
    assert titles(decide(Run(), steps).begin) == ["0.0.0", "0.1.0"]


def test_a_lane_with_a_step_at_work_begins_none():
    steps = [step("running", lane=0), step(lane=0, position=1), step(lane=1)]
    decision = decide(Run(), steps)
    assert (decision.state, titles(decision.begin)) == ("running", ["0.1.0"])


def test_the_next_stage_waits_for_all_lanes():
    assert decide(Run(), [step("waiting", lane=1, why="w"), step(stage=1)]).begin == []


@pytest.mark.parametrize(
    ("states", "expected"), [([], "succeeded"), (["failed"], "failed"), (["failed", "pending"], "failed")]
)
def test_how_a_run_ends(states, expected):
    assert decide(Run(), [step(state, position=n) for n, state in enumerate(states)]).state == expected


def test_a_check_goes_on_after_a_difference():
    decision = decide(Run(mode="check"), [step("failed"), step(position=1)])
    assert (decision.state, titles(decision.begin)) == ("pending", ["0.0.1"])


def test_a_step_that_is_looked_at_just_now_leaves_the_run_waiting():
    assert decide(Run(), [step("running", why="something remote")]).state == "waiting"


def test_cancel_gives_steps_that_were_begun_before_a_chance_to_tell_the_other_side():
    run = Run(is_cancel_requested=True, request="Cancel asked for by alice.")
    decision = decide(run, [step(attempt=1), step(position=1)])
    assert (titles(decision.begin), titles(decision.cancel)) == (["0.0.0"], ["0.0.1"])
    assert decision.state != "cancelled" and decision.why.startswith("Cancel asked for by alice.")


def test_pause_lets_what_is_at_work_end():
    run = Run(is_pause_requested=True, request="Paused by alice.")
    assert decide(run, [step("waiting", why="w"), step(position=1)]).state == "waiting"
    decision = decide(run, [step(position=1)])
    assert (decision.state, decision.why, decision.begin) == ("paused", "Paused by alice.", [])
