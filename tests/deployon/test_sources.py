"""Inputs that differ by environment: where values come from, which wins, and who is left out and why."""

from __future__ import annotations

import json

import pytest
from django.core.exceptions import ValidationError

from deployon import rollouts
from deployon.models import Placement, Rollout
from deployon.origins import read_lines
from deployon.sources import Sources
from deployon.tables import read_table
from tests import factories
from tests.deployon import factories as make
from tests.inventory import factories as inventory

pytestmark = pytest.mark.django_db
SCHEMA = {
    "port": {"type": "integer", "default": 80, "constraints": [{"in_range": [1, 9999]}]},
    "place": {"type": "string"},
    "lat": {"type": "float", "default": 0.0},
    "tags": {"type": "list", "default": []},
    "admin_password": {"type": "string", "default": "first"},
}


@pytest.fixture
def fleet(double, acme):
    """Three that are ready: one with everything, one without a label, one without a site."""
    site = inventory.site(acme, "Oslo", latitude=59.9, longitude=10.7)
    return {
        "all": make.environment(
            double, acme, "all", labels=[("env", "prod"), ("port", "81")], deployment={"site": site}
        ),
        "bare": make.environment(double, acme, "bare", deployment={"site": site}),
        "nowhere": make.environment(double, acme, "nowhere", labels=[("env", "prod"), ("port", "x")]),
    }


def rows(preview, kind):
    return {row["name"]: row for row in preview.content[kind]}


def test_the_later_wins_default_common_environment_table(alice, acme, fleet):
    version = make.version(acme, inputs_schema=SCHEMA)
    own = Sources.read({"port": "label:port", "lat": "site:latitude"}, {"all": {"lat": 1, "tags": ["a"]}})
    preview = make.preview(alice, version, [fleet["all"]], inputs={"port": 90, "place": "x"}, own=own)

    row = rows(preview, "create")["all"]
    assert row["own"] == {"port": [81, "label port"], "lat": [1, "table"], "tags": [["a"], "table"]}
    assert preview.inputs == {"port": 90, "place": "x", "lat": 0.0, "tags": [], "admin_password": "first"}


def test_what_is_missing_or_wrong_at_an_environment_leaves_it_out_with_the_reason(alice, acme, fleet):
    version = make.version(acme, inputs_schema=SCHEMA)
    own = Sources.read({"port": "label:port", "place": "site:name"})
    preview = make.preview(alice, version, own=own)

    assert list(rows(preview, "create")) == ["all"]
    left = rows(preview, "excluded")
    assert "no such label" in left["bare"]["why"] and left["bare"]["code"] == "inputs"
    assert "no integer" in left["nowhere"]["why"] and "no site" in left["nowhere"]["why"]


def test_a_table_without_a_row_and_a_service_that_does_not_offer_leave_an_environment_out(alice, acme, fleet, drive):
    other = make.version(acme, "database")
    drive(make.rollout(alice, other, [fleet["all"]]))
    version = make.version(acme, inputs_schema=SCHEMA)
    own = Sources.read({"place": "capability:database.answer"}, {"all": {}, "bare": {}, "gone": {"port": 1}})
    preview = make.preview(alice, version, own=own)

    assert rows(preview, "create")["all"]["own"] == {"place": ["hello", "capability database.answer"]}
    left = rows(preview, "excluded")
    assert "does not offer answer" in left["bare"]["why"]
    assert "no row" in left["nowhere"]["why"]
    assert preview.content["unused"] == ["gone"]


def test_each_environment_gets_its_own_values_and_a_retry_gives_them_again(alice, acme, fleet, double, drive):
    version = make.version(acme, inputs_schema=SCHEMA)
    own = Sources.read({}, {"all": {"place": "here"}, "bare": {"place": "there", "port": "82"}})
    double.script.install_error = "RuntimeError: no"
    rollout = drive(make.rollout(alice, version, [fleet["all"], fleet["bare"]], own=own))
    double.script.install_error = ""
    rollout = drive(rollouts.retry_rollout(by=factories.actor(alice), rollout=rollout))

    assert rollout.run.state == "succeeded"
    there = {
        name: double.answers(fleet[name].remote_tenant).world.deployments["hello"].inputs for name in ("all", "bare")
    }
    assert (there["all"]["place"], there["all"]["port"]) == ("here", 80)
    assert (there["bare"]["place"], there["bare"]["port"]) == ("there", 82)
    wanted = {each.environment_id: each.desired_inputs["place"] for each in Placement.objects.all()}
    assert wanted == {fleet["all"].pk: "here", fleet["bare"].pk: "there"}
    again = make.preview(alice, version, [fleet["all"], fleet["bare"]], own=own)
    assert set(rows(again, "stays")) == {"all", "bare"}


