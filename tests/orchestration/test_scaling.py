"""The workflow `scale` against a running manager: instances come and go with what they contain, and failures leave the old numbers."""

from __future__ import annotations

import pytest

from tests.orchestration import archives

SCRIPT = """#!/bin/bash
ctx logger info "{verb} $(ctx instance id)"
ctx instance runtime-properties did_{verb} yes
if [ "$(ctx node properties fail_at)" = "{verb}" ] && [ "$(ctx instance index)" -ge "$(ctx node properties from_index)" ]; then
  ctx logger error "as told"; exit 1
fi
"""
BLUEPRINT = (
    archives.HEAD
    + """
inputs:
  fail_at: {type: string, default: never}
  from_index: {type: integer, default: 1}
node_types:
  demo.Node:
    derived_from: cloudify.nodes.Root
    properties:
      fail_at: {default: {get_input: fail_at}}
      from_index: {default: {get_input: from_index}}
    interfaces:
      cloudify.interfaces.lifecycle:
        create: {implementation: scripts/create.sh, max_retries: 0}
        delete: {implementation: scripts/delete.sh, max_retries: 0}
      cloudify.interfaces.validation:
        check_status: {implementation: scripts/check.sh, max_retries: 0}
      demo.tricks:
        break: {implementation: scripts/break.sh}
relationships:
  demo.serves:
    derived_from: cloudify.relationships.connected_to
    target_interfaces:
      cloudify.interfaces.relationship_lifecycle:
        establish: {implementation: scripts/establish.sh}
        unlink: {implementation: scripts/unlink.sh}
node_templates:
  front:
    type: demo.Node
    relationships:
      - {type: demo.serves, target: app}
  host:
    type: demo.Node
    capabilities:
      scalable: {properties: {default_instances: 1, min_instances: 1, max_instances: 3}}
  app:
    type: demo.Node
    relationships:
      - {type: cloudify.relationships.contained_in, target: host}
  left: {type: demo.Node}
  right: {type: demo.Node}
groups:
  pair: {members: [left, right]}
policies:
  scale_pair: {type: cloudify.policies.scaling, targets: [pair], properties: {default_instances: 1}}
"""
)
CHECK = """#!/bin/bash
if ctx instance runtime-properties | grep -q broken; then echo "it is broken" >&2; exit 1; fi
"""
LINK = """#!/bin/bash
ctx target instance runtime-properties did_{verb} yes
"""


def packed():
    scripts = {f"scripts/{verb}.sh": SCRIPT.format(verb=verb) for verb in ("create", "delete")}
    scripts |= {f"scripts/{verb}.sh": LINK.format(verb=verb) for verb in ("establish", "unlink")}
    scripts |= {
        "scripts/check.sh": CHECK,
        "scripts/break.sh": "#!/bin/bash\nctx instance runtime-properties broken yes\n",
    }
    return archives.packed({"blueprint.yaml": BLUEPRINT, **scripts})


@pytest.fixture(scope="module")
def home(manager):
    """The manager, in a tenant of this module's own, with the blueprint."""
    made = manager.in_new_tenant("scaling")
    reply = made.upload("scaled", packed())
    assert reply.status_code == 201, reply.text
    return made


def deployed(home, name, **inputs):
    body = {"blueprint_id": "scaled", "inputs": inputs}
    assert home.call("PUT", f"/deployments/{name}", json=body).status_code == 201
    row = home.await_execution(home.start_workflow(name, "install"), 180)
    assert row["status"] == "terminated", row["error"]
    return name


def scaled(home, name, entity, delta, status="terminated", **parameters):
    parameters = {"scalable_entity_name": entity, "delta": delta, **parameters}
    row = home.await_execution(home.start_workflow(name, "scale", parameters=parameters), 180)
    assert row["status"] == status, row
    return row


def instances(home, name):
    rows = home.call("GET", f"/node-instances?deployment_id={name}").json()["items"]
    found = {}
    for row in sorted(rows, key=lambda one: one["id"]):
        found.setdefault(row["node_id"], []).append(row)
    return found


def modifications(home, name):
    return home.call("GET", f"/deployment-modifications?deployment_id={name}&_sort=created_at").json()["items"]


def counts(home, name, node):
    (row,) = home.call("GET", f"/nodes?deployment_id={name}&id={node}").json()["items"]
    return int(row["number_of_instances"]), int(row["planned_number_of_instances"])


