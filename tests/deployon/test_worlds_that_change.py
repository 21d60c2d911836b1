"""What changes under a running rollout: tenants that go, managers of another version, clocks that differ, a process that dies."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts import services
from accounts.errors import Conflict
from accounts.models import Tenant
from deployon import estimates, operations, reads, rollouts, sessions, steps, work
from deployon.models import Placement, Target
from inventory.connectors.manager import ManagerClient
from inventory.exposing import probe
from inventory.models import Environment
from inventory.uptime import uptime
from portal.templatetags import ui
from runs import workers
from runs.models import Run, Step, Worker
from runs.states import RunState
from runs.sweeper import keep_house
from tests.deployon import factories as make
from tests.factories import actor

pytestmark = pytest.mark.django_db
INSTALLED = (1, 1, 1)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Seconds where the product takes minutes."""
    monkeypatch.setattr(steps, "BLIP_SECONDS", (0.05,))
    monkeypatch.setattr(steps, "PATIENCE_IN_THE_MIDDLE", 0.5)
    monkeypatch.setattr(steps, "FIRST_LOOK_SECONDS", 0.05)


def world_of(double, environment):
    return double.answers(environment.remote_tenant).world


def made(double, environment):
    """How many blueprints, deployments and installs there are."""
    world = world_of(double, environment)
    installs = [run for run in world.runs.values() if run.workflow == "install"]
    return len(world.blueprints), len(world.deployments), len(installs)


def is_at_work(count):
    return lambda: Placement.objects.exclude(remote_execution="").count() == count


# --- tenants that go


def test_a_tenant_here_is_not_deleted_under_a_running_rollout_and_says_what_is_in_it(
    alice, admin, acme, double, drive, drive_until, api_of
):
    environment = make.environment(double, acme)
    double.script.install = 1.0
    rollout = make.rollout(alice, make.version(acme))
    drive_until(is_at_work(1))

    browser = api_of(admin)
    for address in (f"/api/v1/tenants/{acme.pk}/", "/api/v3.1/tenants/acme"):
        reply = browser.delete(address)
        assert reply.status_code in (400, 409), reply.content
        assert "1 rollout" in reply.content.decode() and "2 deployments" in reply.content.decode()
    with pytest.raises(Conflict, match="Delete those first"):
        services.delete_tenant(by=actor(admin), tenant=acme)

    assert drive(rollout).run.state == RunState.SUCCEEDED
    assert made(double, environment) == INSTALLED and Tenant.objects.filter(name="acme").exists()


def test_a_tenant_there_that_is_deleted_fails_its_target_in_words_and_nobody_elses(
    alice, acme, double, drive, drive_until
):
    lost, kept = make.environment(double, acme, "lost"), make.environment(double, acme, "kept")
    double.script.install = 1.0
    rollout = make.rollout(alice, make.version(acme))
    drive_until(is_at_work(2))

    double.gate.tenants.discard(lost.remote_tenant)
    double._answers.pop(lost.remote_tenant)
    rollout = drive(rollout)

    rows = {row.name: row for row in map(reads.as_row, reads.target_rows(rollout))}
    assert (rows["lost"].state, rows["lost"].cause, rows["kept"].state) == ("failed", "credential", "succeeded")
    assert f"has no tenant {lost.remote_tenant}" in rows["lost"].why and "create the tenant there" in rows["lost"].why
    assert Placement.objects.get(environment=lost).state == Placement.State.FAILED
    probe(lost)
    lost.refresh_from_db()
    assert lost.state == Environment.State.UNREACHABLE and lost.remote_tenant in lost.why

    double.gate.tenants.add(lost.remote_tenant)  # made anew there, and empty
    double.script.install = 0.0
    rollout = drive(rollouts.retry_rollout(by=actor(alice), rollout=rollout))
    assert rollout.run.state == RunState.SUCCEEDED
    assert made(double, lost) == made(double, kept) == INSTALLED


# --- managers of another version


def test_a_sub_manager_upgraded_in_the_middle_to_a_version_that_lacks_fields_is_worked_with_on(
    alice, acme, double, drive, drive_until
):
    environment = make.environment(double, acme)
    double.script.install = 0.6
    rollout = make.rollout(alice, make.version(acme))
    drive_until(is_at_work(1))

    double.lacks = {
        "finished_operations",
        "total_operations",
        "unavailable_instances",
        "drifted_instances",
        "site_name",
    }
    rollout = drive(rollout)
    assert rollout.run.state == RunState.SUCCEEDED, reads.rollout_rows(rollout)[0].why

    probe(environment)
    environment.refresh_from_db()
    assert environment.state == Environment.State.READY or "clear text" in environment.why
    second = make.version(acme, content="2")
    again = drive(make.rollout(alice, second, action="update"))
    assert again.run.state == RunState.SUCCEEDED, reads.rollout_rows(again)[0].why
    gone = drive(make.rollout(alice, second, action="uninstall"))
    assert gone.run.state == RunState.SUCCEEDED and made(double, environment)[1] == 0


def test_a_version_that_does_not_tell_what_is_needed_fails_with_the_field_and_what_to_do(alice, acme, double, drive):
    environment = make.environment(double, acme)
    double.lacks = {"latest_execution_status"}
    row = reads.rollout_rows(drive(make.rollout(alice, make.version(acme))))[0]
    assert (row.state, row.cause) == (RunState.FAILED, "input")
    assert "does not tell latest_execution_status" in row.why and "update the older one" in row.why
    assert made(double, environment)[2] == 0


