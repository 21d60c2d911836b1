"""The driver: one look at a time installs that fail or never end, cancels, removals, lost answers."""

import pytest

from inventory import driver
from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.doubles import Fault, FaultKind
from inventory.driver import Done, Failed, NotYet
from tests.inventory.connectors.conftest import BOB
from tests.inventory.connectors.driving import BLUEPRINT, ORDER, push, roll_out, settled, undo, words_of

# --- installs that are there, fail or never start


def test_an_install_that_is_active_is_adopted_whoever_started_it(double, connect):
    double.script.install = 0.4
    client = connect(double)
    push(client)
    driver.ensure_deployment(client, ORDER)
    theirs = client.start_execution("shop-london", "install").id
    for is_new in (False, True):  # found by looking, and found by being refused
        found = driver.ensure_installed(client, "shop-london", is_new=is_new)
        assert isinstance(found, NotYet)
        assert found.execution_id == theirs
    assert isinstance(
        settled(lambda looks, _: driver.ensure_installed(client, "shop-london", execution_id=theirs)), Done
    )


def test_another_workflow_is_waited_for(double, connect):
    client = connect(double)
    roll_out(client)
    double.answers("acme").world.script.uninstall = 0.3
    client.start_execution("shop-london", "uninstall")
    waits = driver.ensure_installed(client, "shop-london")
    assert isinstance(waits, NotYet) and not waits.execution_id
    assert "uninstall" in waits.why
    assert "uninstall" in driver.ensure_installed(client, "shop-london", is_new=True).why


def test_a_script_that_fails_ends_with_its_own_words_and_a_retry_starts_anew(double, connect):
    double.script.install_error = "Task failed: boom\nTraceback of script_runner.tasks.run"
    client = connect(double)
    failed = roll_out(client)
    assert isinstance(failed, Failed)
    assert (failed.error, failed.status) == ("Task failed: boom", "failed")
    assert "Traceback" in failed.detail and "Traceback" not in repr(failed)
    double.script.install_error = ""
    assert isinstance(roll_out(client), Done)
    assert [run.status for run in double.answers("acme").world.runs.values()] == ["terminated", "failed", "terminated"]


def test_an_execution_that_never_starts_keeps_saying_so(double, connect):
    double.script.stays_pending = True
    client = connect(double)
    push(client)
    made = driver.ensure_deployment(client, ORDER)
    first = driver.ensure_installed(client, "shop-london", is_new=isinstance(made, Done))
    second = driver.ensure_installed(client, "shop-london", execution_id=first.execution_id)
    assert second.status == "pending" and second.since
    assert "waits for its turn" in second.why


def test_an_installed_one_found_by_a_stale_plan_is_done(double, connect):
    client = connect(double)
    roll_out(client)
    assert driver.ensure_installed(client, "shop-london", is_new=True) == Done("shop-london")
    assert driver.ensure_installed(client, "shop-london", execution_id="forgotten") == Done("shop-london")


def test_a_deployment_that_somebody_removed_meanwhile_is_told(double, connect):
    error = words_of(lambda: driver.ensure_installed(connect(double), "shop-london"))
    assert error.kind is ErrorKind.GONE
    assert "Retry" in error.message


# --- cancel


def test_cancel_reports_what_the_manager_said_and_when_it_has_ended(double, connect):
    double.script.install, double.script.cancelling = 60, 0.2
    client = connect(double)
    push(client)
    driver.ensure_deployment(client, ORDER)
    running = driver.ensure_installed(client, "shop-london").execution_id
    said = driver.cancel(client, running)
    assert (said.stage, said.status, said.is_ended) == ("cancel", "cancelling", False)
    ended = settled(lambda looks, _: driver.ensure_installed(client, "shop-london", execution_id=running))
    assert (ended.status, ended.execution_id) == ("cancelled", running)
    again = driver.cancel(client, running, "kill")
    assert (again.status, again.is_ended) == ("cancelled", True)
    assert driver.cancel(client, "nosuch").status == "gone"


def test_a_script_that_never_ends_is_ended_by_the_sharpest_way(double, connect):
    double.script.install, double.script.ignores_cancel = 60, True
    client = connect(double)
    push(client)
    driver.ensure_deployment(client, ORDER)
    running = driver.ensure_installed(client, "shop-london").execution_id
    stage = "cancel"
    driver.cancel(client, running, stage)
    assert client.execution(running).is_active
    stage = driver.next_stage(stage)
    driver.cancel(client, running, stage)
    assert (stage, client.execution(running).is_active) == ("force-cancel", True)
    stage = driver.next_stage(stage)
    driver.cancel(client, running, stage)
    assert (stage, client.execution(running).status) == ("kill", "cancelled")
    assert driver.next_stage(stage) == "kill"


# --- remove


def test_removal_takes_everything_away_and_again_changes_nothing(double, connect):
    double.script.uninstall, double.script.deletion = 0.1, 0.1
    client = connect(double)
    roll_out(client)
    assert undo(client).detail == "The deployment and its blueprint are gone."
    world = double.answers("acme").world
    assert (world.deployment("shop-london"), world.blueprints) == (None, {})
    assert isinstance(undo(client), Done)


