"""Sub-managers that limit how many targets are at work there at once, over all rollouts."""

from __future__ import annotations

import itertools

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from deployon import reads, rollouts
from deployon.models import Target
from inventory.models import Environment, SubManager
from inventory.sub_managers import set_limit
from runs.states import RunState
from tests.deployon import factories as make
from tests.factories import actor

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def most_at_once_of(double, tenants: list[str]) -> int:
    """How many installs ran side by side at most; one at each environment."""
    worlds = [double.answers(name).world for name in tenants]
    runs = [run for world in worlds for run in world.runs.values() if run.workflow == "install"]
    moments = sorted([(run.created, 1) for run in runs] + [(run.ended, -1) for run in runs])
    return max(itertools.accumulate(change for _, change in moments))


def limited(acme, alice, to: int) -> SubManager:
    manager = SubManager.objects.get()
    set_limit(by=actor(alice), manager=manager, max_parallel=to)
    return manager


def test_targets_of_two_rollouts_at_one_sub_manager_take_turns(alice, acme, double, drive, drive_until) -> None:
    double.script.install = 0.5
    one = [make.environment(double, acme) for _ in range(3)]
    two = [make.environment(double, acme) for _ in range(2)]
    manager = limited(acme, alice, 2)
    first = make.rollout(alice, make.version(acme, "hello"), one)
    second = make.rollout(alice, make.version(acme, "other"), two)
    drive_until(lambda: Target.objects.filter(run__steps__state="waiting", has_place=False).count() == 3)

    waiting = [target.run.why for target in Target.objects.filter(has_place=False).select_related("run")]
    assert waiting and all(f"{manager} takes at most 2 targets at once" in why for why in waiting), waiting
    asked = {tenant for _, path, tenant in double.requests}
    assert len(asked) == 2, "those that wait ask for nothing"

    drive(first)
    drive(second)
    assert [row.state for row in reads.rollout_rows(first) + reads.rollout_rows(second)] == ["succeeded"] * 5
    assert most_at_once_of(double, list(Environment.objects.values_list("remote_tenant", flat=True))) == 2


def test_a_higher_limit_counts_for_those_that_wait(alice, acme, double, drive_until) -> None:
    double.script.install = 600.0
    for _ in range(3):
        make.environment(double, acme)
    limited(acme, alice, 1)
    make.rollout(alice, make.version(acme))
    drive_until(lambda: Target.objects.filter(run__steps__state="waiting").count() == 3)
    assert Target.objects.filter(has_place=True).count() == 1

    limited(acme, alice, 0)

    drive_until(lambda: double.count("POST", "/executions") == 3)


def test_a_target_that_ends_in_any_way_leaves_its_place_and_a_retry_asks_for_a_new_one(
    alice, acme, double, drive
) -> None:
    for _ in range(3):
        make.environment(double, acme)
    limited(acme, alice, 1)
    double.script.install_error = "RuntimeError: no"
    rollout = drive(make.rollout(alice, make.version(acme)))
    assert reads.counts(rollout)["failed"] == 3

    rollouts.retry_rollout(by=actor(alice), rollout=rollout)

    assert not rollout.targets.filter(has_place=True).exists()
    assert reads.counts(drive(rollout))["failed"] == 3


def test_one_that_waits_for_its_place_is_cancelled_without_a_request(alice, acme, double, drive, drive_until) -> None:
    double.script.install = 600.0
    for _ in range(2):
        make.environment(double, acme)
    limited(acme, alice, 1)
    rollout = make.rollout(alice, make.version(acme))
    drive_until(lambda: double.count("POST", "/executions") == 1)
    drive_until(lambda: Target.objects.filter(has_place=False, run__steps__state="waiting").exists())

    rollouts.cancel_rollout(by=actor(alice), rollout=rollout)

    assert drive(rollout).run.state == RunState.CANCELLED
    assert len({tenant for _, _, tenant in double.requests}) == 1


def test_where_there_is_no_limit_no_query_asks_for_it(alice, acme, double, drive) -> None:
    make.environment(double, acme)
    rollout = make.rollout(alice, make.version(acme))

    with CaptureQueriesContext(connection) as queries:
        drive(rollout)

    assert not [each["sql"] for each in queries if "has_place" in each["sql"] and "COUNT" in each["sql"]]
    assert not [each["sql"] for each in queries if 'FROM "inventory_submanager"' in each["sql"]]
