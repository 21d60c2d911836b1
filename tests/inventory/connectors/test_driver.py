"""The driver: one look at a time from nothing to a service that is installed, on good days and bad ones."""

import dataclasses
import io
import time

import pytest

from inventory import driver
from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.doubles import Fault, FaultKind
from inventory.driver import Differs, Done, Failed, NotYet, Order, Situation
from inventory.driver.blueprints import SEND_FIRST_BYTES
from inventory.driver.waiting import poll_delay
from tests.inventory.connectors.conftest import ARCHIVE, BOB

DIGEST = "0123456789ab" + "c" * 52
BLUEPRINT = f"shop-{DIGEST[:12]}"
ORDER = Order("shop-london", BLUEPRINT, "shop", "London", "run-1", DIGEST, {"size": 3, "word": "hi"}, "Shop in London")


def push(client, looks=0, archive=ARCHIVE):
    return driver.ensure_blueprint(client, "shop", DIGEST, lambda: io.BytesIO(archive), "blueprint.yaml", looks=looks)


def settled(look, seconds=5.0):
    """Repeat a look, as the engine does, until it no longer says not yet. `look(looks, last)`."""
    end, last, looks = time.monotonic() + seconds, None, 0
    while time.monotonic() < end:
        last = look(looks, last)
        if not isinstance(last, NotYet):
            return last
        looks += 1
        time.sleep(0.02)
    raise AssertionError(f"still {last}")


def execution_of(last):
    return last.execution_id if isinstance(last, NotYet) else ""


def roll_out(client, order=ORDER):
    """From nothing to installed."""
    assert isinstance(settled(lambda looks, _: push(client, looks)), Done)
    made = settled(lambda looks, _: driver.ensure_deployment(client, order, looks=looks, settle=False))
    if not isinstance(made, Done):
        return made
    return settled(
        lambda looks, last: driver.ensure_installed(
            client, order.deployment_id, execution_id=execution_of(last), is_new=made.is_new, looks=looks
        )
    )


def undo(client, **options):
    return settled(
        lambda looks, last: driver.remove(
            client, ORDER.deployment_id, service="shop", blueprint_id=BLUEPRINT, execution_id=execution_of(last), looks=looks, **options
        )
    )


def words_of(call):
    with pytest.raises(ManagerError) as caught:
        call()
    return caught.value


# --- from nothing to installed


def test_from_nothing_to_installed_takes_six_requests(double, connect):
    client = connect(double)
    assert roll_out(client) == Done("shop-london", detail=double.answers("acme").world.deployments["shop-london"].latest.id)
    assert driver.read_back(client, "shop-london", with_status=False).capabilities == {"answer": "hello"}
    sent = [(method, path.partition("?")[0].split("/")[1]) for method, path, _ in double.requests]
    assert sent == [
        ("PUT", "blueprints"), ("GET", "blueprints"), ("PUT", "deployments"), ("POST", "executions"), ("GET", "executions"),
        ("GET", "deployments"),
    ]  # fmt: skip


def test_the_same_again_changes_nothing(double, connect):
    client = connect(double)
    roll_out(client)
    before = len(double.answers("acme").world.runs)
    assert isinstance(roll_out(client), Done)
    assert len(double.answers("acme").world.runs) == before


def test_the_labels_say_whose_it_is(double, connect):
    client = connect(double)
    roll_out(client, dataclasses.replace(ORDER, labels={"team": "blue"}))
    found = client.deployment("shop-london")
    assert {key: next(iter(values)) for key, values in found.labels.items()} == {
        "portal-service": "shop", "portal-env": "London", "portal-digest": DIGEST, "portal-run": "run-1",
        "portal-inputs-hash": driver.inputs_hash({"word": "hi", "size": 3}), "team": "blue",
    }  # fmt: skip
    assert found.display_name == "Shop in London"


