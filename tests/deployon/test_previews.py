"""Previews: what would happen, why some are left out, and the digest that Start names."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.errors import Conflict
from deployon import rollouts
from deployon.models import Placement, Preview, Rollout
from deployon.surveys import named_secrets
from inventory.doubles import Fault, FaultKind
from inventory.models import Deployment, Environment, Probe
from tests.deployon import factories as make
from tests.factories import actor
from tests.inventory import factories as inventory

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def names(preview, kind):
    return [row["name"] for row in preview.content[kind]]


def why(preview, kind="excluded"):
    return {row["name"]: row["why"] for row in preview.content[kind]}


def test_matched_environments_are_created_and_those_that_cannot_are_excluded_with_a_reason(alice, acme):
    prod = [("env", "prod")]
    inventory.environment(acme, "ready", prod, state="ready")
    inventory.environment(acme, "degraded", prod, state="degraded")
    inventory.environment(acme, "gone", prod, state="unreachable", why="The certificate expired.")
    inventory.environment(acme, "closed", prod, state="maintenance")
    inventory.environment(acme, "new", prod, state="unknown")
    inventory.environment(acme, "test", [("env", "test")], state="ready")

    preview = make.preview(alice, make.version(acme))

    assert names(preview, "create") == ["degraded", "ready"]
    assert names(preview, "excluded") == ["closed", "gone", "new"]
    assert "unreachable: The certificate expired." in why(preview)["gone"]
    assert "maintenance" in why(preview)["closed"]
    assert "Probe it" in why(preview)["new"]


def test_an_account_that_may_not_upload_is_excluded_where_the_blueprint_is_pushed(alice, acme):
    environment = inventory.environment(acme, "edge", state="ready")
    rungs = [
        {
            "key": "role",
            "title": "Role",
            "state": "warned",
            "detail": "Its role is operations.",
            "remedy": "Ask for the role user.",
        }
    ]
    Probe.objects.create(environment=environment, is_ready=True, rungs=rungs)

    pushed = make.preview(alice, make.version(acme, "pushed"), [environment])
    present = make.preview(
        alice, make.version(acme, "present", remote_blueprint="app", inputs_schema={"a": {"default": 1}}), [environment]
    )

    assert "may not upload" in why(pushed)["edge"] and "Ask for the role user." in why(pushed)["edge"]
    assert names(present, "create") == ["edge"]


def test_environments_of_others_are_not_told_apart_from_none(alice, acme, other):
    mine, theirs = inventory.environment(acme, state="ready"), inventory.environment(other, state="ready")

    preview = make.preview(alice, make.version(acme), [mine, theirs])

    assert len(preview.content["create"]) == 1
    assert [row["code"] for row in preview.content["excluded"]] == ["hidden"]
    assert theirs.deployment.display_name not in str(preview.content)


def test_what_is_there_with_the_same_content_stays_and_with_another_differs(alice, acme, double, drive):
    version = make.version(acme, inputs_schema={"port": {"default": 1}})
    environment = make.environment(double, acme, "edge")
    drive(make.rollout(alice, version))
    newer = make.version(acme, content="2", inputs_schema={"port": {"default": 1}})

    assert names(make.preview(alice, version), "stays") == ["edge"]
    assert "version 1" in why(make.preview(alice, newer), "differs")["edge"]
    assert "other inputs" in why(make.preview(alice, version, inputs={"port": 2}), "differs")["edge"]
    with pytest.raises(ValidationError, match="nothing to do"):
        make.rollout(alice, newer)
    there = double.answers(environment.remote_tenant).world.deployments["hello"]
    assert there.inputs == {"port": 1}


def test_a_survey_sees_what_somebody_else_put_there(alice, acme, double, drive):
    version = make.version(acme)
    environment = make.environment(double, acme, "edge")
    drive(make.rollout(alice, version))
    placement = Placement.objects.get()
    placement.delete()
    Deployment.objects.filter(pk=placement.deployment_id).delete()  # this portal knows nothing any more

    assert names(make.preview(alice, version), "create") == ["edge"]
    assert names(make.preview(alice, version, survey=True), "stays") == ["edge"]
    world = double.answers(environment.remote_tenant).world
    world.deployments["hello"].labels[:] = []
    surveyed = make.preview(alice, version, survey=True)
    assert "belongs to" in why(surveyed, "differs")["edge"]
    # Start takes the word of the survey that was shown.
    with pytest.raises(ValidationError, match="nothing to do"):
        rollouts.start_rollout(by=actor(alice), tenant=acme, digest=surveyed.digest)


def test_a_survey_excludes_whom_it_cannot_ask(alice, acme, double):
    environment = make.environment(double, acme, "edge")
    double.faults.append(Fault(FaultKind.UNAUTHORIZED, tenant=environment.remote_tenant))

    preview = make.preview(alice, make.version(acme), survey=True)

    assert preview.content["excluded"][0]["code"] == "credential"


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ({"get_secret": "one"}, {"one"}),
        ({"get_secret": ["two", "key"]}, {"two"}),
        ({"a": [{"concat": ["x", {"get_secret": "three"}]}], "b": {"get_secret": "one"}}, {"one", "three"}),
        ({"get_secret": {"concat": ["a", {"get_secret": "inner"}]}}, {"inner"}),
        ({"get_secret": "no", "other": 1}, set()),
        ("get_secret", set()),
    ],
)
def test_the_secrets_that_inputs_name_are_found_however_deep_they_lie(value, names):
    assert named_secrets(value) == names


def test_the_same_question_has_the_same_digest_and_every_difference_another_one(alice, acme):
    inventory.environment(acme, "one", [("env", "prod")], state="ready")
    schema = {"port": {"default": 1}}
    version, newer = make.version(acme, inputs_schema=schema), make.version(acme, content="2", inputs_schema=schema)
    first = make.preview(alice, version).digest

    assert make.preview(alice, version).digest == first
    digests = {first, make.preview(alice, newer).digest, make.preview(alice, version, inputs={"port": 2}).digest}
    inventory.environment(acme, "two", [("env", "prod")], state="ready")
    digests.add(make.preview(alice, version).digest)
    assert len(digests) == 4
    assert Preview.objects.count() == 4


def test_a_changed_world_is_a_conflict_that_says_what_changed(alice, acme):
    first = inventory.environment(acme, "first", [("env", "prod")], state="ready")
    preview = make.preview(alice, make.version(acme))
    Environment.objects.filter(pk=first.pk).update(state="unreachable", why="Refused.")
    inventory.environment(acme, "second", [("env", "prod")], state="ready")

    with pytest.raises(Conflict) as caught:
        rollouts.start_rollout(by=actor(alice), tenant=acme, digest=preview.digest)

    assert "first now is excluded" in str(caught.value)
    assert "second is new" in str(caught.value)
    assert not Rollout.objects.exists()


def test_a_digest_that_nobody_was_shown_starts_nothing(alice, acme, other, charlie):
    inventory.environment(acme, "edge", [("env", "prod")], state="ready")
    digest = make.preview(alice, make.version(acme)).digest

    for tenant, person, named in ((acme, alice, "0" * 64), (other, charlie, digest)):
        with pytest.raises(ValidationError, match="no preview"):
            rollouts.start_rollout(by=actor(person), tenant=tenant, digest=named)


def test_wrong_inputs_are_told_before_anything_is_looked_at(alice, acme):
    version = make.version(acme, inputs_schema={"port": {"type": "integer"}})
    with pytest.raises(ValidationError) as caught:
        make.preview(alice, version, inputs={"port": "x", "other": 1})
    assert set(caught.value.message_dict) == {"port", "other"}


def test_a_blueprint_that_is_present_tells_its_inputs_at_the_first_preview(alice, acme, double):
    environment = make.environment(double, acme)
    version = make.version(acme, remote_blueprint="app")
    world = double.answers(environment.remote_tenant)
    world.blueprint("PUT", "app", {}, make.archive())
    world.world.blueprints["app"].plan = {"inputs": {"port": {"type": "integer"}}, "capabilities": {"address": {}}}

    with pytest.raises(ValidationError) as caught:
        make.preview(alice, version)

    version.refresh_from_db()
    assert "port" in caught.value.message_dict
    assert version.capabilities == ["address"]


def test_a_preview_asks_a_fixed_number_of_queries(alice, acme):
    version, asked = make.version(acme), []
    for first, last in ((0, 3), (3, 30)):
        for number in range(first, last):
            inventory.environment(acme, f"edge{number}", [("env", "prod")], state="ready")
        with CaptureQueriesContext(connection) as queries:
            make.preview(alice, version)
        asked.append(len(queries))
    assert asked[0] == asked[1] <= 19
