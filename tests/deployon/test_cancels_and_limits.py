"""A cancel at each step, a limit that passes before the site is done, and many sites of which some are faulty."""

from __future__ import annotations

import time

import pytest

from deployon import reads, rollouts, steps
from deployon.models import Placement
from deployon.operations import EnsureInstalled
from inventory.doubles import Script
from runs.states import RunState
from tests.deployon import factories as make
from tests.factories import actor

pytestmark = pytest.mark.django_db
MANY, BUDGET, SIDE_BY_SIDE, PATIENCE = 1000, 20, 10, 300


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(steps, "FIRST_LOOK_SECONDS", 0.05)


def world_of(double, environment):
    return double.answers(environment.remote_tenant).world


@pytest.mark.parametrize(
    ("step", "is_there"),
    [
        ("upload", lambda world: world.blueprints),
        ("creation", lambda world: world.deployments),
        ("install", lambda world: any(run.workflow == "install" for run in world.runs.values())),
    ],
)
def test_a_cancel_during_each_step_reaches_what_runs_there_and_a_retry_goes_on(
    alice, acme, double, drive, drive_until, step, is_there
):
    environment = make.environment(double, acme)
    setattr(double.script, step, 2.0 if step != "install" else 1e6)
    rollout = make.rollout(alice, make.version(acme))
    drive_until(lambda: is_there(world_of(double, environment)))

    rollouts.cancel_rollout(by=actor(alice), rollout=rollout)
    rollout = drive(rollout)

    assert rollout.run.state == RunState.CANCELLED
    placement, world = Placement.objects.get(), world_of(double, environment)
    assert placement.state == Placement.State.FAILED and "ancelled" in placement.why
    assert not any(run.is_active for run in world.runs.values() if run.workflow == "install")

    double.script.install = double.script.upload = double.script.creation = 0.0
    world.script = double.script
    for row in world.deployments.values():
        row.script = double.script
    rollout = drive(rollouts.retry_rollout(by=actor(alice), rollout=rollout))
    assert rollout.run.state == RunState.SUCCEEDED, reads.rollout_rows(rollout)[0].why
    assert (len(world.blueprints), len(world.deployments)) == (1, 1)


def test_a_limit_that_passed_before_a_late_success_there_has_it_adopted_and_not_installed_again(
    alice, acme, double, drive, monkeypatch
):
    monkeypatch.setattr(EnsureInstalled, "seconds", 0.2)
    environment = make.environment(double, acme)
    double.script.install = 1.0
    rollout = drive(make.rollout(alice, make.version(acme)))
    row = reads.rollout_rows(rollout)[0]
    assert (row.state, row.cause) == (RunState.FAILED, "timeout")

    world = world_of(double, environment)
    (install,) = (run for run in world.runs.values() if run.workflow == "install")
    time.sleep(max(0.0, install.ended - time.time()) + 0.05)
    rollout = drive(rollouts.retry_rollout(by=actor(alice), rollout=rollout))

    assert rollout.run.state == RunState.SUCCEEDED
    assert [run.workflow for run in world.runs.values()].count("install") == 1
    assert Placement.objects.get().state == Placement.State.DEPLOYED


def test_of_many_sites_with_some_faulty_the_budget_stops_it_and_a_retry_touches_only_what_is_not_done(
    alice, acme, double, drive
):
    """One in twenty is faulty; what is counted are requests for each site."""
    sites = [make.environment(double, acme) for _ in range(MANY)]
    for site in sites[::20]:
        world_of(double, site).script = Script(install_error="RuntimeError: no disk")
    rollout = drive(
        make.rollout(alice, make.version(acme), max_parallel=SIDE_BY_SIDE, failure_budget=BUDGET), seconds=PATIENCE
    )
    counts = reads.counts(rollout)
    assert rollout.run.state == RunState.FAILED
    assert BUDGET < counts["failed"] <= BUDGET + 1 and counts["cancelled"] >= MANY // 5, counts
    begun = sum(bool(world_of(double, site).deployments) for site in sites)
    assert begun <= counts["succeeded"] + counts["failed"] + SIDE_BY_SIDE

    for site in sites:
        world_of(double, site).script = Script()
        for row in world_of(double, site).deployments.values():
            row.script = Script()
    done = {row.environment for row in reads.rollout_rows(rollout) if row.state == "succeeded"}
    double.requests.clear()
    rollout = drive(rollouts.retry_rollout(by=actor(alice), rollout=rollout), seconds=PATIENCE)

    assert rollout.run.state == RunState.SUCCEEDED
    asked = {tenant for _, _, tenant in double.requests}
    assert asked == {site.remote_tenant for site in sites if site.pk not in done}
    assert len(double.requests) <= 9 * len(asked), "few requests for each"
    assert all([run.workflow for run in world_of(double, site).runs.values()].count("install") <= 2 for site in sites)
