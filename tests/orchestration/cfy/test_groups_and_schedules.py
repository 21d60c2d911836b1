"""`cfy deployments groups`, `executions groups`, `deployments schedule` and `deployments update`."""

from __future__ import annotations

import pytest

from tests.orchestration import archives
from tests.orchestration.cfy.commandline import rows_of_table

GROUP = ["id", "deployments", "description", "default_blueprint_id"]
SCHEDULE = [
    "id", "deployment_id", "workflow_id", "created_at", "next_occurrence", "since", "until", "stop_on_fail", "enabled",
    "visibility", "tenant_name", "created_by",
]  # fmt: skip
UPDATE = [
    "id", "deployment_id", "tenant_name", "state", "execution_id", "created_at", "visibility", "old_blueprint_id",
    "new_blueprint_id",
]  # fmt: skip


@pytest.fixture(scope="module")
def blueprint(manager) -> str:
    for name in ("gr-app", "gr-app2"):
        assert manager.upload(name, archives.app()).status_code == 201
    return "gr-app"


def members(manager, name):
    return manager.call("GET", f"/deployment-groups/{name}").json()["deployment_ids"]


def test_deployment_groups(cfy, manager, blueprint):
    cfy("deployments groups create", "fleet", "-b", blueprint, "-i", "name=x", "--description", "some")
    assert cfy.table("deployments groups list") == GROUP
    cfy("deployments groups extend", "fleet", "--count", "3")
    assert len(members(manager, "fleet")) == 3
    one = members(manager, "fleet")[0]
    cfy("deployments groups shrink", "fleet", "-d", one)
    assert one not in members(manager, "fleet") and len(members(manager, "fleet")) == 2
    cfy("deployments groups extend", "fleet", "-d", one)
    cfy("deployments groups create", "others")
    cfy("deployments groups extend", "others", "--from-group", "fleet")
    assert sorted(members(manager, "others")) == sorted(members(manager, "fleet"))
    cfy("deployments groups update", "others", "--description", "more")
    rows = {row["id"]: row for row in rows_of_table(cfy("deployments groups list"))}
    assert (rows["others"]["description"], rows["others"]["deployments"]) == ("more", "3")
    cfy("deployments groups labels add", "env:prod,env:blue", "fleet")
    assert cfy.table("deployments groups labels list", "fleet") == ["key", "values"]
    found = manager.call("GET", f"/deployments/{one}?_include=labels").json()["labels"]
    assert {label["value"] for label in found if label["key"] == "env"} == {"prod", "blue"}
    cfy("deployments groups labels delete", "env:blue", "fleet")
    cfy.refused("deployments groups extend", "fleet", "-d", "nosuch", words="was not found")
    cfy.refused("deployments groups extend", "nosuch", "--count", "1", words="was not found")
    cfy("deployments groups delete", "others")
    assert "others" not in {row["id"] for row in rows_of_table(cfy("deployments groups list"))}


def test_execution_groups(cfy, manager, blueprint):
    said = cfy("executions groups start", "install", "-g", "fleet", "--concurrency", "2", seconds=300)
    assert "Finished executing workflow install" in said.words, said.text
    assert cfy.table("executions groups list") == ["id", "workflow_id", "deployment_group"]
    rows = [row for row in cfy.rows("executions groups list") if row["workflow_id"] == "install"]
    group = rows[0]["id"]
    assert cfy.table("executions groups get", group) == ["id", "workflow_id", "deployment_group_id"]
    assert "terminated" in cfy("executions groups details", group).text
    cfy("executions groups set-concurrency", group, "7")
    cfy("deployments groups create", "done")
    cfy("executions groups set-success-group", group, "done")
    assert sorted(members(manager, "done")) == sorted(members(manager, "fleet"))
    cfy("executions groups set-failure-group", group, "done")
    cfy.refused("executions groups cancel", group, words="not found")
    cfy.refused("executions groups resume", group, words="nothing to resume")
    cfy.refused("executions groups start", "install", "-g", "nosuch", words="was not found")


