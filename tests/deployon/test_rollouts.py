"""Rollouts from preview to the end, on a double of a remote manager."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Secret
from deployon import reads, rollouts
from deployon.models import Placement, Target
from inventory.doubles import Script
from inventory.models import Credential, Deployment, Label
from runs.models import Step
from runs.states import RunState
from tests.deployon import factories as make
from tests.factories import actor
from tests.inventory import factories as inventory

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def test_a_rollout_puts_the_service_on_every_environment_and_reads_its_capabilities_back(
    alice, acme, double, drive
) -> None:
    for name in ("london", "paris"):
        make.environment(double, acme, name)
    version = make.version(acme, inputs_schema={"port": {"type": "integer", "default": 80}})
    double.script.capabilities = {"address": "http://here"}

    rollout = drive(make.rollout(alice, version, inputs={"port": "8080"}))

    assert rollout.run.state == RunState.SUCCEEDED, [row.why for row in reads.rollout_rows(rollout)]
    rows = reads.rollout_rows(rollout)
    assert [(row.name, row.state, row.capabilities) for row in rows] == [
        ("london", "succeeded", {"address": "http://here"}),
        ("paris", "succeeded", {"address": "http://here"}),
    ]
    placement = Placement.objects.select_related("deployment", "environment__deployment").first()
    assert placement.state == Placement.State.DEPLOYED
    assert placement.actual_digest == version.digest
    assert placement.desired_inputs == {"port": 8080}
    assert placement.deployment.installation_status == Deployment.InstallationStatus.ACTIVE
    assert placement.deployment.deployment_status == Deployment.DeploymentStatus.GOOD
    assert placement.environment.deployment.sub_services_count == 1
    labels = set(Label.objects.filter(deployment=placement.deployment).values_list("key", "value"))
    assert {("csys-obj-type", "service"), ("csys-obj-parent", "london"), ("portal-service", "hello")} <= labels
    there = double.answers(placement.environment.remote_tenant).world.deployments["hello"]
    assert there.inputs == {"port": 8080}


def test_a_second_rollout_of_the_same_finds_nothing_to_do(alice, acme, double, drive) -> None:
    make.environment(double, acme)
    version = make.version(acme)
    drive(make.rollout(alice, version))

    content = make.preview(alice, version).content

    assert [row["name"] for row in content["stays"]] and not content["create"]


def test_uninstall_takes_it_away_there_and_here(alice, acme, double, drive) -> None:
    environment = make.environment(double, acme)
    version = make.version(acme)
    rollout = drive(make.rollout(alice, version))

    undone = drive(rollouts.uninstall_rollout(by=actor(alice), rollout=rollout))

    assert undone.run.state == RunState.SUCCEEDED
    assert not Placement.objects.exists()
    assert not Deployment.objects.filter(kind=Deployment.Kind.PLACEMENT).exists()
    world = double.answers(environment.remote_tenant).world
    assert not world.deployments and not world.blueprints
    assert make.preview(alice, version).content["create"]


def test_requests_for_one_target_stay_few(alice, acme, double, drive) -> None:
    make.environment(double, acme)
    drive(make.rollout(alice, make.version(acme)))

    assert len(double.requests) <= 7, [f"{method} {path}" for method, path, _ in double.requests]


def test_a_thousand_targets_start_in_two_seconds(alice, acme, double, drive) -> None:
    secret = Secret.objects.create(tenant=acme, name="token", ciphertext=b"", key_id="none")
    credential = Credential.objects.create(tenant=acme, kind=Credential.Kind.TOKEN, token=secret)
    for number in range(1000):
        inventory.environment(acme, f"edge{number:04d}", [("env", "prod")], state="ready", credential=credential)
    version = make.version(acme)
    begun = time.process_time()  # the clock on the wall belongs to everybody on this machine
    shown = make.preview(alice, version)
    previewed = time.process_time()
    rollout = rollouts.start_rollout(by=actor(alice), tenant=acme, digest=shown.digest)
    started = time.process_time()

    assert Target.objects.filter(rollout=rollout).count() == 1000
    assert previewed - begun < 1
    assert started - previewed < 3  # 1.5 s where nothing else wants the processor


def test_failures_are_grouped_by_cause_and_retry_takes_exactly_what_failed(alice, acme, double, drive) -> None:
    good, bad = make.environment(double, acme, "good"), make.environment(double, acme, "bad")
    double.answers(bad.remote_tenant).world.script = Script(install_error="RuntimeError: disk full")
    rollout = drive(make.rollout(alice, make.version(acme)))

    assert rollout.run.state == RunState.FAILED
    assert [(cause["cause"], cause["count"]) for cause in reads.failures_by_cause(rollout)] == [("failed", 1)]
    assert "disk full" in reads.failures_by_cause(rollout)[0]["message"]
    first = {target.environment_id: target.run_id for target in rollout.targets.all()}
    assert Placement.objects.get(environment=bad).state == Placement.State.FAILED

    double.answers(bad.remote_tenant).world.script = Script()
    double.answers(bad.remote_tenant).world.deployments["hello"].script = Script()
    drive(rollouts.retry_rollout(by=actor(alice), rollout=rollout))

    again = {target.environment_id: target.run_id for target in rollout.targets.all()}
    assert again[good.pk] == first[good.pk]
    assert again[bad.pk] != first[bad.pk]
    rollout.refresh_from_db()
    assert rollout.run.state == RunState.SUCCEEDED
    assert reads.counts(rollout)["succeeded"] == 2


def test_failures_of_one_cause_and_another_wording_are_told_apart_for_api_and_page_alike(
    alice, acme, double, drive, client
) -> None:
    for number, words in enumerate(("disk full on edge-1", "disk full on edge-2", "no such plugin")):
        environment = make.environment(double, acme, f"place{number}")
        double.answers(environment.remote_tenant).world.script = Script(install_error=f"RuntimeError: {words}")
    rollout = drive(make.rollout(alice, make.version(acme)))

    told = [(group["cause"], group["count"], group["message"]) for group in reads.failures_by_cause(rollout)]
    assert [(cause, count) for cause, count, _ in told] == [("failed", 2), ("failed", 1)]
    assert "disk full" in told[0][2] and "no such plugin" in told[1][2]
    client.force_login(alice)
    failures = client.get(f"/api/v1/rollouts/{rollout.pk}/").json()["failures"]
    assert [(group["cause"], group["count"], group["message"]) for group in failures] == told
    page = client.get(f"/rollouts/{rollout.pk}/causes/").text
    assert "no such plugin" in page and page.count("disk full") == 1


def test_after_the_failure_budget_nothing_more_starts(alice, acme, double, drive) -> None:
    for _ in range(5):
        make.environment(double, acme)
    double.script.install_error = "RuntimeError: no"
    rollout = drive(make.rollout(alice, make.version(acme), max_parallel=1, failure_budget=1))

    counts = reads.counts(rollout)
    assert (counts["failed"], counts["cancelled"]) == (2, 3)
    assert rollouts.unfinished(rollout).count() == 5
    assert rollout.run.state == RunState.FAILED


def test_two_rollouts_on_one_environment_wait_for_each_other_and_name_the_holder(alice, acme, double, drive) -> None:
    environment = make.environment(double, acme)
    first = make.rollout(alice, make.version(acme, "hello"))
    second = make.rollout(alice, make.version(acme, "other"))

    waiting = second.targets.get().run
    assert waiting.state == RunState.HELD
    assert f"R-{first.targets.get().run_id}" in waiting.why and "hello" in waiting.why

    drive(first)
    drive(second)
    assert second.targets.get().run.state == RunState.SUCCEEDED
    assert set(double.answers(environment.remote_tenant).world.deployments) == {"hello", "other"}


def test_cancel_reaches_the_sub_manager_and_says_what_it_said(alice, acme, double, drive, drive_until) -> None:
    environment = make.environment(double, acme)
    held = make.environment(double, acme)
    double.script.install = 600.0
    rollout = make.rollout(alice, make.version(acme), max_parallel=1)
    drive_until(lambda: Placement.objects.get(environment=environment).remote_execution)

    rollouts.cancel_rollout(by=actor(alice), rollout=rollout)
    rollout = drive(rollout)

    assert rollout.run.state == RunState.CANCELLED
    run = rollout.targets.get(environment=environment).run
    assert run.state == RunState.CANCELLED
    execution = next(
        run for run in double.answers(environment.remote_tenant).world.runs.values() if run.workflow == "install"
    )
    assert execution.status == "cancelled"
    said = [event.message for event in run.events.filter(kind="cancel")]
    assert any("cancelled" in message for message in said), said
    assert rollout.targets.get(environment=held).run.cause == "not-started"


def test_an_install_that_has_run_for_long_is_cancelled_as_any_other(alice, acme, double, drive, drive_until) -> None:
    make.environment(double, acme)
    double.script.install, double.script.cancelling = 3600.0, 0.5
    rollout = make.rollout(alice, make.version(acme))
    drive_until(lambda: Placement.objects.get().remote_execution)
    Step.objects.filter(state="waiting").update(started_at=timezone.now() - timedelta(minutes=30))

    rollouts.cancel_rollout(by=actor(alice), rollout=rollout)

    assert drive(rollout).run.state == RunState.CANCELLED, rollout.targets.get().run.why
    assert Step.objects.get(operation="placement.ensure_installed").state == "cancelled"
    assert "Cancelled" in Placement.objects.get().why
