"""Drift: found by its check, brought back by an update that changes nothing else, and no alarm where nothing differs."""

from __future__ import annotations

import pytest

from orchestration.drift import is_drifted, without_drift
from tests.orchestration import archives
from tests.orchestration.test_updates_running import deployed, instances, updated

# The world of each node is a file-like runtime property: `real`. Its check compares that with the property `size`.
CHECK = """#!/bin/bash
real=$(ctx instance runtime-properties real)
wanted=$(ctx node properties size)
if [ "$real" != "$wanted" ]; then ctx returns "size is $real"; fi
"""
TAKE = """#!/bin/bash
ctx instance runtime-properties real "$(ctx node properties size)"
ctx instance runtime-properties by {verb}
ctx instance runtime-properties made "$RANDOM$RANDOM$RANDOM"
"""
BREAK = """#!/bin/bash
ctx instance runtime-properties real 99
"""
FAILING = """#!/bin/bash
ctx abort-operation "cannot tell"
"""
TYPES = (
    archives.HEAD
    + """
node_types:
  demo.Checked:
    derived_from: cloudify.nodes.Root
    properties:
      size: {default: 4}
    interfaces:
      cloudify.interfaces.lifecycle:
        create: {implementation: scripts/create.sh}
        check_drift: {implementation: scripts/check.sh}
      demo:
        break: {implementation: scripts/break.sh}
  demo.Soft:
    derived_from: demo.Checked
    interfaces:
      cloudify.interfaces.lifecycle:
        update: {implementation: scripts/update.sh}
  demo.Unsure:
    derived_from: demo.Checked
    interfaces:
      cloudify.interfaces.lifecycle:
        check_drift: {implementation: scripts/failing.sh}
node_templates:
  hard: {type: demo.Checked}
  soft: {type: demo.Soft}
  unsure: {type: demo.Unsure}
  plain: {type: cloudify.nodes.Root}
"""
)


@pytest.fixture(scope="module")
def home(manager):
    home = manager.in_new_tenant("drift")
    files = {
        "scripts/check.sh": CHECK,
        "scripts/create.sh": TAKE.format(verb="create"),
        "scripts/update.sh": TAKE.format(verb="update"),
        "scripts/break.sh": BREAK,
        "scripts/failing.sh": FAILING,
    }
    assert home.upload("drift", archives.packed({"blueprint.yaml": TYPES, **files})).status_code == 201
    return home


def ran(home, name, workflow, **parameters):
    row = home.await_execution(
        home.start_workflow(name, workflow, **({"parameters": parameters} if parameters else {})), 180
    )
    return row


def drifted(home, name):
    return {node for node, row in instances(home, name).items() if row["has_configuration_drift"]}


def test_an_update_of_nothing_brings_back_only_what_has_drifted(home):
    name = deployed(home, "d1", "drift")
    assert ran(home, name, "check_drift", node_ids=["unsure"])["status"] == "failed"
    assert ran(home, name, "check_drift", node_ids=["hard", "soft", "plain"])["status"] == "terminated"
    assert drifted(home, name) == {"unsure"}  # its check cannot tell
    for node in ("hard", "soft"):
        row = ran(home, name, "execute_operation", operation="demo.break", node_ids=[node])
        assert row["status"] == "terminated", row["error"]
    assert ran(home, name, "check_drift", node_ids=["hard", "soft"])["status"] == "terminated"
    assert drifted(home, name) == {"hard", "soft", "unsure"}
    assert home.call("GET", f"/deployments/{name}").json()["drifted_instances"] == 3

    before = instances(home, name)
    row, update = updated(home, name)
    assert row["status"] == "terminated" and update["state"] == "successful", row["error"]
    after = instances(home, name)
    assert {node: after[node]["runtime_properties"].get("by") for node in ("hard", "soft")} == {
        "hard": "create",  # it has no operation of its own for that: installed anew
        "soft": "update",
    }
    assert all(after[node]["runtime_properties"]["real"] == "4" for node in ("hard", "soft"))
    # A check that failed has found nothing: what it was asked of stays as it is.
    assert after["unsure"]["runtime_properties"] == before["unsure"]["runtime_properties"]
    assert drifted(home, name) == {"unsure"}


def test_drift_is_left_alone_where_that_is_asked_for(home):
    name = deployed(home, "d2", "drift")
    ran(home, name, "execute_operation", operation="demo.break", node_ids=["soft"])
    row, _ = updated(home, name, skip_drift_check=True)
    assert row["status"] == "terminated"
    assert instances(home, name)["soft"]["runtime_properties"]["real"] == "99"


@pytest.mark.parametrize("result", [None, "", {}, [], False])
def test_a_check_that_says_nothing_is_no_drift(result):
    assert not is_drifted({"configuration_drift": {"ok": True, "result": result}})
    assert not is_drifted({"source_relationships_configuration_drift": {"other_1": {"ok": True, "result": result}}})


def test_drift_of_a_relationship_and_a_check_that_failed_count():
    assert is_drifted({"configuration_drift": {"ok": True, "result": {"size": 3}}})
    assert is_drifted({"configuration_drift": {"ok": False, "task": "x"}})
    assert is_drifted({"target_relationships_configuration_drift": {"other_1": {"ok": True, "result": "moved"}}})
    assert not is_drifted({"configuration_drift": None, "status": {"ok": False}})
    assert without_drift({"configuration_drift": {"ok": False}, "status": {"ok": True}}) == {"status": {"ok": True}}