def test_an_execution_group_is_cancelled_and_resumed(cfy, manager):
    assert manager.upload("gr-slow", archives.script()).status_code == 201
    cfy("deployments groups create", "slow", "-b", "gr-slow", "-i", "{delay: 8}")
    cfy("deployments groups extend", "slow", "--count", "2")
    assert len(members(manager, "slow")) == 2, "none of another group"
    asked = {"deployment_group_id": "slow", "workflow_id": "install"}
    group = manager.call("POST", "/execution-groups", json=asked).json()["id"]
    path = f"/execution-groups/{group}"
    manager.await_(path, lambda row: row["status"] == "started")
    assert "cancel request" in cfy("executions groups cancel", group, "--kill").words
    members_of = f"/executions?_group_id={group}&_include=status"

    def all_are(status):
        manager.await_(members_of, lambda body: {row["status"] for row in body["items"]} == {status}, 120)

    all_are("cancelled")
    assert manager.call("GET", path).json()["status"] == "terminated", "as genuine managers say of a cancelled group"
    assert "resume request" in cfy("executions groups resume", group).words
    all_are("terminated")


def test_updates_of_one_and_of_many(cfy, manager, blueprint):
    one = members(manager, "fleet")[0]
    preview = cfy("deployments update", one, "-b", "gr-app2", "-i", "region=us", "--preview")
    assert "preview" in preview.text and "Steps:" in preview.text
    said = cfy("deployments update", one, "-b", "gr-app2", "-i", "region=us", seconds=300)
    assert "Successfully updated deployment" in said.words, said.text
    assert cfy.table("deployments history") == UPDATE
    (row,) = cfy.rows("deployments history", "-d", one)
    assert (row["state"], row["new_blueprint_id"]) == ("successful", "gr-app2")
    assert cfy.one("deployments get-update", row["id"])["deployment_id"] == one
    cfy("deployments groups update-deployments", "fleet", "-b", "gr-app2")
    manager.await_(
        "/executions?_include=status,workflow_id&workflow_id=update",
        lambda body: {item["status"] for item in body["items"]} == {"terminated"},
        180,
    )
    blueprints = {
        manager.call("GET", f"/deployments/{name}").json()["blueprint_id"] for name in members(manager, "fleet")
    }
    assert blueprints == {"gr-app2"}


def test_schedules(cfy, manager, blueprint):
    one = members(manager, "fleet")[0]
    cfy(
        "deployments schedule create", one, "restart", "-n", "nightly", "-s", "2040-01-01 02:00", "-r", "1 day",
        "-c", "5", "--slip", "10",
    )  # fmt: skip
    cfy("deployments schedule create", one, "restart", "-n", "ruled", "-s", "2040-01-01 02:00", "--rrule", "FREQ=DAILY")
    assert cfy.table("deployments schedule list") == SCHEDULE
    shown = cfy("deployments schedule get", one, "nightly", "--preview", "2").text
    assert "2040-01-01 02:00:00" in shown and "2040-01-02 02:00:00" in shown
    cfy("deployments schedule update", one, "nightly", "-r", "2 days", "-c", "3")
    cfy("deployments schedule disable", one, "nightly")
    rows = {row["id"]: row for row in cfy.rows("deployments schedule list", one)}
    assert rows["nightly"]["enabled"] is False and rows["ruled"]["enabled"] is True
    cfy("deployments schedule enable", one, "nightly")
    assert "execution_schedules" in cfy("deployments schedule summary", "deployment_id").text
    cfy.refused("deployments schedule create", one, "fly", "-s", "2040-01-01 02:00", words="does not exist")
    cfy.refused(
        "deployments schedule create", one, "restart", "-s", "2040-01-01 02:00", "-r", "now and then", words="legal"
    )
    for name in ("nightly", "ruled"):
        cfy("deployments schedule delete", one, name)
    assert cfy.rows("deployments schedule list", one) == []
    cfy("executions start", "restart", "-d", one, "--schedule", "204001010000+0000")
    assert [row["id"] for row in cfy.rows("deployments schedule list", one)] == ["restart_204001010000"]


def test_a_group_is_deleted_with_its_deployments(cfy, manager, blueprint):
    names = members(manager, "fleet")
    cfy("executions groups start", "uninstall", "-g", "fleet", seconds=300)
    cfy("deployments groups delete", "fleet", "--delete-deployments")
    address = "/deployments?" + "&".join(f"id={name}" for name in names)
    manager.await_(address, lambda body: body["items"] == [], 120)
