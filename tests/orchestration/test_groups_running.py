"""Groups against a running manager: the recorded calls of a genuine one, then what only a running engine shows."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from tests.orchestration import archives

CALLS = [
    json.loads(line) for line in (Path(__file__).parent / "data" / "genuine-group-calls.jsonl").read_text().splitlines()
]
ENDED = ("terminated", "failed", "cancelled")
# What the genuine manager had ended before these.
IDLE_BEFORE = {14, 15, 16, 20, 22, 23}
# Number -> (why it is otherwise here, our status, parts that are not compared).
DIFFERENT: dict[int, tuple[str, int, set[str]]] = {
    1: ("what was scheduled is told", 201, {"deployment_id", "workflow_id", "scheduled_for"}),
    8: ("a group whose members cannot be made is not made either", 404, {"all"}),
    9: ("a group whose members cannot be made is not made either", 404, {"all"}),
    24: ("a group whose members cannot be made is not made either", 404, {"all"}),
    26: ("the deployment of the first call had been removed there", 200, {"total"}),
    28: ("JSON where genuine managers answer HTML", 405, {"all"}),
    13: ("labels of a PATCH are taken, not ignored", 200, {"labels"}),
}


@pytest.fixture(scope="module")
def home(manager):
    """The manager, in a tenant of this module's own."""
    return manager.in_new_tenant("groups")


@pytest.fixture(scope="module")
def known(home) -> dict[str, str]:
    """The deployments that the genuine manager had; what is otherwise called here: recorded -> ours."""
    for reply in (
        home.call("PUT", "/sites/site1", json={"location": "52.5,13.4"}),
        home.upload("app1", archives.app()),
        home.call("PUT", "/deployments/x1", json={"blueprint_id": "app1", "inputs": {"name": "x1"}}),
        home.call("PUT", "/deployments/e1", json={"blueprint_id": "app1", "inputs": {"name": "e1", "size": 5}}),
        home.call(
            "PUT",
            "/deployments/e2",
            json={"blueprint_id": "app1", "inputs": {"name": "e"}, "labels": [{"env": "dev"}]},
        ),
    ):
        assert reply.status_code in (200, 201), reply.text
    return {"default_tenant": "groups"}


def ours(known: dict[str, str], text: str) -> str:
    for recorded, mine in known.items():
        text = text.replace(recorded, mine)
    return text


def reduced(reply: Any, recorded: dict[str, Any]) -> dict[str, Any]:
    """Our reply as the recorded one was reduced."""
    body = reply.json() if reply.content else {}
    if "error_code" in body:
        return {"error_code": body["error_code"], "message": body["message"], "keys": sorted(body)}
    if "items" in body:
        found: dict[str, Any] = {
            "total": body["metadata"]["pagination"]["total"],
            "metadata": sorted(body["metadata"]),
        }
        return found | ({"item_keys": sorted(body["items"][0])} if body["items"] else {})
    if "keys" not in recorded:
        return {}
    values = {name: body.get(name) for name in recorded["values"] if name not in ("count", "executions", "labels")}
    for name, key in (("count", "deployment_ids"), ("executions", "execution_ids")):
        if name in recorded["values"]:
            values[name] = len(body[key])
    if "labels" in recorded["values"]:
        values["labels"] = [[label["key"], label["value"], label["created_by"]] for label in body["labels"]]
    return {"keys": sorted(body), "values": values}


def await_idle(home) -> None:
    home.await_(
        "/executions?_include=status&_include_system_workflows=true",
        lambda body: all(row["status"] in ENDED for row in body["items"]),
    )


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call['n']} {call['label']}")
def test_a_group_call_is_answered_as_by_a_genuine_manager(home, known, call):
    if call["n"] in IDLE_BEFORE:
        await_idle(home)
    reply = home.call(
        call["method"],
        ours(known, call["path"]),
        user=call["auth"],
        **({"json": json.loads(ours(known, json.dumps(call["req"])))} if call["req"] is not None else {}),
    )
    _, status, parts = DIFFERENT.get(call["n"], ("", call["status"], set()))
    assert reply.status_code == status, reply.text
    if call["drawn"] and reply.status_code < 300:
        known[call["drawn"]] = reply.json()["id"]
    if "all" in parts:
        return
    expected = json.loads(ours(known, json.dumps(call["reply"])))
    found = reduced(reply, expected)
    for both in (found, expected):
        for part in parts:
            both.get("values", {}).pop(part, None)
            both.pop(part, None)
    assert found == expected, reply.text[:3000]


