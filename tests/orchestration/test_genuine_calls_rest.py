"""Calls of the recording that depend on nothing before them: same status, code and words, or what docs/compatibility.md says instead.

Where the genuine manager answers with an HTML page (an address or a method that it does not know), only the status counts.
"""

from __future__ import annotations

import datetime
import time

import pytest

from tests.orchestration import archives

SCHEDULE = {
    "workflow_id": "install",
    "since": "2030-01-01T00:00:00.000Z",
    "until": None,
    "recurrence": "1 day",
    "count": 3,
    "enabled": True,
    "slip": 5,
}
REFUSED = [
    ("POST", "/tokens", {"description": "exp", "expiration_date": "2020-01-01 00:00"}, 400, "bad_parameters_error"),
    ("DELETE", "/version", None, 405, None),
    ("PUT", "/deployment-updates/e1/update/initiate", {"inputs": {"size": 11}, "preview": True}, 405, None),
    ("GET", "/saml", None, 404, None),
    ("POST", "/ldap", {"ldap_server": "ldap://x"}, 405, "method_not_allowed_error"),
    ("POST", "/contacts", {}, 400, "illegal_action_error"),  # no contacts are kept: docs/compatibility.md
    ("PUT", "/deployments/none", None, 415, "unsupported_content_type_error"),
    ("POST", "/managers", {}, 400, "illegal_action_error"),  # by the page of clusters: docs/compatibility.md
    ("POST", "/brokers", {}, 400, "illegal_action_error"),  # by the page of clusters: docs/compatibility.md
]


@pytest.fixture(scope="module")
def manager(manager):
    """A tenant of its own: ids of the recording are in use where test_genuine_calls shares the portal."""
    return manager.in_new_tenant("rest")


@pytest.fixture(scope="module", autouse=True)
def deployed(manager):
    for name in ("app1", "b-url", "b-url2"):
        assert manager.upload(name, archives.app()).status_code == 201
    made = manager.call("PUT", "/deployments/e1", json={"blueprint_id": "app1", "inputs": {"name": "e1"}})
    assert made.status_code == 201, made.text
    manager.await_("/deployments/e1", lambda body: body["latest_execution_status"] == "completed")


def recorded(reply, status=200):
    assert reply.status_code == status, reply.text[:500]
    return reply.json()


@pytest.mark.parametrize(("method", "path", "body", "status", "code"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_is_refused_there_is_refused_here_alike(manager, method, path, body, status, code):
    more = {"data": '{"blueprint_id": "app1"}'} if status == 415 else {"json": body} if body is not None else {}
    reply = manager.call(method, path, **more)
    assert reply.status_code == status, reply.text[:500]
    if code:
        assert reply.json()["error_code"] == code and {"message", "server_traceback"} <= set(reply.json())


def test_an_expired_token_is_told_as_such(manager):
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=2)
    made = manager.call("POST", "/tokens", json={"description": "short", "expiration_date": soon.isoformat()})
    token = made.json()["value"]
    shown = recorded(manager.call("GET", f"/tokens/{made.json()['id']}"))
    assert shown["value"] == f"{'-'.join(token.split('-')[:2])}-********" and shown["description"] == "short"
    until = time.monotonic() + 20
    while True:
        reply = manager.call("GET", "/deployments", user=None, headers={"Authentication-Token": token})
        if reply.status_code != 200 or time.monotonic() > until:
            break
        time.sleep(0.2)
    assert (reply.status_code, reply.json()["error_code"]) == (401, "unauthorized_error")
    assert reply.json()["message"] == "User unauthorized: Token is expired"


def test_lists_are_told_with_the_same_keys(manager):
    tenants = recorded(manager.call("GET", "/tenants"))
    assert {"name", "groups", "users", "user_roles", "rabbitmq_username", "rabbitmq_password", "rabbitmq_vhost"} == set(
        tenants["items"][0]
    )
    found = recorded(manager.call("GET", "/blueprints?_search=url&_include=id"))
    assert found["items"] == [{"id": "b-url"}, {"id": "b-url2"}]
    assert recorded(manager.call("GET", "/plugins"))["items"] == []
    names = {each["name"] for each in recorded(manager.call("GET", "/workflows?id=e1&_include=name"))["items"]}
    at_both = {"install", "uninstall", "start", "stop", "restart", "reinstall", "heal", "scale", "pull"}
    assert at_both | {"execute_operation", "rollback", "check_status", "check_drift"} <= names
    granted = recorded(manager.call("GET", "/permissions/sys_admin?_size=1"))
    assert set(granted["items"][0]) == {"role", "permission"} and granted["metadata"]["pagination"]["size"] == 1


def test_labels_of_a_blueprint_are_replaced(manager):
    changed = recorded(
        manager.call("PATCH", "/blueprints/b-url", json={"labels": [{"kind": "x"}, {"kind": "y"}]}),
    )
    assert sorted((each["key"], each["value"]) for each in changed["labels"]) == [("kind", "x"), ("kind", "y")]


def test_a_setting_is_refused_with_where_to_change_it(manager):
    """It is changed there; here it belongs to the installation: docs/compatibility.md."""
    told = recorded(manager.call("PUT", "/config/task_retry_interval", json={"value": 1}), 400)
    assert told["error_code"] == "illegal_action_error" and "task_retry_interval" in told["message"]


def test_a_schedule_is_made_listed_and_removed(manager):
    made = recorded(manager.call("PUT", "/execution-schedules/sch1?deployment_id=e1", json=SCHEDULE), 201)
    expected = {"recurrence": "1 day", "count": 3, "weekdays": None}
    assert made["rule"] == expected and made["next_occurrence"] == SCHEDULE["since"] and made["slip"] == 5
    fields = "id,next_occurrence,rule,workflow_id,enabled,deployment_id"
    rows = recorded(manager.call("GET", f"/execution-schedules?_include={fields}"))["items"]
    assert [(row["id"], row["rule"], row["deployment_id"]) for row in rows] == [("sch1", expected, "e1")]
    assert manager.call("DELETE", "/execution-schedules/sch1?deployment_id=e1").status_code == 204


def test_an_update_changes_inputs(manager):
    begun = recorded(manager.call("POST", "/deployment-updates/e1/update/initiate", json={"inputs": {"size": 11}}))
    assert begun["id"].startswith("e1-")
    path = "/deployments/e1?_include=inputs,latest_execution_workflow_id,latest_execution_status"
    told = manager.await_(path, lambda body: body["latest_execution_status"] == "completed")
    assert told["inputs"] == {"name": "e1", "size": 11, "region": "eu"}
    assert told["latest_execution_workflow_id"] == "update"


def test_the_state_of_the_manager_is_told_with_the_same_keys(manager):
    maintenance = recorded(manager.call("GET", "/maintenance"))
    assert maintenance == {
        "status": "deactivated",
        "activated_at": "",
        "activation_requested_at": "",
        "remaining_executions": None,
        "requested_by": "",
    }
    status = recorded(manager.call("GET", "/cluster-status"))
    assert set(status) == {"status", "services"} and {"broker", "db", "manager"} <= set(status["services"])
    # Premium there; nothing to buy here.
    assert manager.call("GET", "/license").status_code == 200
