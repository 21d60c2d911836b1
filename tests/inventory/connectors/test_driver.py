"""The driver: one look at a time from nothing to a service that is installed, on good days and bad ones."""

import dataclasses

import pytest

from inventory import driver
from inventory.connectors.errors import ErrorKind
from inventory.driver import Differs, Done, NotYet, Situation
from inventory.driver.blueprints import SEND_FIRST_BYTES
from inventory.driver.waiting import poll_delay
from tests.inventory.connectors.conftest import ARCHIVE
from tests.inventory.connectors.driving import (
    BLUEPRINT,
    DIGEST,
    ORDER,
    execution_of,
    push,
    roll_out,
    settled,
    undo,
    words_of,
)

# --- from nothing to installed


def test_from_nothing_to_installed_takes_six_requests(double, connect):
    client = connect(double)
    assert roll_out(client) == Done(
        "shop-london", detail=double.answers("acme").world.deployments["shop-london"].latest.id
    )
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
        seen.append(
            driver.ensure_installed(client, "shop-london", execution_id=execution_of(last), is_new=True, looks=looks)
        )
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
    assert (outcome.installation_status, outcome.deployment_status, outcome.unavailable_instances) == (
        "active",
        "good",
        0,
    )


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
    differs = driver.ensure_deployment(
        client, dataclasses.replace(ORDER, digest=other, blueprint_id="shop-ffffffffffff")
    )
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