def test_scaling_out_installs_what_is_contained_and_links_what_is_around_and_scaling_in_takes_it_away(home):
    name = deployed(home, "s1")
    first = instances(home, name)
    scaled(home, name, "host", "+1")
    after = instances(home, name)
    assert {node: len(rows) for node, rows in after.items()} == {"front": 1, "host": 2, "app": 2, "left": 1, "right": 1}
    assert all(row["state"] == "started" for rows in after.values() for row in rows)
    new_host = next(row for row in after["host"] if row["id"] != first["host"][0]["id"])
    new_app = next(row for row in after["app"] if row["id"] != first["app"][0]["id"])
    assert new_host["runtime_properties"]["did_create"] == "yes"
    assert [one["target_id"] for one in new_app["relationships"]] == [new_host["id"]]
    assert new_app["runtime_properties"]["did_establish"] == "yes"
    assert {one["target_id"] for one in after["front"][0]["relationships"]} == {row["id"] for row in after["app"]}
    assert counts(home, name, "host") == (2, 2)
    (done,) = modifications(home, name)
    assert done["status"] == "finished" and done["ended_at"] and done["context"]["workflow_id"] == "scale"
    marks = {row["id"]: row.get("modification") for row in done["node_instances"]["added_and_related"]}
    assert marks == {new_host["id"]: "added", new_app["id"]: "added", after["front"][0]["id"]: None}
    assert home.call("GET", f"/deployments/{name}").json()["installation_status"] == "active"

    scaled(home, name, "host", -1, exclude_instances=[first["host"][0]["id"]])
    back = instances(home, name)
    assert [row["id"] for row in back["host"]] == [first["host"][0]["id"]]
    assert [row["id"] for row in back["app"]] == [first["app"][0]["id"]]
    assert [one["target_id"] for one in back["front"][0]["relationships"]] == [first["app"][0]["id"]]
    assert counts(home, name, "host") == (1, 1)


def test_the_instances_that_are_named_are_removed_and_those_excluded_stay(home):
    name = deployed(home, "s2")
    scaled(home, name, "host", 2)
    hosts = [row["id"] for row in instances(home, name)["host"]]
    scaled(home, name, "host", -1, include_instances=[hosts[1]])
    assert [row["id"] for row in instances(home, name)["host"]] == [hosts[0], hosts[2]]
    failed = scaled(home, name, "host", -1, "failed", include_instances=["nosuch"])
    assert "did not exist: nosuch" in failed["error"]


def test_more_and_fewer_than_the_blueprint_allows_are_refused_and_nothing_is_changed(home):
    name = deployed(home, "s3")
    before = instances(home, name)
    assert "1 to 3 instances" in scaled(home, name, "host", 3, "failed")["error"]
    assert "too few" in scaled(home, name, "host", -1, "failed")["error"]
    assert "nosuch" in scaled(home, name, "nosuch", 1, "failed")["error"]
    assert instances(home, name) == before and modifications(home, name) == []


def test_a_scaling_group_is_scaled_as_one(home):
    name = deployed(home, "s4")
    scaled(home, name, "pair", 2)
    found = instances(home, name)
    assert len(found["left"]) == len(found["right"]) == 3
    groups = {row["scaling_groups"][0]["id"] for row in found["left"]}
    assert len(groups) == 3 and groups == {row["scaling_groups"][0]["id"] for row in found["right"]}
    kept = home.call("GET", f"/deployments/{name}").json()["scaling_groups"]["pair"]["properties"]
    assert kept["current_instances"] == kept["planned_instances"] == 3
    scaled(home, name, "pair", -2, include_instances=[found["left"][0]["id"]])
    left = instances(home, name)["left"]
    assert len(left) == 1 and left[0]["id"] != found["left"][0]["id"]


def test_what_cannot_be_installed_is_uninstalled_and_the_old_numbers_hold(home):
    name = deployed(home, "s5", fail_at="create", from_index=2)
    before = instances(home, name)
    failed = scaled(home, name, "host", 1, "failed")
    assert "create" in failed["error"]
    (one,) = modifications(home, name)
    assert one["status"] == "rolledback" and one["node_instances"]["before_rollback"]
    after = instances(home, name)
    assert {node: [row["id"] for row in rows] for node, rows in after.items()} == {
        node: [row["id"] for row in rows] for node, rows in before.items()
    }
    assert counts(home, name, "host") == (1, 1)
    resumed = home.call("POST", f"/executions/{failed['id']}", json={"action": "resume"})
    assert resumed.status_code == 400 and "start `scale` again" in resumed.json()["message"]


def test_what_cannot_be_uninstalled_stays_and_is_said_to_be_as_it_is(home):
    name = deployed(home, "s6", fail_at="delete", from_index=1)
    scaled(home, name, "left", 1)
    scaled(home, name, "left", -1, "failed")
    left = instances(home, name)["left"]
    assert sorted(row["state"] for row in left) == ["deleting", "started"]
    assert counts(home, name, "left") == (2, 2)
    scaled(home, name, "left", -1, ignore_failure=True)
    assert len(instances(home, name)["left"]) == 1


