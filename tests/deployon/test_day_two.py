"""Updates of what stands and workflows on it, in bulk: what is previewed, what is done, and what is left alone."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from deployon import rollouts
from deployon.models import Placement, Rollout
from deployon.workflows import Workflow
from tests import factories
from tests.deployon import factories as make

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
SCHEMA = {"port": {"type": "integer", "default": 80}}


@pytest.fixture
def fleet(double, acme, alice, drive):
    """hello v1 on two of three environments; v2 is known."""
    first = make.version(acme, inputs_schema=SCHEMA)
    rows = [make.environment(double, acme, name) for name in ("one", "two", "three")]
    drive(make.rollout(alice, first, rows[:2]))
    return first, make.version(acme, content="2", inputs_schema=SCHEMA), rows


def names(preview, kind):
    return [row["name"] for row in preview.content[kind]]


def there(double, environment):
    return double.answers(environment.remote_tenant).world.deployments["hello"]


def test_an_update_creates_where_it_is_not_and_changes_where_it_is(alice, double, drive, fleet):
    _, second, rows = fleet
    preview = make.preview(alice, second, rows, action="update", survey=True)
    assert (names(preview, "create"), names(preview, "update")) == (["three"], ["one", "two"])

    rollout = drive(make.rollout(alice, second, rows, action="update", inputs={"port": 81}))

    assert rollout.run.state == "succeeded", [run.why for run in rollout.run.children.all()]
    for environment in rows:
        row = there(double, environment)
        assert row.inputs == {"port": 81} and row.blueprint_id.endswith(second.digest[:12])
        labels = {label["key"]: label["value"] for label in row.labels}
        assert labels["portal-digest"] == second.content_digest and labels["csys-obj-type"] == "service"
    assert [run.workflow for run in there(double, rows[0]).runs] == [
        "create_deployment_environment",
        "install",
        "update",
    ]
    assert set(Placement.objects.values_list("state", "desired_version__number")) == {("deployed", 2)}
    again = make.preview(alice, second, rows, action="update", inputs={"port": 81}, survey=True)
    assert names(again, "stays") == ["one", "three", "two"]


def test_a_deploy_still_leaves_alone_what_is_there_in_another_version(alice, fleet):
    _, second, rows = fleet
    assert names(make.preview(alice, second, rows), "differs") == ["one", "two"]


def test_other_inputs_alone_are_an_update_whose_steps_the_manager_tells(alice, double, drive, fleet):
    first, _, rows = fleet
    preview = make.preview(alice, first, rows[:1], action="update", inputs={"port": 82}, survey=True)
    row = preview.content["update"][0]
    assert row["code"] == "inputs" and row["steps"] == ["modify property nodes:s:properties:port"]
    drive(rollouts.start_rollout(by=factories.actor(alice), tenant=first.service.tenant, digest=preview.digest))
    assert there(double, rows[0]).inputs == {"port": 82}


def test_what_belongs_to_somebody_else_is_a_conflict_and_left_alone(alice, double, fleet):
    _, second, rows = fleet
    there(double, rows[0]).labels[:] = []
    preview = make.preview(alice, second, rows[:1], action="update", survey=True)
    assert preview.content["differs"][0]["code"] == "owner"
    with pytest.raises(ValidationError, match="nothing to do"):
        make.rollout(alice, second, rows[:1], action="update", survey=True)


def test_an_update_that_fails_there_says_why_and_a_retry_updates_again(alice, double, drive, fleet):
    _, second, rows = fleet
    double.script.update_error = "RuntimeError: no room"
    rollout = drive(make.rollout(alice, second, rows[:1], action="update"))
    assert rollout.run.children.get().why == "RuntimeError: no room"
    placement = Placement.objects.get(environment=rows[0])
    assert (placement.state, placement.actual_digest == second.content_digest) == ("failed", False)
    double.script.update_error = ""
    rollout = drive(rollouts.retry_rollout(by=factories.actor(alice), rollout=rollout))
    assert rollout.run.state == "succeeded"
    assert there(double, rows[0]).blueprint_id.endswith(second.digest[:12])


def test_a_workflow_runs_where_the_service_stands_and_leaves_it_as_it_is(alice, double, drive, fleet):
    first, _, rows = fleet
    heal = {"action": "workflow", "workflow": Workflow("heal", {"node": "s"})}
    preview = make.preview(alice, first, rows, **heal)
    assert (names(preview, "run"), names(preview, "stays")) == (["one", "two"], ["three"])
    rollout = drive(make.rollout(alice, first, rows, **heal))
    assert rollout.run.state == "succeeded"
    assert str(rollout) == "Run heal of hello v1 on 2 environments"
    assert there(double, rows[0]).latest.workflow == "heal"
    assert set(Placement.objects.values_list("state", flat=True)) == {"deployed"}


def test_a_workflow_that_there_is_not_fails_there_and_the_service_still_counts_as_deployed(alice, double, drive, fleet):
    first, _, rows = fleet
    rollout = drive(make.rollout(alice, first, rows[:1], action="workflow", workflow=Workflow("dance")))
    assert "dance does not exist" in rollout.run.children.get().why
    placement = Placement.objects.get(environment=rows[0])
    assert placement.state == "deployed" and "dance" in placement.why


@pytest.mark.parametrize(
    ("action", "name"), [("workflow", ""), ("deploy", "heal"), ("workflow", "a b"), ("workflow", "install")]
)
def test_a_workflow_goes_with_its_action_and_is_none_that_is_an_action_itself(alice, fleet, action, name):
    with pytest.raises(ValidationError, match=r"(?i)workflow|action of its own"):
        make.preview(alice, fleet[0], fleet[2], action=action, workflow=Workflow(name))


def test_an_uninstall_shows_what_stands_on_it_there(alice, double, fleet):
    first, _, rows = fleet
    world = double.answers(rows[0].remote_tenant).world
    labels = [{"key": "csys-obj-parent", "value": "hello", "created_at": "", "created_by": "admin"}]
    child = type(world.deployments["hello"])("child", "other", "child", None, labels, {}, world.script)
    world.deployments["child"] = child
    world.start(child, "create_deployment_environment")
    preview = make.preview(alice, first, rows[:2], action="uninstall", survey=True)
    assert names(preview, "remove") == ["two"]
    assert preview.content["differs"][0]["code"] == "dependents"
    assert "child" in preview.content["differs"][0]["why"]


def test_by_page_an_update_is_chosen_previewed_and_started(signed_in, alice, bob, double, drive, fleet):
    first, second, rows = fleet
    client = signed_in(alice)
    assert "Update it" in client.get(f"/rollouts/new/?service={first.service_id}&action=update").text
    form = {
        "version": second.pk, "action": "update", "environments": f"{rows[0].pk},{rows[1].pk}", "max_parallel": 2,
        "input:port": "", "table_text": "environment,port\none,90\ntwo,91\n",
    }  # fmt: skip
    review = client.post("/rollouts/new/", form, follow=True)
    assert "Start: update 2" in review.text and ">91</span>" in review.text and "table" in review.text
    back = client.get(review.context["back"])
    assert "90" in back.context["table_text"] and back.context["action"] == "update"
    client.post("/rollouts/new/start/", {"digest": review.context["preview"].digest, "max_parallel": 2})
    drive(Rollout.objects.latest("pk"))
    assert [there(double, each).inputs["port"] for each in rows[:2]] == [90, 91]
    assert signed_in(bob).post("/rollouts/new/", form).status_code == 403


def test_by_page_a_workflow_is_named_with_parameters(signed_in, alice, double, drive, fleet):
    first, _, rows = fleet
    client = signed_in(alice)
    form = {"version": first.pk, "action": "workflow", "environments": str(rows[0].pk), "max_parallel": 2}
    wrong = client.post("/rollouts/new/", form | {"workflow": "heal", "raw_parameters": "{"})
    assert wrong.status_code == 400 and "parameters are not JSON" in wrong.text
    review = client.post("/rollouts/new/", form | {"workflow": "heal", "raw_parameters": '{"node": "s"}'}, follow=True)
    assert "Start: run heal on 1" in review.text
    client.post("/rollouts/new/start/", {"digest": review.context["preview"].digest, "max_parallel": 2})
    drive(Rollout.objects.latest("pk"))
    assert there(double, rows[0]).latest.workflow == "heal"