def test_deployments_go_to_the_group_of_how_their_execution_ended(home):
    assert home.upload("gscript", archives.script()).status_code == 201
    for name in ("good", "bad", "all"):
        home.call("PUT", f"/deployment-groups/{name}", json={})
    body = {
        "blueprint_id": "gscript",
        "default_inputs": {"delay": 0},
        "new_deployments": [{"id": "gs1"}, {"id": "gs2", "inputs": {"fail": True}}, {"id": "gs3"}],
    }
    assert home.call("PUT", "/deployment-groups/all", json=body).status_code == 200
    # Not created yet: the executions wait for that.
    started = home.call(
        "POST", "/execution-groups", json={"deployment_group_id": "all", "workflow_id": "install", "concurrency": 2}
    ).json()
    path = f"/execution-groups/{started['id']}"
    assert home.call("PATCH", path, json={"failure_group_id": "bad"}).status_code == 200
    ended = home.await_(path, lambda row: row["status"] in ENDED)
    assert ended["status"] == "failed"
    # those that have ended go there at once
    assert home.call("PATCH", path, json={"success_group_id": "good"}).status_code == 200
    assert home.call("GET", "/deployment-groups/good").json()["deployment_ids"] == ["gs1", "gs3"]
    assert home.call("GET", "/deployment-groups/bad").json()["deployment_ids"] == ["gs2"]
    events = home.call("GET", f"/events?execution_group_id={started['id']}").json()["items"]
    told = [re.sub(r"^execution '.*' changed", "changed", event["message"]) for event in events]
    assert sorted(told) == [
        "changed state to 'failed'",
        *["changed state to 'started'"] * 3,
        *["changed state to 'terminated'"] * 2,
    ]
    summary = home.call("GET", f"/summary/executions?_target_field=status&execution_group_id={started['id']}").json()
    assert {row["status"]: row["executions"] for row in summary["items"]} == {"terminated": 2, "failed": 1}
    again = home.call("POST", path, json={"action": "resume"})
    assert again.status_code == 200, again.text
    assert home.await_(path, lambda row: row["status"] in ENDED)["status"] == "failed"


def scripts_in_a_group(home, name: str, prefix: str, delay: int) -> None:
    """Three deployments whose install lasts so many seconds, in a group of that name."""
    body = {
        "blueprint_id": "gscript",
        "default_inputs": {"delay": delay},
        "new_deployments": [{"id": f"{prefix}{n}"} for n in range(3)],
    }
    assert home.call("PUT", f"/deployment-groups/{name}", json=body).status_code == 200
    await_idle(home)


def installing(home, name: str, concurrency: int) -> str:
    """The address of the execution group that installs all of them."""
    asked = {"deployment_group_id": name, "workflow_id": "install", "concurrency": concurrency}
    return f"/execution-groups/{home.call('POST', '/execution-groups', json=asked).json()['id']}"


def test_a_paused_group_begins_when_its_concurrency_is_raised(home):
    scripts_in_a_group(home, "paused", "gp", 0)
    path = installing(home, "paused", 0)
    time.sleep(1)
    assert home.call("GET", path).json()["status"] == "queued"
    assert home.call("PATCH", path, json={"concurrency": 3}).json()["concurrency"] == 3
    assert home.await_(path, lambda row: row["status"] in ENDED)["status"] == "terminated"


def test_a_failed_creation_fails_what_waited_for_it(home):
    body = {"blueprint_id": "app1", "new_deployments": [{"id": "gwrong", "inputs": {"name": "x", "region": "moon"}}]}
    home.call("PUT", "/deployment-groups/wrong", json=body)
    started = home.call(
        "POST", "/execution-groups", json={"deployment_group_id": "wrong", "workflow_id": "install"}
    ).json()
    assert home.await_(f"/execution-groups/{started['id']}", lambda row: row["status"] in ENDED)["status"] == "failed"
    (row,) = home.call("GET", f"/executions?_group_id={started['id']}").json()["items"]
    assert row["error"].startswith("Error dequeueing execution: create_deployment_environment failed")


def test_a_running_group_is_cancelled(home):
    scripts_in_a_group(home, "slow", "gc", 60)
    path = installing(home, "slow", 1)
    home.await_(path, lambda row: row["status"] == "started")
    assert home.call("POST", path, json={"action": "kill"}).status_code == 200
    home.await_(path, lambda row: row["status"] in ENDED)
    found = home.call("GET", f"/executions?_group_id={path.rpartition('/')[2]}&_include=status").json()["items"]
    assert {row["status"] for row in found} == {"cancelled"}
    removed = home.call("DELETE", "/deployment-groups/slow?delete_deployments=true&force=true")
    assert removed.status_code == 200, removed.text
    home.await_("/deployments?id=gc0&id=gc1&id=gc2", lambda body: body["items"] == [])


def test_a_schedule_runs_when_its_time_has_come(home):
    assert home.call("PUT", "/deployments/gsched", json={"blueprint_id": "app1", "inputs": {"name": "s"}}).ok
    since = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 2))
    body = {"workflow_id": "install", "since": since, "recurrence": "1 hour"}
    reply = home.call("PUT", "/execution-schedules/soon?deployment_id=gsched", json=body)
    assert reply.status_code == 201 and reply.json()["next_occurrence"].startswith(since), reply.text
    path = "/execution-schedules/soon?deployment_id=gsched"
    after = home.await_(path, lambda row: row["latest_execution_status"] == "terminated")
    assert after["next_occurrence"] > since
    found = home.call("GET", "/executions?deployment_id=gsched&workflow_id=install").json()["items"]
    assert [row["status"] for row in found] == ["terminated"]