@pytest.mark.parametrize("how", ["never installed", "install failed", "creation failed", "no nodes"])
def test_removal_also_works_from_half_way(double, connect, how):
    double.script.install_error = "boom" if how == "install failed" else ""
    double.script.creation_error = "boom" if how == "creation failed" else ""
    double.script.nodes = 0 if how == "no nodes" else 1
    client = connect(double)
    push(client)
    driver.ensure_deployment(client, ORDER)
    if how in ("install failed", "no nodes"):
        driver.ensure_installed(client, "shop-london")
    assert isinstance(undo(client), Done)
    assert double.answers("acme").world.deployments == {}


def test_a_blueprint_that_others_use_stays(double, connect):
    client = connect(double)
    roll_out(client)
    client.create_deployment("another", BLUEPRINT, {}, {})
    assert "stays" in undo(client).detail
    assert BLUEPRINT in double.answers("acme").world.blueprints


def test_an_uninstall_that_fails_is_told_and_a_running_install_is_not_cut_off(double, connect):
    client = connect(double)
    roll_out(client)
    double.script.uninstall_error = "cannot stop"
    failed = undo(client)
    assert isinstance(failed, Failed) and failed.error == "cannot stop"
    double.script.uninstall_error, double.script.install = "", 60
    assert isinstance(undo(client), Done)
    push(client)
    driver.ensure_deployment(client, ORDER)
    driver.ensure_installed(client, "shop-london")
    waits = driver.remove(client, "shop-london", service="shop")
    assert isinstance(waits, NotYet) and "Cancel that" in waits.why


# --- bad days


@pytest.mark.parametrize(
    "kind", [FaultKind.LOST_AFTER_WRITE, FaultKind.ERROR_AFTER_WRITE, FaultKind.ERROR, FaultKind.RESET]
)
@pytest.mark.parametrize("write", [("PUT", "/blueprints"), ("PUT", "/deployments"), ("POST", "/executions")])
def test_a_write_whose_answer_was_lost_is_found_by_id_and_done_once(double, connect, kind, write):
    double.faults = [Fault(kind, *write, times=1)]
    client = connect(double)
    assert isinstance(roll_out(client), Done)
    world = double.answers("acme").world
    assert [run.workflow for run in world.runs.values()] == ["create_deployment_environment", "install"]
    assert list(world.blueprints) == [BLUEPRINT]


def test_an_unknown_write_says_what_happened_and_looks_before_it_repeats(double, connect):
    double.faults = [Fault(FaultKind.LOST_AFTER_WRITE, "PUT", "/blueprints", times=1)]
    client = connect(double)
    waits = push(client)
    assert isinstance(waits, NotYet)
    assert waits.error.is_unknown and "looked up by its id" in waits.why
    double.requests.clear()
    assert isinstance(push(client, looks=1), Done)
    assert [method for method, *_ in double.requests] == ["GET"]


@pytest.mark.parametrize("steps", range(6))
def test_a_portal_that_died_after_any_step_finds_everything_again(double, connect, steps):
    double.script.install = 0.2
    client = connect(double)
    for step in (
        lambda: push(client),
        lambda: settled(lambda looks, _: push(client, looks)),
        lambda: driver.ensure_deployment(client, ORDER, settle=False),
        lambda: settled(lambda looks, _: driver.ensure_deployment(client, ORDER, looks=looks)),
        lambda: driver.ensure_installed(client, "shop-london"),
    )[:steps]:
        step()
    assert isinstance(roll_out(connect(double)), Done)
    world = double.answers("acme").world
    assert [run.workflow for run in world.runs.values()] == ["create_deployment_environment", "install"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (FaultKind.MAINTENANCE, ErrorKind.BUSY),
        (FaultKind.UNAUTHORIZED, ErrorKind.CREDENTIAL),
        (FaultKind.BAD_GATEWAY, ErrorKind.UNREACHABLE),
        (FaultKind.HTML, ErrorKind.BROKEN),
    ],
)
def test_whatever_stops_a_look_is_raised_or_told_with_its_kind(double, connect, kind, expected):
    client = connect(double)
    roll_out(client)
    double.faults = [Fault(kind)]
    for look in (
        lambda: push(client),
        lambda: driver.ensure_deployment(client, ORDER),
        lambda: driver.ensure_installed(client, "shop-london"),
        lambda: driver.read_back(client, "shop-london"),
        lambda: driver.survey(client, "shop-london"),
        lambda: driver.remove(client, "shop-london", service="shop"),
    ):
        try:
            found = look()
        except ManagerError as error:
            assert error.kind is expected
        else:
            assert isinstance(found, NotYet)
            assert found.error.is_unknown and found.error.kind is expected


def test_a_viewer_is_told_that_the_role_is_too_low(double, connect):
    error = words_of(lambda: push(connect(double, BOB)))
    assert error.kind is ErrorKind.CREDENTIAL
    assert "blueprint_upload" in error.message


def test_two_hundred_targets_of_one_double_do_not_mix(double, connect):
    for address, credential in double.add_targets(200):
        client = connect(address, credential)
        assert isinstance(push(client), NotYet)
        assert isinstance(push(client, looks=1), Done)
        client.close()
    assert len(double._answers) == 200
    assert all(list(each.world.blueprints) == [BLUEPRINT] for each in double._answers.values())
