"""Pages that update deployments: the parser works out what would happen, and nothing else is done."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from orchestration.asking import PlanAsker
from orchestration.environments import body_of
from orchestration.models import BlueprintNode, DeploymentUpdate, Execution, ExecutionGroup, NodeInstance
from orchestration.supervisor import supervisor
from tests.orchestration import archives
from tests.orchestration import factories as make

pytestmark = pytest.mark.django_db
TYPES = (
    archives.HEAD
    + """
inputs:
  size: {type: integer, default: 1}
  who: {type: string, default: you}
node_types:
  demo.Sized:
    derived_from: cloudify.nodes.Root
    properties:
      size: {default: 9}
  demo.Soft:
    derived_from: demo.Sized
    interfaces:
      cloudify.interfaces.lifecycle:
        update: {implementation: scripts/update.sh}
node_templates:
  hard: {type: demo.Sized, properties: {size: {get_input: size}}}
  soft: {type: demo.Soft, properties: {size: {get_input: size}}}
"""
)
NEW = TYPES + "  fresh: {type: cloudify.nodes.Root}\n"


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    found = {}
    for name, text in (
        ("old", TYPES),
        ("new", NEW),
        ("odd", TYPES.replace("hard: {type: demo.Sized", "hard: {type: demo.Soft")),
    ):
        folder = tmp_path_factory.mktemp(name)
        (folder / "scripts").mkdir()
        (folder / "scripts" / "update.sh").write_text("#!/bin/bash\n")
        (folder / "blueprint.yaml").write_text(text)
        found[name] = supervisor.host.parse(folder, "blueprint.yaml")
    return found


@pytest.fixture
def blueprints(acme, alice, plans):
    return {name: make.blueprint(acme, name, plan=plan, created_by=alice) for name, plan in plans.items()}


def deployed(acme, alice, blueprint, name, **inputs):
    """A deployment as its creation and install leave it."""
    local = make.local(acme, name, blueprint=blueprint, by=alice)
    prepared = supervisor.host.prepare(blueprint.plan, inputs, PlanAsker(acme, alice))
    local.plan = {key: value for key, value in prepared.items() if key not in ("nodes", "node_instances")}
    local.inputs = prepared["inputs"]
    local.save()
    local.nodes.all().delete()
    for node in prepared["nodes"]:
        row = BlueprintNode.objects.create(local=local, name=node["name"], type=node["type"], body=body_of(node))
        NodeInstance.objects.create(local=local, node=row, wire_id=f"{node['name']}_{name}", state="started")
    return local


@pytest.fixture
def web(acme, alice, blueprints):
    return deployed(acme, alice, blueprints["old"], "web", size=2)


def digest_in(page):
    return re.search(r'name="shown" value="(\w*)"', page)[1]


def test_the_form_holds_what_is_now(signed_in, alice, web):
    page = signed_in(alice).get(f"/deployments/{web.deployment_id}/").text
    assert f'href="/deployments/{web.deployment_id}/update/"' in page
    page = signed_in(alice).get(f"/deployments/{web.deployment_id}/update/").text
    assert "old (as it is)" in page and re.search(r'name="value:size"[^>]*value="2"', page)


def test_a_preview_shows_steps_and_what_is_installed_anew_and_changes_nothing(signed_in, alice, web):
    address = f"/deployments/{web.deployment_id}/update/?blueprint_id=new"
    page = signed_in(alice).post(address, {"value:size": "7"}).text
    assert "Add node fresh" in page and "Change property size of node hard" in page
    assert re.search(r"Installed anew, with what they contain:</b> <span[^>]*>hard</span>", page)
    assert re.search(r"by their own operations: <span[^>]*>soft</span>", page)
    assert "who" not in page.split('id="preview"')[1]  # it keeps its value
    assert not DeploymentUpdate.objects.exists() and not Execution.objects.exists()


def test_start_begins_what_was_looked_at_and_the_history_keeps_it(signed_in, alice, web, blueprints):
    client, address = signed_in(alice), f"/deployments/{web.deployment_id}/update/?blueprint_id=new"
    asked = {"value:size": "7", "value:who": ""}
    shown = digest_in(client.post(address, asked).text)
    page = client.post(address, {**asked, "value:size": "8", "what": "start", "shown": shown}).text
    assert "not what you looked at any more" in page and not DeploymentUpdate.objects.exists()
    reply = client.post(address, {**asked, "what": "start", "shown": shown}, follow=True)
    update = DeploymentUpdate.objects.get()
    assert (update.new_blueprint, update.new_inputs["size"], update.new_inputs["who"]) == (blueprints["new"], 7, "you")
    assert update.execution.workflow == "update" and update.created_by == alice
    assert reply.redirect_chain[-1][0] == reverse("deployment-update-detail", args=[web.deployment_id, update.pk])
    assert "The steps are found when it begins" in reply.text or "size" in reply.text
    page = client.get(f"/deployments/{web.deployment_id}/").text
    assert f"/deployments/{web.deployment_id}/updates/{update.pk}/" in page
    page = client.post(address, {**asked, "what": "start", "shown": shown}).text
    assert "currently running for this deployment" in page and DeploymentUpdate.objects.count() == 1


@pytest.mark.parametrize(
    ("blueprint", "asked", "words"),
    [
        ("old", {"value:size": "many"}, "Enter a whole number"),
        ("odd", {"value:size": "2"}, "Node hard has another type in the new blueprint"),
    ],
)
def test_what_cannot_be_is_said(signed_in, alice, web, blueprint, asked, words):
    reply = signed_in(alice).post(f"/deployments/{web.deployment_id}/update/?blueprint_id={blueprint}", asked)
    assert reply.status_code == 400 and words in reply.text


def test_nothing_to_change_is_said(signed_in, alice, web):
    page = signed_in(alice).post(f"/deployments/{web.deployment_id}/update/", {"value:size": "2"}).text
    assert "Nothing would change" in page


def test_a_viewer_sees_the_history_and_cannot_update(signed_in, bob, charlie, alice, web, blueprints):
    update = DeploymentUpdate.objects.create(
        local=web, wire_id="web-1", old_blueprint=blueprints["old"], new_blueprint=blueprints["new"],
        old_inputs={"size": 1}, new_inputs={"size": 2}, state="successful",
        steps=[{"action": "add", "entity_type": "node", "entity_id": ["nodes", "fresh"], "topology_order": 0}],
    )  # fmt: skip
    address = f"/deployments/{web.deployment_id}/updates/{update.pk}/"
    page = signed_in(bob).get(address).text
    assert "Add node fresh" in page and "new" in page
    assert "Update…" not in signed_in(bob).get(f"/deployments/{web.deployment_id}/").text
    assert signed_in(bob).get(f"/deployments/{web.deployment_id}/update/").status_code == 403
    assert signed_in(bob).get(f"/deployments/update/?deployments={web.deployment_id}").status_code == 403
    assert signed_in(charlie).get(address).status_code == 404
    assert signed_in(charlie).get(f"/deployments/{web.deployment_id}/update/").status_code == 404


class TestMany:
    @pytest.fixture
    def some(self, acme, alice, blueprints):
        first = deployed(acme, alice, blueprints["old"], "a1", size=2)
        second = deployed(acme, alice, blueprints["old"], "a2", size=7)
        other = make.local(acme, "other", by=alice)
        return [first, second, other]

    def address(self, rows, more=""):
        return f"/deployments/update/?deployments={','.join(str(row.deployment_id) for row in rows)}{more}"

    def test_each_has_its_own_outlook_and_what_stays_is_named(self, signed_in, alice, some):
        client, asked = signed_in(alice), {"value:size": "7", "value:who": "", "concurrency": 5}
        preview = client.post(self.address(some[:2]), asked).text.split('id="preview"')[1]
        assert "1 of 2 would change" in preview and "installed anew: hard; brought up to date: soft" in preview
        assert "left out: Nothing would change: it is so already." in preview
        assert "Start the update of 2" not in preview
        preview = client.post(self.address(some), {**asked, "value:who": "all"}).text.split('id="preview"')[1]
        assert "left out: Cannot create deployment - unknown inputs: who." in preview
        assert not ExecutionGroup.objects.exists()

    def test_start_updates_exactly_those(self, signed_in, alice, some, blueprints):
        client, address = signed_in(alice), self.address(some[:2], "&blueprint_id=new")
        asked = {"value:size": "", "value:who": "all", "concurrency": 1}
        page = client.post(address, asked).text
        acting = re.search(r'name="acting" value="([\d,]*)"', page)[1]
        assert sorted(map(int, acting.split(","))) == sorted(row.deployment_id for row in some[:2])
        start = {**asked, "what": "start", "shown": digest_in(page), "acting": acting}
        assert "not what you looked at" in client.post(address, {**start, "value:who": "none"}).text
        reply = client.post(address, start, follow=True)
        group = ExecutionGroup.objects.get()
        assert group.workflow == "csys_update_deployment" and group.concurrency == 1
        assert "csys_update_deployment on 2 deployments" in reply.text
        inputs = dict(DeploymentUpdate.objects.values_list("local__deployment__wire_id", "new_inputs"))
        assert inputs == {"a1": {"size": 2, "who": "all"}, "a2": {"size": 7, "who": "all"}}

    def test_one_that_changed_meanwhile_keeps_all_from_beginning(self, signed_in, alice, some):
        client, address = signed_in(alice), self.address(some[:2])
        asked = {"value:size": "9", "value:who": "", "concurrency": 5}
        page = client.post(address, asked).text
        start = {
            **asked,
            "what": "start",
            "shown": digest_in(page),
            "acting": re.search(r'name="acting" value="([\d,]*)"', page)[1],
        }
        make.execution(some[0], "install", Execution.State.STARTED)
        page = client.post(address, start).text
        assert "not what you looked at any more" in page and "Another execution is under way: install." in page
        assert not ExecutionGroup.objects.exists()

    def test_only_what_has_drifted_is_updated(self, signed_in, alice, some):
        client = signed_in(alice)
        assert "No deployment matches" in client.get("/deployments/?drifted=1").text
        NodeInstance.objects.filter(local=some[1], node__name="soft").update(has_drift=True)
        page = client.get("/deployments/?drifted=1").text
        assert ">a2<" in page and ">a1<" not in page and "1 drifted" in page
        reply = client.post("/deployments/act/?drifted=1", {"what": "update", "all": "1"})
        assert reply["Location"] == "/deployments/update/?drifted=1"
        asked = {"value:size": "", "value:who": "", "concurrency": 5}
        page = client.post(reply["Location"], asked).text
        assert "Start the update of 1" in page and "brought up to date: soft" in page
        page = client.post(self.address(some[:2]), asked).text
        assert "1 of 2 would change" in page and "it is so already" in page
        page = client.post(self.address(some[:2]), {**asked, "skip_drift_check": "on"}).text
        assert "0 of 2 would change" in page
