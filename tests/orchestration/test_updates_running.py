"""Updates of deployments against a running manager: what is previewed is what is done, and what is gone is uninstalled."""

from __future__ import annotations

import pytest

from tests.orchestration import archives

ENDED = ("terminated", "failed", "cancelled")
SCRIPT = """#!/bin/bash
ctx logger info "{verb} {node}"
ctx instance runtime-properties did_{verb} "$(ctx node properties size)"
"""
# Every operation leaves a trace in the runtime properties of its instance.
TYPES = (
    archives.HEAD
    + """
inputs:
  size: {type: integer, default: 1}
node_types:
  demo.Node:
    derived_from: cloudify.nodes.Root
    properties:
      size: {default: 9}
    interfaces:
      cloudify.interfaces.lifecycle:
        create: {implementation: scripts/create.sh}
        delete: {implementation: scripts/delete.sh}
  demo.Updatable:
    derived_from: demo.Node
    interfaces:
      cloudify.interfaces.lifecycle:
        update: {implementation: scripts/update.sh}
      cloudify.interfaces.validation:
        check_status: {implementation: scripts/check.sh}
node_templates:
  base: {type: demo.Node}
  sized:
    type: demo.Node
    properties: {size: {get_input: size}}
    relationships:
      - {type: cloudify.relationships.depends_on, target: base}
  soft:
    type: demo.Updatable
    properties: {size: {get_input: size}}
"""
)
OLD = TYPES + "  gone: {type: demo.Node}\ncapabilities:\n  size: {value: {get_input: size}}\n"
NEW = (
    TYPES
    + """
  fresh:
    type: demo.Node
    relationships:
      - {type: cloudify.relationships.depends_on, target: base}
capabilities:
  size: {value: {get_input: size}}
  more: {value: {get_attribute: [fresh, did_create]}}
"""
)
OTHER_TYPE = NEW.replace("  base: {type: demo.Node}", "  base: {type: cloudify.nodes.Root}")


def packed(blueprint):
    verbs = ("create", "delete", "update", "check")
    scripts = {f"scripts/{verb}.sh": SCRIPT.format(verb=verb, node="$(ctx node name)") for verb in verbs}
    return archives.packed({"blueprint.yaml": blueprint, **scripts})


@pytest.fixture(scope="module")
def home(manager):
    """The manager, in a tenant of this module's own."""
    return manager.in_new_tenant("updates")


@pytest.fixture(scope="module")
def old(home) -> str:
    for name, text in (("u-old", OLD), ("u-new", NEW), ("u-type", OTHER_TYPE)):
        assert home.upload(name, packed(text)).status_code == 201
    return "u-old"


def deployed(home, name, blueprint="u-old", install=True):
    assert home.call("PUT", f"/deployments/{name}", json={"blueprint_id": blueprint}).status_code == 201
    if install:
        row = home.await_execution(home.start_workflow(name, "install"), 180)
        assert row["status"] == "terminated", row["error"]
    return name


def instances(home, name):
    rows = home.call("GET", f"/node-instances?deployment_id={name}").json()["items"]
    return {row["node_id"]: row for row in rows}


def initiate(home, name, **body):
    return home.call("POST", f"/deployment-updates/{name}/update/initiate", json=body)


def updated(home, name, **body):
    reply = initiate(home, name, **body)
    assert reply.status_code == 200, reply.text
    row = home.await_execution(reply.json()["execution_id"], 180)
    return row, home.call("GET", f"/deployment-updates/{reply.json()['id']}").json()


def test_an_update_does_what_its_preview_said(home, old):
    name = deployed(home, "u1")
    before = instances(home, name)
    preview = initiate(home, name, blueprint_id="u-new", inputs={"size": 5}, preview=True).json()
    assert preview["state"] == "preview" and preview["execution_id"] is None
    steps = {(step["action"], ":".join(step["entity_id"])) for step in preview["steps"]}
    assert steps == {
        ("remove", "nodes:gone"),
        ("add", "nodes:fresh"),
        ("modify", "nodes:sized:properties:size"),
        ("modify", "nodes:soft:properties:size"),
        ("add", "capabilities:more"),
        ("modify", "capabilities:size"),
    }
    assert instances(home, name) == before
    assert home.call("GET", f"/deployment-updates?deployment_id={name}").json()["items"] == []

    execution, update = updated(home, name, blueprint_id="u-new", inputs={"size": 5})
    assert (execution["status"], execution["error"] or "") == ("terminated", "")
    assert update["state"] == "successful" and update["steps"] == preview["steps"]
    assert (update["old_blueprint_id"], update["new_blueprint_id"]) == ("u-old", "u-new")
    assert (update["old_inputs"], update["new_inputs"]) == ({"size": 1}, {"size": 5})
    after = instances(home, name)
    assert set(after) == {"base", "sized", "soft", "fresh"}
    assert {row["state"] for row in after.values()} == {"started"}
    # Untouched, reinstalled, updated in place, installed.
    assert after["base"] == before["base"]
    assert after["sized"]["id"] == before["sized"]["id"]
    assert after["sized"]["runtime_properties"] == {"did_create": "5", "did_delete": "5"}
    assert after["soft"]["runtime_properties"] == {"did_create": "1", "did_update": "5"}
    assert after["fresh"]["runtime_properties"] == {"did_create": "9"}
    said = home.call("GET", f"/events?execution_id={execution['id']}&type=cloudify_log").json()["items"]
    messages = {line["message"] for line in said}
    assert {"delete gone", "create fresh", "update soft", "delete sized", "create sized"} <= messages
    row = home.call("GET", f"/deployments/{name}").json()
    assert (row["blueprint_id"], row["inputs"], row["deployment_status"]) == ("u-new", {"size": 5}, "good")
    found = home.call("GET", f"/deployments/{name}/capabilities").json()["capabilities"]
    assert found == {"size": 5, "more": "9"}
    # What was removed can be removed for good.
    assert home.await_execution(home.start_workflow(name, "uninstall"), 180)["status"] == "terminated"
    assert home.call("DELETE", f"/deployments/{name}").status_code == 204