# --- clocks that differ


@pytest.mark.parametrize("skew", [600.0, -600.0])
def test_a_sub_manager_whose_clock_is_ten_minutes_off_gets_its_service_and_no_time_is_negative(
    alice, acme, double, drive, signed_in, skew
):
    double.clock_skew = double.script.clock_skew = skew
    double.script.install = 0.5
    environment = make.environment(double, acme)

    rollout = drive(make.rollout(alice, make.version(acme)))

    row = reads.rollout_rows(rollout)[0]
    assert row.state == RunState.SUCCEEDED and 0 <= row.seconds < 30, row
    run = rollout.targets.get().run
    assert rollout.run.started_at <= run.started_at <= run.ended_at <= timezone.now()
    assert Placement.objects.get().updated_at <= timezone.now()
    times = list(run.events.order_by("pk").values_list("at", flat=True))
    assert times == sorted(times) and times[-1] <= timezone.now()
    assert "-" not in ui.seconds_between(run.started_at, run.ended_at)
    probe(environment)
    environment.refresh_from_db()
    assert environment.state == Environment.State.DEGRADED and "Set both clocks by NTP" in environment.why
    shown = signed_in(alice).get(f"/environments/{environment.pk}/").text
    assert re.search(rf"(599|600|601) s {'ahead of' if skew > 0 else 'behind'} ours", shown)


@pytest.mark.parametrize("skew", [600.0, -600.0])
def test_a_token_that_ends_by_a_clock_ten_minutes_off_is_told_to_end_and_used_until_it_is_refused(
    alice, acme, double, drive, skew
):
    environment = make.environment(double, acme)
    account = next(each for each in double.gate._by_token.values() if environment.remote_tenant in each.tenants)
    account.token_until = (timezone.now() - timedelta(minutes=5)).isoformat()  # by its clock, or not yet
    double.clock_skew = double.script.clock_skew = skew
    probe(environment)
    environment.refresh_from_db()
    assert "The token expires within a day" in environment.why
    assert drive(make.rollout(alice, make.version(acme))).run.state == RunState.SUCCEEDED
    account.is_token_expired = True
    row = reads.rollout_rows(drive(make.rollout(alice, make.version(acme, "second"))))[0]
    assert row.cause == "credential" and "has expired" in row.why


def test_times_that_two_hosts_of_this_portal_wrote_by_different_clocks_are_never_negative(alice, acme, double, drive):
    """The host that ended a step is ten minutes behind the one that began it."""
    environment = make.environment(double, acme)
    rollout = drive(make.rollout(alice, make.version(acme)))
    target, earlier = rollout.targets.get(), timezone.now() - timedelta(minutes=10)
    Run.objects.filter(pk=target.run_id).update(ended_at=earlier)
    assert reads.rollout_rows(rollout)[0].seconds == 0
    assert ui.seconds_between(timezone.now(), earlier) == "0.0 s"
    assert estimates.estimate(rollout.version.service_id, "deploy", 1, 1).startswith("About 1 s")
    for minutes in (0, -10, 5):
        environment.probes.create(
            at=timezone.now() + timedelta(minutes=minutes),
            is_ready=minutes < 0,
            milliseconds=1,
            rungs=[],
            failed_rung="",
        )
    assert 0 <= uptime(list(environment.probes.order_by("-id"))).share <= 1


# --- a process that dies


class Died(BaseException):
    """As if the process had been killed: nothing is caught, nothing is tidied up."""


def somebody_else_takes_over():
    """The worker that died is found out, and another process begins with nothing in its memory."""
    dead = uuid.uuid4()
    Worker.objects.create(pk=dead, name="gone", heartbeat_at=timezone.now() - timedelta(minutes=5))
    Step.objects.filter(state="running").update(worker=dead)
    work.forget()
    sessions.forget()
    operations._JUST_MADE.clear()
    keep_house(workers.Watch())


@pytest.mark.parametrize(
    ("call", "is_sent"),
    [
        ("create_deployment", False),
        ("create_deployment", True),
        ("start_execution", False),
        ("start_execution", True),
    ],
)
def test_a_portal_that_dies_around_the_creation_of_a_deployment_and_its_install_goes_on_without_doing_either_twice(
    alice, acme, double, drive, monkeypatch, call, is_sent
):
    environment = make.environment(double, acme)
    double.script.install = 0.3
    rollout = make.rollout(alice, make.version(acme))
    honest, deaths = getattr(ManagerClient, call), []

    def dies_once(self, *args, **kwargs):
        if deaths:
            return honest(self, *args, **kwargs)
        deaths.append(call)
        if is_sent:
            honest(self, *args, **kwargs)
        raise Died

    monkeypatch.setattr(ManagerClient, call, dies_once)
    with pytest.raises(Died):
        drive(rollout)
    assert (
        made(double, environment)[1:]
        == {
            ("create_deployment", False): (0, 0),
            ("create_deployment", True): (1, 0),
            ("start_execution", False): (1, 0),
            ("start_execution", True): (1, 1),
        }[call, is_sent]
    )

    somebody_else_takes_over()
    rollout = drive(rollout)

    assert rollout.run.state == RunState.SUCCEEDED, reads.rollout_rows(rollout)[0].why
    assert made(double, environment) == INSTALLED
    assert double.count("PUT", "/deployments/") <= 2 and double.count("POST", "/executions") <= 2
    assert Target.objects.count() == Placement.objects.count() == 1
