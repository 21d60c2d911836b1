"""What goes wrong at a sub-manager during a rollout, and how each of it ends: with a named cause, and nothing done twice."""

from __future__ import annotations

import functools

import pytest

from accounts.secrets import replace_secret
from deployon import reads, rollouts, steps
from deployon.models import Placement
from deployon.operations import EnsureDeployment, EnsureInstalled
from inventory.connectors.address import Timeouts
from inventory.doubles import Account, Fault, FaultKind, Script, refused_port
from inventory.models import Environment, SubManager
from runs.states import RunState
from tests.deployon import factories as make
from tests.factories import actor

pytestmark = pytest.mark.django_db

WRITES = [("PUT", "/blueprints/"), ("PUT", "/deployments/"), ("POST", "/executions")]


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Seconds where the product takes minutes."""
    monkeypatch.setattr(steps, "BLIP_SECONDS", (0.05,))
    monkeypatch.setattr(steps, "PATIENCE_AT_START", 0.5)
    monkeypatch.setattr(steps, "PATIENCE_IN_THE_MIDDLE", 5.0)
    monkeypatch.setattr(steps, "FIRST_LOOK_SECONDS", 0.05)
    monkeypatch.setattr("inventory.connectors.conversation.Timeouts", functools.partial(Timeouts, read=0.5, upload=0.5))


def end_of(rollout) -> tuple[str, str, str]:
    row = reads.rollout_rows(rollout)[0]
    return row.state, row.cause, row.why


def made(double, environment) -> tuple[int, int, int]:
    """How many blueprints, deployments and installs there are."""
    world = double.answers(environment.remote_tenant).world
    installs = [run for run in world.runs.values() if run.workflow == "install"]
    return len(world.blueprints), len(world.deployments), len(installs)


@pytest.mark.parametrize("kind", [FaultKind.ERROR_AFTER_WRITE, FaultKind.LOST_AFTER_WRITE])
@pytest.mark.parametrize(("method", "path"), WRITES)
def test_a_write_whose_answer_was_lost_is_looked_up_and_not_repeated(alice, acme, double, drive, kind, method, path):
    environment = make.environment(double, acme)
    double.faults.append(Fault(kind, method, path, times=1))

    rollout = drive(make.rollout(alice, make.version(acme)))

    assert end_of(rollout)[0] == RunState.SUCCEEDED, end_of(rollout)
    assert made(double, environment) == (1, 1, 1)


@pytest.mark.parametrize(
    "kind",
    [
        FaultKind.HANG,
        FaultKind.RESET,
        FaultKind.ERROR,
        FaultKind.MAINTENANCE,
        FaultKind.HALF_REPLY,
        FaultKind.BAD_GATEWAY,
    ],
)
@pytest.mark.parametrize(("method", "path"), [*WRITES, ("GET", "/executions/")])
def test_a_blip_is_borne(alice, acme, double, drive, kind, method, path):
    environment = make.environment(double, acme)
    double.script.install = 0.2
    double.faults.append(Fault(kind, method, path, times=1))

    rollout = drive(make.rollout(alice, make.version(acme)))

    assert end_of(rollout)[0] == RunState.SUCCEEDED, end_of(rollout)
    assert made(double, environment) == (1, 1, 1)


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        (FaultKind.HANG, "unreachable"),
        (FaultKind.RESET, "unreachable"),
        (FaultKind.MAINTENANCE, "busy"),
        (FaultKind.ERROR, "broken"),
        (FaultKind.HTML, "broken"),
        (FaultKind.HALF_REPLY, "broken"),
        (FaultKind.NOT_HTTP, "broken"),
        (FaultKind.WRONG_SHAPE, "broken"),
        (FaultKind.UNAUTHORIZED, "credential"),
        (FaultKind.FORBIDDEN, "credential"),
    ],
)
def test_a_sub_manager_that_stays_broken_ends_with_a_named_cause(alice, acme, double, drive, monkeypatch, kind, cause):
    monkeypatch.setattr(steps, "PATIENCE_IN_THE_MIDDLE", 0.5)
    environment = make.environment(double, acme)
    double.faults.append(Fault(kind))

    rollout = drive(make.rollout(alice, make.version(acme)))

    state, found, why = end_of(rollout)
    assert (state, found) == (RunState.FAILED, cause), why
    assert why.endswith(".") and len(why) > 20
    placement = Placement.objects.get(environment=environment)
    assert (placement.state, placement.why) == (Placement.State.FAILED, why)


def test_a_refused_credential_is_shown_once_and_never_again(alice, acme, double, drive):
    make.environment(double, acme)
    double.faults.append(Fault(FaultKind.UNAUTHORIZED))
    drive(make.rollout(alice, make.version(acme)))
    assert len(double.requests) == 1


def test_a_refused_port_ends_as_unreachable(alice, acme, double, drive):
    environment = make.environment(double, acme)
    SubManager.objects.filter(pk=environment.sub_manager_id).update(port=refused_port())
    state, cause, why = end_of(drive(make.rollout(alice, make.version(acme))))
    assert (state, cause) == (RunState.FAILED, "unreachable")
    assert "refuses connections" in why


@pytest.mark.parametrize(
    ("script", "cause", "said"),
    [
        (Script(blueprint_state="invalid", blueprint_error="unknown type none.such"), "input", "none.such"),
        (Script(creation_error="RuntimeError: no such secret"), "input", "no such secret"),
        (Script(install_error="RuntimeError: script exited with 3"), "failed", "exited with 3"),
        (Script(inputs={"must": ...}), "input", "must"),
    ],
)
def test_what_the_sub_manager_refuses_or_fails_is_told_in_its_words(alice, acme, double, drive, script, cause, said):
    environment = make.environment(double, acme)
    double.answers(environment.remote_tenant).world.script = script
    state, found, why = end_of(drive(make.rollout(alice, make.version(acme))))
    assert (state, found) == (RunState.FAILED, cause)
    assert said in why


def test_a_script_that_never_ends_runs_into_the_limit(alice, acme, double, drive, monkeypatch):
    monkeypatch.setattr(EnsureInstalled, "seconds", 0.3)
    make.environment(double, acme)
    double.script.install = 1e6
    state, cause, why = end_of(drive(make.rollout(alice, make.version(acme))))
    assert (state, cause) == (RunState.FAILED, "timeout")
    assert "limit" in why


def test_what_somebody_else_put_there_is_left_alone(alice, acme, double, drive):
    environment = make.environment(double, acme)
    answers = double.answers(environment.remote_tenant)
    answers.blueprint("PUT", "theirs", {}, make.archive("theirs"))
    answers.deployment("PUT", "hello", {}, {"blueprint_id": "theirs", "labels": []})

    state, cause, why = end_of(drive(make.rollout(alice, make.version(acme))))

    assert (state, cause) == (RunState.FAILED, "differs")
    assert "belongs to somebody who left no label" in why
    assert Placement.objects.get().state == Placement.State.DIFFERS
    assert answers.world.deployments["hello"].blueprint_id == "theirs"


def test_a_cancel_that_is_ignored_becomes_sharper(alice, acme, double, drive, drive_until, monkeypatch):
    monkeypatch.setattr(steps, "CANCEL_GRACE_SECONDS", 0.2)
    environment = make.environment(double, acme)
    double.script.install, double.script.ignores_cancel = 1e6, True
    rollout = make.rollout(alice, make.version(acme))
    drive_until(lambda: Placement.objects.get().remote_execution)

    rollouts.cancel_rollout(by=actor(alice), rollout=rollout)
    rollout = drive(rollout)

    assert rollout.run.state == RunState.CANCELLED
    run = rollout.targets.get().run
    said = " ".join(run.events.filter(kind="cancel").values_list("message", flat=True))
    assert "force-cancel" in said and "kill" in said
    world = double.answers(environment.remote_tenant).world
    assert [run.status for run in world.runs.values() if run.workflow == "install"] == ["cancelled"]


def test_an_install_that_was_cancelled_there_is_told_and_retried(alice, acme, double, drive, drive_until):
    environment = make.environment(double, acme)
    double.script.install = 1e6
    rollout = make.rollout(alice, make.version(acme))
    drive_until(lambda: Placement.objects.get().remote_execution)
    answers = double.answers(environment.remote_tenant)
    answers.execution("POST", Placement.objects.get().remote_execution, {"action": "cancel"})

    rollout = drive(rollout)
    assert end_of(rollout)[1] == "cancelled"

    double.script.install = 0.0
    answers.world.deployments["hello"].script.install = 0.0
    drive(rollouts.retry_rollout(by=actor(alice), rollout=rollout))
    assert end_of(rollout)[0] == RunState.SUCCEEDED


def test_a_blueprint_that_must_be_present_and_is_not_is_told(alice, acme, double, drive):
    make.environment(double, acme)
    version = make.version(acme, remote_blueprint="app", inputs_schema={"port": {"default": 1}})
    state, cause, why = end_of(drive(make.rollout(alice, version)))
    assert (state, cause) == (RunState.FAILED, "gone")
    assert "not present" in why


def test_no_secret_is_in_anything_that_a_rollout_writes(alice, acme, double, drive):
    environment = make.environment(double, acme)
    double.faults.append(Fault(FaultKind.UNAUTHORIZED, "POST"))
    rollout = drive(make.rollout(alice, make.version(acme)))
    token = f"ctok-t{environment.remote_tenant.rpartition('-')[2]:0>9}"
    run = rollout.targets.get().run
    written = [
        *run.events.values_list("message", "data"),
        *run.steps.values_list("args", "memory", "why", "title"),
        *Environment.objects.values_list("why"),
    ]
    assert token not in str(written)


def test_a_target_cancelled_between_two_steps_does_not_stay_deploying(alice, acme, double, drive, monkeypatch):
    make.environment(double, acme)
    rollout = make.rollout(alice, make.version(acme))
    finish = EnsureDeployment.finish

    def cancelled_meanwhile(self, context, work, client, done):
        finish(self, context, work, client, done)
        rollouts.cancel_rollout(by=actor(alice), rollout=rollout)

    monkeypatch.setattr(EnsureDeployment, "finish", cancelled_meanwhile)
    monkeypatch.setattr("runs.context.FLAG_SECONDS", -1.0)  # every answer it has is old
    rollout = drive(rollout)

    assert rollout.run.state == RunState.CANCELLED
    placement = Placement.objects.get()
    assert (placement.state, placement.why[:9]) == (Placement.State.FAILED, "Cancelled")


def test_a_credential_replaced_while_a_connection_is_kept_is_taken_up(alice, acme, double, drive):
    environment = make.environment(double, acme)
    drive(make.rollout(alice, make.version(acme)))  # its connection is kept
    old = next(account for account in double.gate._by_token.values() if environment.remote_tenant in account.tenants)
    old.is_token_expired = True
    new = f"ctok-{'n' * 10}-{'1' * 24}"
    double.add_account(Account("another", "password", {environment.remote_tenant: "user"}, token=new))
    replace_secret(by=actor(alice), secret=environment.credential.token, value=new)

    rollout = drive(make.rollout(alice, make.version(acme, "second")))

    assert end_of(rollout)[0] == RunState.SUCCEEDED, end_of(rollout)
