"""States and counts of families of deployments."""

from __future__ import annotations

import pytest

from inventory.deployments import refresh_states
from inventory.models import Deployment, Environment
from inventory.rollup import refresh_many, worst
from tests.inventory import factories

Status = Deployment.DeploymentStatus


def service(tenant, parent, *, execution="completed", installed="active"):
    labels = [("csys-obj-parent", parent.wire_id)] if parent else []
    return factories.deployment(
        tenant, labels=labels, parent=parent, latest_execution_status=execution, installation_status=installed
    )


def fresh(row):
    row.refresh_from_db()
    return row


@pytest.mark.parametrize(
    ("execution", "installed", "status"),
    [
        ("completed", "active", Status.GOOD),
        ("cancelled", "active", Status.GOOD),
        ("cancelled", "inactive", Status.REQUIRES_ATTENTION),
        ("failed", "active", Status.REQUIRES_ATTENTION),
        ("completed", "inactive", Status.REQUIRES_ATTENTION),
        ("in_progress", "inactive", Status.IN_PROGRESS),
        (None, "inactive", Status.REQUIRES_ATTENTION),
    ],
)
@pytest.mark.django_db
def test_the_own_part_follows_the_latest_execution_and_the_installation(acme, execution, installed, status):
    row = service(acme, None, execution=execution, installed=installed)
    refresh_states(row)
    assert row.deployment_status == fresh(row).deployment_status == status


@pytest.mark.django_db
@pytest.mark.parametrize("state", Environment.State)
def test_an_environment_is_good_only_when_it_is_ready(acme, state):
    environment = factories.environment(acme, state=state)
    refresh_states(environment.deployment)
    assert (environment.deployment.deployment_status == Status.GOOD) == (state == Environment.State.READY)


@pytest.mark.django_db
@pytest.mark.both_databases
def test_the_worst_state_and_recursive_counts_reach_all_ancestors(acme):
    top = factories.environment(acme, "top", state=Environment.State.READY).deployment
    middle = factories.environment(acme, "middle", state=Environment.State.READY, deployment={"parent": top}).deployment
    good, bad = service(acme, middle), service(acme, middle)
    for row in (good, bad):
        refresh_states(row)
    assert (fresh(top).deployment_status, fresh(top).sub_services_count, fresh(top).sub_environments_count) == (
        "good",
        2,
        1,
    )
    assert (top.sub_services_status, top.sub_environments_status) == ("good", "good")

    Deployment.objects.filter(pk=bad.pk).update(latest_execution_status="failed")
    refresh_states(bad)
    assert (fresh(middle).sub_services_status, middle.deployment_status) == (
        Status.REQUIRES_ATTENTION,
        Status.REQUIRES_ATTENTION,
    )
    assert (fresh(top).sub_services_status, top.sub_environments_status) == (
        Status.REQUIRES_ATTENTION,
        Status.REQUIRES_ATTENTION,
    )
    assert top.deployment_status == Status.REQUIRES_ATTENTION

    bad.delete()
    refresh_states(middle)
    assert (fresh(top).deployment_status, top.sub_services_count) == (Status.GOOD, 1)


@pytest.mark.django_db
def test_an_unreachable_environment_makes_its_parent_require_attention(acme):
    top = factories.environment(acme, "top", state=Environment.State.READY).deployment
    child = factories.environment(
        acme, "child", state=Environment.State.UNREACHABLE, deployment={"parent": top}
    ).deployment
    refresh_states(child)
    assert fresh(top).sub_environments_status == Status.REQUIRES_ATTENTION
    assert top.sub_services_status is None


@pytest.mark.django_db
def test_the_climb_stops_where_nothing_changes(acme, django_assert_max_num_queries):
    row = service(acme, None)
    for _ in range(12):
        row = service(acme, row)
        refresh_states(row)
    with django_assert_max_num_queries(8):  # two levels: itself, and the parent that stays as it is
        refresh_states(row)


def test_the_worst_of_nothing_is_nothing():
    assert worst([None, None]) is None
    assert worst(["good", None, "in_progress"]) == Status.IN_PROGRESS


@pytest.mark.django_db
@pytest.mark.both_databases
def test_many_environments_are_brought_up_to_date_together_each_with_its_own_children(
    acme, django_assert_max_num_queries
):
    top = factories.environment(acme, "top", state=Environment.State.READY).deployment
    below = [
        factories.environment(acme, f"e{n}", state=Environment.State.READY, deployment={"parent": top}).deployment
        for n in range(12)
    ]
    for number, row in enumerate(below):
        for _ in range(number):
            service(acme, row, execution="failed" if number == 5 else "completed")
    Deployment.objects.filter(parent__in=below).update(deployment_status=Status.GOOD)
    Deployment.objects.filter(parent=below[5]).update(deployment_status=Status.REQUIRES_ATTENTION)
    keys = [row.pk for row in below]
    with django_assert_max_num_queries(16):  # two levels and the look at what is above them
        rows = refresh_many([*keys, max(keys) + 1000])
    assert set(rows) == set(keys)
    found = [(fresh(row).sub_services_count, row.deployment_status) for row in below]
    assert found == [(n, Status.REQUIRES_ATTENTION if n == 5 else Status.GOOD) for n in range(12)]
    assert (fresh(top).sub_services_count, top.sub_environments_count) == (sum(range(12)), 12)
    assert (top.sub_services_status, top.sub_environments_status) == (Status.REQUIRES_ATTENTION,) * 2


@pytest.mark.django_db
def test_a_parent_and_its_child_given_together_are_both_right(acme):
    top = factories.environment(acme, "top", state=Environment.State.READY).deployment
    below = factories.environment(acme, "below", state=Environment.State.READY, deployment={"parent": top}).deployment
    refresh_states(below)
    leaf = service(acme, below, execution="failed")
    refresh_many([top.pk, below.pk, leaf.pk])
    assert [fresh(row).deployment_status for row in (top, below, leaf)] == [Status.REQUIRES_ATTENTION] * 3
    assert (top.sub_services_count, below.sub_services_count) == (1, 1)
