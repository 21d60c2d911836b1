"""Pages that scale a deployment: another number is previewed by the parser, then begun; what is left open is rolled back."""

from __future__ import annotations

import re

import pytest

from orchestration import scaling, scaling_ends
from orchestration.asking import PlanAsker
from orchestration.environments import keep
from orchestration.models import Execution, Modification
from orchestration.supervisor import supervisor
from tests.orchestration import archives
from tests.orchestration import factories as make

pytestmark = pytest.mark.django_db
BLUEPRINT = (
    archives.HEAD
    + """
node_templates:
  host:
    type: cloudify.nodes.Root
    capabilities:
      scalable: {properties: {default_instances: 2, min_instances: 1, max_instances: 4}}
  app:
    type: cloudify.nodes.Root
    relationships:
      - {type: cloudify.relationships.contained_in, target: host}
  left: {type: cloudify.nodes.Root}
groups:
  pair: {members: [left]}
policies:
  scale_pair: {type: cloudify.policies.scaling, targets: [pair], properties: {default_instances: 1}}
"""
)


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scaled")
    (folder / "blueprint.yaml").write_text(BLUEPRINT)
    return supervisor.host.parse(folder, "blueprint.yaml")


@pytest.fixture
def web(acme, alice, plan):
    """A deployment as its creation and install leave it."""
    local = make.local(acme, "web", blueprint=make.blueprint(acme, "scaled", plan=plan, created_by=alice), by=alice)
    local.instances.all().delete()
    keep(local, supervisor.host.prepare(plan, {}, PlanAsker(acme, alice)))
    local.instances.update(state="started")
    return local


def ids(local, node):
    return sorted(local.instances.filter(node__name=node).values_list("wire_id", flat=True))


def look(client, local, **data):
    return client.post(f"/deployments/{local.deployment_id}/scale/", {"what": "preview", **data})


def shown(reply):
    return re.search(r'name="shown" value="(\w*)"', reply.text)[1]


def test_more_are_previewed_then_begun_as_the_workflow_scale(signed_in, alice, web):
    client, address = signed_in(alice), f"/deployments/{web.deployment_id}/scale/"
    assert f'href="{address}"' in client.get(f"/deployments/{web.deployment_id}/").text
    first = client.get(address).text
    assert "1 to 4" in first and "scaling group" in first and "What would happen" not in first
    reply = look(client, web, entity="host", instances=4)
    assert "2 host" in reply.text and "2 app" in reply.text and "Scale host to 4<" in reply.text
    assert web.instances.count() == 5 and not Execution.objects.filter(workflow="scale").exists()
    started = look(client, web, entity="host", instances=4, what="start", shown=shown(reply))
    execution = Execution.objects.get(workflow="scale")
    assert started.headers["Location"] == f"/deployments/{web.deployment_id}/executions/{execution.pk}/"
    assert (execution.parameters["scalable_entity_name"], execution.parameters["delta"]) == ("host", 2)


def test_what_the_preview_says_will_go_is_what_the_workflow_is_told(signed_in, alice, web):
    client = signed_in(alice)
    kept, gone = ids(web, "host")
    reply = look(client, web, entity="host", instances=1, keep=kept)
    app = web.instances.get(node__name="app", relationships__0__target_id=gone).wire_id
    assert gone in reply.text and app in reply.text
    assert kept not in re.search(r'id="preview".*?</section>', reply.text, re.S)[0]
    look(client, web, entity="host", instances=1, keep=kept, what="start", shown=shown(reply))
    assert Execution.objects.get(workflow="scale").parameters["include_instances"] == [gone]


def test_a_group_is_scaled_by_the_ids_of_its_own_instances(signed_in, alice, web):
    client = signed_in(alice)
    (left,) = web.instances.filter(node__name="left")
    reply = look(client, web, entity="pair", instances=0, remove=left.wire_id)
    look(client, web, entity="pair", instances=0, remove=left.wire_id, what="start", shown=shown(reply))
    (group,) = left.scaling_groups
    assert Execution.objects.get(workflow="scale").parameters["include_instances"] == [group["id"]]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"instances": 5}, "too many"),
        ({"instances": 0}, "too few"),
        ({"instances": 2}, "There are 2 of host already"),
        ({"instances": 1, "remove": "nosuch"}, "has no such instances: nosuch"),
        ({"instances": 3, "keep": "some"}, "Leave them empty"),
        ({"instances": "many"}, "Enter a whole number"),
        ({"entity": "nosuch", "instances": 1}, "Select a valid choice"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_begins(signed_in, alice, web, wrong, words):
    reply = look(signed_in(alice), web, **{"entity": "host", **wrong, "what": "start"})
    assert reply.status_code == 400 and words in reply.text
    assert not Execution.objects.filter(workflow="scale").exists()


def test_another_preview_is_shown_where_it_is_not_what_was_looked_at(signed_in, alice, web):
    client = signed_in(alice)
    old = shown(look(client, web, entity="host", instances=1))
    web.instances.filter(node__name__in=("app", "host")).first()
    reply = look(client, web, entity="host", instances=3, what="start", shown=old)
    assert "not what you looked at any more" in reply.text and not Execution.objects.filter(workflow="scale").exists()


def test_what_a_workflow_left_open_is_rolled_back_by_page(signed_in, alice, bob, web):
    row = scaling.start(local=web, host=supervisor.host, wanted={"host": {"instances": 3}}, user=alice)
    assert web.instances.count() == 7
    client, address = signed_in(alice), f"/deployments/{web.deployment_id}/scale/"
    assert "3 planned" in client.get(address).text
    assert "existing started" in look(client, web, entity="host", instances=4).text
    back = f"/deployments/{web.deployment_id}/modifications/{row.pk}/rollback/"
    assert signed_in(bob).post(back).status_code == 403
    running = make.execution(web, state="started")
    assert "is at work on web" in client.post(back, follow=True).text
    running.delete()
    assert "Rolled back" in client.post(back, follow=True).text
    assert web.instances.count() == 5 and Modification.objects.get().state == "rolledback"


@pytest.mark.parametrize(
    ("end", "state", "goes_on"),
    [(None, "started", True), (scaling_ends.finish, "terminated", None), (scaling_ends.rollback, "failed", None)],
)
def test_a_scale_whose_process_was_lost_goes_on_only_where_something_is_left_to_do(web, alice, end, state, goes_on):
    execution = make.execution(web, workflow="scale", state="started")
    row = scaling.start(local=web, host=supervisor.host, wanted={"host": {"instances": 3}}, execution=execution)
    if end is not None:
        end(row)
    assert scaling_ends.goes_on(execution) is goes_on
    execution.refresh_from_db()
    assert execution.state == state
    assert web.instances.count() == (5 if state == "failed" else 7)


def test_a_scale_that_was_lost_before_it_began_anything_begins_anew(web):
    assert scaling_ends.goes_on(make.execution(web, workflow="scale", state="started")) is False
    assert scaling_ends.goes_on(make.execution(web, workflow="install", state="started")) is True
