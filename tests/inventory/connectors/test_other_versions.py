"""Sub-managers of other versions: a field that is not told there is done without, or missed in words; never a traceback."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from inventory import driver
from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.fields import NEEDED
from inventory.connectors.ladder import climb
from inventory.connectors.resources import Deployment, Execution
from inventory.connectors.transport import Reply
from inventory.driver import Done, Situation
from tests.inventory.connectors.conftest import ALICE, LOOPBACK
from tests.inventory.connectors.driving import ORDER, roll_out, undo, words_of

RECORDED = json.loads((Path(__file__).parents[1] / "data" / "answers.json").read_text())
ASKED = sorted({*Deployment.FIELDS.split(","), *Execution.FIELDS.split(",")})
# What a deployment and an execution share with nothing else: without them there is no deployment and no execution.
ESSENTIAL = NEEDED | {"status"}
CALLS = {
    "version": lambda client: client.version(),
    "status": lambda client: client.status(),
    "user": lambda client: client.whoami().roles_in("default_tenant"),
    "token": lambda client: client.mint_token("for us"),
    "blueprint": lambda client: (client.blueprint("b"), client.blueprint_plan("b")),
    "deployment": lambda client: (client.deployment("d"), driver.survey(client, "d", ORDER)),
    "execution": lambda client: (client.execution("e"), client.start_execution("d", "install")),
    "events": lambda client: client.events("e"),
    "node_instances": lambda client: client.node_instances("d"),
    "nodes": lambda client: client.nodes("d"),
    "update": lambda client: (client.preview_update("d", "b", {}), client.update_deployment("d", "b", {})),
}


def keys_of(answer):
    """Paths to every key, of the rows of a list as well."""
    rows = [("items", 0, key) for key in answer["items"][0]] if answer.get("items") else []
    return [(key,) for key in answer] + rows


def changed(answer, path, value=...):
    """The answer without that key, or with another value."""
    found = copy.deepcopy(answer)
    *above, last = path
    inner = found
    for part in above:
        inner = inner[part]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return found


@pytest.fixture
def answered(double, connect, monkeypatch):
    """A client to which every call is answered with the same content."""
    client = connect(double)

    def answer(content):
        reply = Reply(200, {"Content-Type": "application/json"}, json.dumps(content).encode())
        monkeypatch.setattr(client._transport, "request", lambda *args, **kwargs: reply)
        return client

    return answer


@pytest.mark.parametrize("what", RECORDED)
def test_a_recorded_answer_is_read(answered, what):
    CALLS[what](answered(RECORDED[what]))


@pytest.mark.parametrize("what", RECORDED)
def test_a_recorded_answer_that_lacks_a_key_or_has_null_there_is_read_or_refused_in_words(answered, what):
    refused = {}
    for path in keys_of(RECORDED[what]):
        for content in (changed(RECORDED[what], path), changed(RECORDED[what], path, None)):
            try:
                CALLS[what](answered(content))
            except ManagerError as error:
                refused[path[-1]] = error.message
    assert all(key in message or key in ("metadata", "pagination") for key, message in refused.items()), refused
    assert len(refused) <= 5, f"what the portal cannot do without is little: {refused}"


@pytest.mark.parametrize("what", RECORDED)
def test_a_recorded_answer_with_keys_that_nobody_knows_yet_is_read(answered, what):
    content = {"brand_new": {"deep": [1]}} | RECORDED[what]
    if content.get("items"):
        content["items"] = [{"brand_new": True} | row for row in content["items"]]
    CALLS[what](answered(content))


@pytest.mark.parametrize("field", [field for field in ASKED if field not in ESSENTIAL])
def test_a_version_that_does_not_know_a_field_is_worked_with(double, connect, field):
    double.lacks = {field}
    client = connect(double)
    assert climb(client.address, ALICE, LOOPBACK).is_ready
    assert isinstance(roll_out(client), Done)
    assert driver.survey(client, ORDER.deployment_id).situation is Situation.INSTALLED
    assert isinstance(undo(client), Done)
    assert not double.answers("acme").world.deployments


def test_a_version_that_does_not_know_many_is_asked_anew_once_and_not_each_time(double, connect):
    double.lacks = {"drifted_instances", "unavailable_instances", "display_name"}
    client = connect(double)
    roll_out(client)
    before = len(double.requests)
    client.deployment(ORDER.deployment_id)
    client.deployment(ORDER.deployment_id)
    assert len(double.requests) - before == 3  # one was refused
    found = client.deployment(ORDER.deployment_id)
    assert (found.display_name, found.drifted_instances, found.installation_status) == ("", 0, "active")


@pytest.mark.parametrize("field", sorted(NEEDED - {"id"}))
def test_a_version_without_what_is_needed_is_found_out_by_the_ladder_and_named(double, connect, field):
    double.lacks = {field}
    found = climb(double.address(), ALICE, LOOPBACK)
    assert found.failed_rung is not None and found.failed_rung.key == "tenant"
    assert field in found.failed_rung.detail and "update the older" in found.failed_rung.remedy

    error = words_of(lambda: roll_out(connect(double)))
    assert (error.kind, field in error.message) == (ErrorKind.INPUT, True)
    world = double.answers("acme").world
    assert [run.workflow for run in world.runs.values()].count("install") == 0, "nothing is begun blindly"


def test_an_upgrade_between_two_looks_is_borne(double, connect):
    double.script.install = 0.3
    client = connect(double)
    looks = []

    def upgraded_meanwhile():
        looks.append(len(double.requests))
        double.lacks = {"finished_operations", "total_operations", "drifted_instances", "site_name"}

    execution = client.execution
    client.execution = lambda execution_id: (upgraded_meanwhile(), execution(execution_id))[1]
    assert isinstance(roll_out(client), Done) and looks
    assert driver.survey(client, ORDER.deployment_id, ORDER).differences == ()


def test_other_words_for_an_unknown_field_do_as_well(double, connect, monkeypatch):
    """Only what is allowed is told, as by some versions; a refusal that names nothing is not repeated for ever."""
    double.lacks = {"drifted_instances"}
    client = connect(double)
    roll_out(client)
    allowed = [field for field in Deployment.FIELDS.split(",") if field != "drifted_instances"]
    for said, is_read in ((f"Allowed keys are: {allowed}", True), ("no", False)):
        reply = 400, {"error_code": "no_such_include_field_error", "message": said}
        monkeypatch.setattr("inventory.doubles.server.refuse_unknown", lambda query, lacks, reply=reply: (
            reply if "drifted_instances" in query.get("_include", [""])[0] else None
        ))  # fmt: skip
        client, before = connect(double), len(double.requests)
        if is_read:
            assert client.deployment(ORDER.deployment_id).id == ORDER.deployment_id
        else:
            assert words_of(lambda client=client: client.deployment(ORDER.deployment_id)).kind is ErrorKind.INPUT
        assert len(double.requests) - before == (2 if is_read else 1)