def test_progress_and_waiting_are_told(double, connect):
    double.script.install, double.script.creation, double.script.upload = 0.6, 0.2, 0.2
    client, seen = connect(double), []
    made = push(client)
    assert isinstance(made, NotYet) and "unpacking" in made.why
    settled(lambda looks, _: push(client, looks))
    driver.ensure_deployment(client, ORDER, settle=False)

    def look(looks, last):
        seen.append(driver.ensure_installed(client, "shop-london", execution_id=execution_of(last), is_new=True, looks=looks))
        return seen[-1]

    assert isinstance(settled(look), Done)
    waits = [each for each in seen if isinstance(each, NotYet)]
    assert waits[0].status == "creating" and waits[0].error.kind is ErrorKind.BUSY
    assert any(0 < each.finished < each.total == 14 for each in waits)
    assert double.count("POST") == len([each for each in waits if each.status == "creating"]) + 1


def test_an_outcome_has_states_where_they_are_wanted(double, connect):
    client = connect(double)
    roll_out(client)
    outcome = driver.read_back(client, "shop-london")
    assert (outcome.installation_status, outcome.deployment_status, outcome.unavailable_instances) == ("active", "good", 0)


def test_looks_become_rarer_but_never_rare():
    delays = [poll_delay(looks) for looks in range(200)]
    assert delays == sorted(delays)
    assert (delays[0], delays[-1]) == (0.5, 15.0)


# --- blueprints


def test_ids_follow_the_content_and_fit_the_wire():
    assert driver.remote_blueprint_id("shop", DIGEST) == BLUEPRINT
    assert driver.remote_blueprint_id("Über shop/2", DIGEST) == f"ber-shop-2-{DIGEST[:12]}"
    assert driver.remote_blueprint_id("2shop", DIGEST) == f"s-2shop-{DIGEST[:12]}"
    assert len(driver.remote_blueprint_id("x" * 999, DIGEST)) < 256


def test_a_small_archive_is_sent_at_once_and_a_large_one_only_where_it_is_missing(double, connect):
    client = connect(double)
    large = ARCHIVE + bytes(SEND_FIRST_BYTES)
    settled(lambda looks, _: push(client, looks, large))
    assert (double.count("PUT"), double.requests[0][0]) == (1, "GET")
    assert isinstance(push(client, 0, large), Done)
    assert double.count("PUT") == 1
    assert isinstance(push(client), Done)
    assert double.count("PUT") == 2


@pytest.mark.parametrize("state", ["failed_uploading", "failed_extracting", "failed_parsing", "invalid"])
def test_a_blueprint_that_does_not_parse_ends_with_the_managers_words_and_may_be_sent_again(double, connect, state):
    double.script.blueprint_state, double.script.blueprint_error = state, "Could not locate node type"
    client = connect(double)
    error = words_of(lambda: settled(lambda looks, _: push(client, looks)))
    assert error.kind is ErrorKind.INPUT
    assert "Could not locate node type" in error.message and state in error.message
    double.script.blueprint_state = "uploaded"
    assert isinstance(settled(lambda looks, _: push(client, looks)), Done)


def test_an_archive_of_the_wrong_kind_is_told_at_once(double, connect):
    client = connect(double)
    error = words_of(lambda: push(client, archive=b"no archive"))
    assert error.kind is ErrorKind.INPUT
    assert "unrecognized format" in error.message


def test_a_blueprint_that_should_be_there_is_found_or_missed_by_name(double, connect):
    client = connect(double)
    error = words_of(lambda: driver.check_blueprint(client, "ready-made"))
    assert error.kind is ErrorKind.GONE
    assert "ready-made is not present" in error.message and "acme" in error.message
    client.upload_blueprint("ready-made", ARCHIVE, "blueprint.yaml")
    assert driver.check_blueprint(client, "ready-made") == Done("ready-made")
    assert double.count("PUT") == 1


# --- what is there already


def test_a_target_with_other_content_or_inputs_is_left_alone_with_the_reason(double, connect):
    client = connect(double)
    roll_out(client)
    before = len(double.answers("acme").world.runs)
    other = "f" * 64
    differs = driver.ensure_deployment(client, dataclasses.replace(ORDER, digest=other, blueprint_id="shop-ffffffffffff"))
    # the blueprint of the other content is not there, but the id is taken: that is told first
    assert isinstance(differs, Differs)
    assert [each.what for each in differs.differences] == ["digest"]
    assert (differs.differences[0].expected, differs.differences[0].found) == (other, DIGEST)
    differs = driver.ensure_deployment(client, dataclasses.replace(ORDER, inputs={"size": 4, "word": "hi"}))
    assert [(each.what, each.names) for each in differs.differences] == [("inputs", ("size",))]
    assert "size" in differs.reason and "Left alone" in differs.reason
    assert differs.differences[0].as_json()["names"] == ["size"]
    assert len(double.answers("acme").world.runs) == before