def test_nothing_is_installed_by_an_update_where_nothing_was(home, old):
    name = deployed(home, "u2", install=False)
    execution, update = updated(home, name, blueprint_id="u-new")
    assert (execution["status"], update["state"]) == ("terminated", "successful")
    after = instances(home, name)
    assert set(after) == {"base", "sized", "soft", "fresh"}
    assert {row["state"] for row in after.values()} == {"uninitialized"}
    assert home.await_execution(home.start_workflow(name, "install"), 180)["status"] == "terminated"


def test_what_an_update_cannot_change_is_refused_with_what_to_do(home, old):
    name = deployed(home, "u3", install=False)
    reply = initiate(home, name, blueprint_id="u-type", preview=True)
    assert (reply.status_code, reply.json()["error_code"]) == (400, "unsupported_change_in_deployment_update")
    execution, update = updated(home, name, blueprint_id="u-type")
    assert (execution["status"], update["state"]) == ("failed", "failed")
    assert "another name" in execution["error"]
    assert home.call("GET", f"/deployments/{name}").json()["blueprint_id"] == "u-old"
    for body, status, word in (
        ({"blueprint_id": "nosuch"}, 404, "nosuch"),
        ({"inputs": {"nosuch": 1}}, 400, "nosuch"),
        ({"inputs": []}, 200, ""),
        ({"inputs": "x"}, 400, "inputs"),
        ({"reinstall_list": ["nosuch"]}, 400, "nosuch"),
        ({"workflow_id": "mine"}, 400, "workflow_id"),
        ({"colour": "red"}, 400, "colour"),
        ({"skip_install": "perhaps"}, 400, "skip_install"),
    ):
        reply = initiate(home, name, preview=True, **body)
        assert reply.status_code == status and word in reply.text, reply.text
    assert initiate(home, "nosuch").status_code == 404
    assert home.call("PUT", f"/deployment-updates/{name}/update/initiate", json={}).status_code == 405
    wrong, update = updated(home, name, inputs={"size": "many"})
    assert (wrong["status"], update["state"]) == ("failed", "failed")


def test_all_members_of_a_group_are_updated(home, old):
    names = [deployed(home, f"u4{letter}", install=False) for letter in "ab"]
    home.call("PUT", "/deployment-groups/u4", json={"deployment_ids": names})
    body = {
        "deployment_group_id": "u4",
        "workflow_id": "csys_update_deployment",
        "default_parameters": {"blueprint_id": "u-new", "inputs": {"size": 7}, "skip_heal": None, "force": False},
    }
    started = home.call("POST", "/execution-groups", json=body)
    assert started.status_code == 200, started.text
    path = f"/execution-groups/{started.json()['id']}"
    assert home.await_(path, lambda row: row["status"] in ENDED, 180)["status"] == "terminated"
    for name in names:
        assert home.call("GET", f"/deployments/{name}").json()["inputs"] == {"size": 7}
    listed = home.call("GET", "/deployment-updates?deployment_id=u4a&_include=state,new_inputs").json()["items"]
    assert listed == [{"state": "successful", "new_inputs": {"size": 7}}]
    refused = home.call("POST", "/execution-groups", json=body | {"default_parameters": {"inputs": {"nosuch": 1}}})
    assert refused.status_code == 400 and "u4a" in refused.text


@pytest.mark.parametrize("workflow", ["check_status", "check_drift", "heal", "restart", "reinstall", "pull"])
def test_the_other_workflows_of_day_two_run(home, old, workflow):
    name = "u5"
    if home.call("GET", f"/deployments/{name}").status_code == 404:
        deployed(home, name)
    row = home.await_execution(home.start_workflow(name, workflow), 180)
    assert row["status"] == "terminated", row["error"]
    if workflow == "check_status":
        assert {node for node, row in instances(home, name).items() if row["is_status_check_ok"]} == {"soft"}
    if workflow == "check_drift":
        assert home.call("GET", f"/deployments/{name}").json()["drifted_instances"] == 0
    assert {one["state"] for one in instances(home, name).values()} == {"started"}