def test_one_that_is_left_open_keeps_others_out_until_it_is_rolled_back_or_aborted(home):
    name = deployed(home, "s7", fail_at="create", from_index=2)
    failed = scaled(home, name, "host", 1, "failed", rollback_if_failed=False)
    (one,) = modifications(home, name)
    assert one["status"] == "started" and counts(home, name, "host") == (1, 2)
    assert "existing started deployment modifications" in scaled(home, name, "left", 1, "failed")["error"]
    home.call("POST", f"/executions/{failed['id']}", json={"action": "resume"})
    assert home.await_execution(failed["id"])["status"] == "failed"  # it goes on, and fails again where it did
    reply = home.call("POST", f"/deployment-modifications/{one['id']}/rollback")
    assert reply.status_code == 200 and reply.json()["status"] == "rolledback", reply.text
    again = home.call("POST", f"/deployment-modifications/{one['id']}/finish")
    assert again.status_code == 400 and again.json()["error_code"] == "deployment_modification_already_ended_error"
    assert len(instances(home, name)["host"]) == 1
    scaled(home, name, "host", 1, "failed", rollback_if_failed=False)
    assert "create" in scaled(home, name, "host", 1, "failed", abort_started=True)["error"]
    assert [row["status"] for row in modifications(home, name)] == ["rolledback"] * 3


def test_a_dry_run_leaves_everything_as_it_was(home):
    name = deployed(home, "s8")
    before = instances(home, name)
    parameters = {"scalable_entity_name": "host", "delta": 1}
    row = home.await_execution(home.start_workflow(name, "scale", parameters=parameters, dry_run=True), 60)
    assert row["status"] == "terminated", row["error"]
    assert instances(home, name).keys() == before.keys() and counts(home, name, "host") == (1, 1)
    assert [len(rows) for rows in instances(home, name).values()] == [len(rows) for rows in before.values()]


def test_an_update_keeps_what_was_scaled(home):
    name = deployed(home, "s9")
    scaled(home, name, "host", 1)
    scaled(home, name, "pair", 1)
    body = {"inputs": {"from_index": 7}}
    update = home.call("POST", f"/deployment-updates/{name}/update/initiate", json=body).json()
    row = home.await_execution(update["execution_id"], 180)
    assert row["status"] == "terminated", row["error"]
    found = instances(home, name)
    assert {node: len(rows) for node, rows in found.items()} == {"front": 1, "host": 2, "app": 2, "left": 2, "right": 2}
    assert counts(home, name, "host") == (2, 2)


def test_a_client_may_look_first_and_steer_a_modification_of_its_own(home):
    name = deployed(home, "s10")
    body = {"deployment_id": name, "nodes": {"host": {"instances": 2}}}
    seen = home.call("POST", "/deployment-modifications", json={**body, "preview": True}).json()["node_instances"]
    marks = [row for row in seen["added_and_related"] if row.get("modification") == "added"]
    assert sorted(row["name"] for row in marks) == ["app", "host"] and len(instances(home, name)["host"]) == 1
    made = home.call("POST", "/deployment-modifications", json={**body, "context": {"why": "a test"}})
    assert (
        made.status_code == 201 and made.json()["status"] == "started" and made.json()["context"] == {"why": "a test"}
    )
    second = home.call("POST", "/deployment-modifications", json=body)
    assert second.json()["error_code"] == "existing_started_deployment_modification_error"
    assert home.call("POST", f"/deployment-modifications/{made.json()['id']}/finish", user="vera").status_code == 403
    done = home.call("POST", f"/deployment-modifications/{made.json()['id']}/finish")
    assert done.json()["status"] == "finished" and counts(home, name, "host") == (2, 2)
    assert sorted(row["state"] for row in instances(home, name)["host"]) == ["started", "uninitialized"]
    assert home.call("GET", f"/deployments/{name}").json()["installation_status"] == "inactive"


def test_heal_installs_anew_what_its_check_finds_broken_and_nothing_else(home):
    name = deployed(home, "s11")
    scaled(home, name, "host", 1)
    broken, sound = instances(home, name)["app"]
    parameters = {"operation": "demo.tricks.break", "node_instance_ids": [broken["id"]]}
    row = home.await_execution(home.start_workflow(name, "execute_operation", parameters=parameters), 60)
    assert row["status"] == "terminated", row["error"]
    row = home.await_execution(home.start_workflow(name, "heal"), 120)
    assert row["status"] == "terminated", row["error"]
    after = {one["id"]: one for one in instances(home, name)["app"]}
    assert (
        after[broken["id"]]["state"] == "started" and after[broken["id"]]["runtime_properties"]["did_delete"] == "yes"
    )
    assert after[sound["id"]]["runtime_properties"] == sound["runtime_properties"]
    told = {event["message"] for event in home.call("GET", f"/events?execution_id={row['id']}").json()["items"]}
    assert f"delete {broken['id']}" in told and f"create {broken['id']}" in told
    assert f"delete {sound['id']}" not in told