def test_inputs_changed_at_the_manager_are_noticed_though_the_label_stayed(double, connect):
    client = connect(double)
    roll_out(client)
    double.answers("acme").world.deployments["shop-london"].inputs["size"] = 9
    assert driver.ensure_deployment(client, ORDER).differences[0].names == ("size",)


def test_values_of_inputs_never_reach_a_difference(double, connect):
    client = connect(double)
    roll_out(client, dataclasses.replace(ORDER, inputs={"key": "s3cret-one"}))
    differs = driver.ensure_deployment(client, dataclasses.replace(ORDER, inputs={"key": "s3cret-two"}))
    assert "s3cret" not in repr(differs) + differs.reason + str([each.as_json() for each in differs.differences])
    assert "s3cret" not in repr(ORDER.__class__("d", "b", "s", "e", "r", inputs={"key": "s3cret"}))


def test_a_deployment_of_somebody_else_is_left_alone(double, connect):
    client = connect(double)
    push(client)
    client.create_deployment("shop-london", BLUEPRINT, {}, {"made-by": "hand"})
    differs = driver.ensure_deployment(client, ORDER)
    assert differs.differences[0].what == "owner"
    assert undo(client).differences[0].what == "owner"
    assert double.count("DELETE") == 0


def test_a_survey_says_what_is_there_and_changes_nothing(double, connect):
    double.script.install = 0.15
    client = connect(double)
    assert driver.survey(client, "shop-london", ORDER).situation is Situation.ABSENT
    push(client)
    driver.ensure_deployment(client, ORDER)
    assert driver.survey(client, "shop-london", ORDER).situation is Situation.NOT_INSTALLED
    driver.ensure_installed(client, "shop-london")
    assert driver.survey(client, "shop-london", ORDER).situation is Situation.INSTALLING
    settled(lambda looks, _: driver.ensure_installed(client, "shop-london"))
    survey = driver.survey(client, "shop-london", dataclasses.replace(ORDER, digest="f" * 64))
    assert survey.situation is Situation.INSTALLED
    assert [each.what for each in survey.differences] == ["digest"]
    assert driver.survey(client, "shop-london", ORDER).differences == ()
    assert [method for method, path, _ in double.requests if "deployments" in path and method != "GET"] == ["PUT"]


def test_a_creation_that_failed_is_not_taken_for_active(double, connect):
    double.script.creation_error = "Property type validation failed in 'size'"
    client = connect(double)
    push(client)
    driver.ensure_deployment(client, ORDER)
    assert client.deployment("shop-london").installation_status == "active"
    assert driver.survey(client, "shop-london", ORDER).situation is Situation.CREATION_FAILED
    for call in (
        lambda: driver.ensure_deployment(client, ORDER, looks=1),
        lambda: driver.ensure_installed(client, "shop-london"),
        lambda: driver.ensure_installed(client, "shop-london", is_new=True),
    ):
        error = words_of(call)
        assert error.kind is ErrorKind.INPUT
        assert "Property type validation failed" in error.message
    double.script.creation_error = ""
    assert isinstance(roll_out(client), Done)


def test_missing_and_unknown_inputs_are_named(double, connect):
    double.script.inputs = {"name": ...}
    client = connect(double)
    push(client)
    missing = words_of(lambda: driver.ensure_deployment(client, dataclasses.replace(ORDER, inputs={})))
    assert (missing.kind, "missing inputs: name" in missing.message) == (ErrorKind.INPUT, True)
    unknown = words_of(lambda: driver.ensure_deployment(client, ORDER))
    assert "unknown inputs: size, word" in unknown.message


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
    assert isinstance(settled(lambda looks, _: driver.ensure_installed(client, "shop-london", execution_id=theirs)), Done)


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


@pytest.mark.parametrize("kind", [FaultKind.LOST_AFTER_WRITE, FaultKind.ERROR_AFTER_WRITE, FaultKind.ERROR, FaultKind.RESET])
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