def test_a_label_that_changes_after_the_preview_stops_the_start(alice, acme, fleet):
    version = make.version(acme, inputs_schema=SCHEMA)
    preview = make.preview(
        alice, version, [fleet["all"]], inputs={"place": "x"}, own=Sources.read({"port": "label:port"})
    )
    fleet["all"].deployment.labels.filter(key="port").update(value="83")
    from accounts.errors import Conflict

    with pytest.raises(Conflict, match="all would get other inputs now"):
        rollouts.start_rollout(by=factories.actor(alice), tenant=acme, digest=preview.digest)


@pytest.mark.parametrize(
    "text",
    [
        'environment,port,tags\nall,81,"[1, 2]"\nbare,,\n',
        "\ufeffEnvironment;port;tags;\r\n\r\nall;81;[1, 2];\r\nbare;;;\r\n",
        '\n"environment", port, tags\n"all", 81, "[1,\n 2]"\n , ,\nbare\n',
        "all: {port: 81, tags: [1, 2]}\nbare: {}\n",
        json.dumps([{"environment": "all", "port": 81, "tags": [1, 2]}, {"environment": "bare"}]),
    ],
)
def test_tables_are_read_as_csv_yaml_and_json(text):
    assert read_table(text, SCHEMA) == {"all": {"port": 81, "tags": [1, 2]}, "bare": {}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("environment,colour\nall,red\n", "no input colour"),
        ("environment,port\nall,1\n\nall,2\n", "all has two rows, in lines 2 and 4"),
        ("environment,port\nall,1,2\n", "Line 2 has more fields than columns. Quote values with commas"),
        ("environment;port\nall;1;2\n", "Line 2 has more fields than columns. Quote values with semicolons"),
        ("environment,port,port\nall,1,2\n", "Two columns have the same name: port"),
        ('environment,port\n"a\nb",1\n\n,1\n', "Line 5 names no environment"),
        ('environment,port\nall,1\nbare,"2\n', "begins in line 3 is no CSV: .*quotation mark"),
        ("{broken", "no JSON"),
        ("a: [1\n", "no YAML"),
        ("just words", "neither"),
        ("all: 5", "no object"),
        ("x" * 2_000_000, "longer"),
    ],
)
def test_a_table_that_cannot_be_read_says_why(text, words):
    with pytest.raises(ValidationError, match=words):
        read_table(text, SCHEMA)


@pytest.mark.parametrize(
    "line", ["port", "port = nothing:x", "port = site:height", "port = label:", "a = label:x\na = label:y"]
)
def test_an_origin_that_there_is_not_is_refused(line):
    with pytest.raises(ValidationError):
        Sources.read(read_lines(line))


def test_an_unknown_input_with_an_origin_is_refused_before_anything(alice, acme, fleet):
    with pytest.raises(ValidationError, match="no input colour"):
        make.preview(alice, make.version(acme, inputs_schema=SCHEMA), own=Sources.read({"colour": "label:port"}))


def test_over_the_api_each_value_says_where_it_comes_from_and_secrets_are_masked(
    api_of, alice, bob, acme, fleet, drive
):
    make.version(acme, inputs_schema=SCHEMA)
    api = api_of(alice)
    body = {
        "service": "hello", "environments": [fleet["all"].pk], "inputs": {"place": "x"}, "inputs_from": {"port": "label:port"},
        "table": "environment,admin_password\nall,hunter2\n",
    }  # fmt: skip
    reply = api.post("/api/v1/rollouts/preview/", body, format="json")
    assert reply.status_code == 200, reply.content
    assert "hunter2" not in reply.text and "first" not in reply.text
    row = reply.json()["create"][0]
    assert row["inputs"]["port"] == {"value": 81, "from": "label port"}
    assert row["inputs"]["admin_password"] == {"value": "********", "from": "table"}
    started = api.post("/api/v1/rollouts/", {"digest": reply.json()["digest"]}, format="json")
    drive(Rollout.objects.get(pk=started.json()["id"]))
    for address in (f"/api/v1/rollouts/{started.json()['id']}/", "/api/v1/placements/"):
        assert "hunter2" not in api.get(address).text
    assert Placement.objects.get().desired_inputs["admin_password"] == "hunter2"
    assert api_of(bob).post("/api/v1/rollouts/preview/", body, format="json").status_code == 403
    wrong = api.post("/api/v1/rollouts/preview/", body | {"table": "environment,colour\nall,red\n"}, format="json")
    assert wrong.status_code == 400 and "table" in wrong.json()["errors"]
