"""Wrapper blueprints at work between two portals: the three sources of a blueprint, its end, its removal, and where secrets do not go."""

from __future__ import annotations

import itertools
import json

import pytest

from tests.orchestration import spire as blueprints
from tests.orchestration.archives import packed, script
from tests.orchestration.serving import shelf

NUMBERS = itertools.count(1)
GITHUB = ("octo-cat", "ghp_0123456789abcdefSECRET")


@pytest.fixture(scope="module")
def files():
    with shelf() as running:
        yield running


@pytest.fixture(scope="module")
def central(spire):
    """With an environment "plant" that is the other portal, and the usual secrets."""
    running, remote = spire
    token = remote.call("POST", "/tokens", json={"description": "for the central portal"}).json()["value"]
    remote.token_given = token
    secrets = {"admin_token": token, "cloudify_user": "admin", "cloudify_password": "correct-horse-battery"}
    for key, value in (secrets | {"github_user": GITHUB[0], "github_token": GITHUB[1]}).items():
        assert (
            running.call("PUT", f"/secrets/{key}", json={"value": value, "update_if_exists": True}).status_code == 200
        )
    running.upload("discovery-c", packed({"d.yaml": blueprints.DISCOVERY}), "d.yaml")
    running.await_("/blueprints/discovery-c", lambda row: row["state"] == "uploaded")
    where = {"cloudify_manager_ip": "127.0.0.1", "cloudify_port": str(remote.process.port), "cloudify_tenant": "site"}
    running.call("PUT", "/deployments/plant", json={"blueprint_id": "discovery-c", "inputs": where})
    assert running.await_execution(running.start_workflow("plant", "install"))["status"] == "terminated"
    return running


@pytest.fixture
def remote(spire):
    return spire[1]


def deploy(running, text, inputs=None, *, parent="plant", name="", **files):
    """Upload a wrapper, deploy it on the environment, install it; (its id, how the install ended)."""
    name = name or f"wrapper{next(NUMBERS)}"
    archive = packed({"blueprint.yaml": text} | files)
    running.upload(name, archive)
    found = running.await_(f"/blueprints/{name}", lambda row: row["state"] in ("uploaded", "invalid", "failed_parsing"))
    assert found["state"] == "uploaded", found["error"]
    labels = [{"csys-obj-parent": parent}] if parent else []
    reply = running.call(
        "PUT", f"/deployments/{name}", json={"blueprint_id": name, "inputs": inputs or {}, "labels": labels}
    )
    assert reply.status_code == 201, reply.text
    return name, running.await_execution(running.start_workflow(name, "install"), 120)


def instance_of(running, name):
    (row,) = running.call("GET", f"/node-instances?deployment_id={name}").json()["items"]
    return row


def texts(running, execution):
    rows = running.call("GET", f"/events?execution_id={execution}&_size=1000&type=cloudify_event&type=cloudify_log")
    return " ".join(str(row["message"]) for row in rows.json()["items"])


def uninstall(running, name):
    ended = running.await_execution(running.start_workflow(name, "uninstall"), 120)
    assert ended["status"] == "terminated", ended["error"]
    assert running.call("DELETE", f"/deployments/{name}").status_code == 204


@pytest.mark.parametrize("login", [blueprints.BY_TOKEN, blueprints.BY_PASSWORD])
def test_a_public_archive_is_brought_installed_read_back_and_taken_away(central, remote, files, login):
    app = f"app{next(NUMBERS)}"
    url = files.put(f"/{app}.tar.gz", packed({"blueprint.yaml": blueprints.APPLICATION}))
    name, ended = deploy(central, blueprints.wrapper(login), {"blueprint_archive": url, "blueprint_id": app})
    assert ended["status"] == "terminated", (ended["error"], texts(central, ended["id"]))
    there = remote.call("GET", f"/deployments/{app}").json()
    assert (there["blueprint_id"], there["installation_status"]) == (app, "active")
    known = instance_of(central, name)["runtime_properties"]
    assert known["capabilities"] == {"hello": "World"} and known["deployment"] == {"id": app}
    assert known["blueprint"]["blueprint_archive"] == url
    parent = central.call("GET", "/deployments/plant").json()
    assert parent["sub_services_count"] >= 1 and parent["sub_services_status"] == "good"
    assert central.call("DELETE", "/deployments/plant").json()["error_code"] == "dependent_exists_error"
    uninstall(central, name)
    for kind in ("deployments", "blueprints"):
        assert remote.call("GET", f"/{kind}/{app}").status_code == 404


def test_a_private_archive_is_fetched_once_by_the_portal_and_its_token_is_nowhere_else(central, remote, files):
    app = f"app{next(NUMBERS)}"
    url = files.put(f"/{app}.zip", packed({"blueprint.yaml": blueprints.APPLICATION}), GITHUB)
    text = blueprints.wrapper(
        blueprints.BY_TOKEN, blueprints.PRIVATE, inputs="{hello: {get_input: name_of_deployment}}"
    )
    name, ended = deploy(central, text, {"blueprint_archive": url, "blueprint_id": app})
    assert ended["status"] == "terminated", (ended["error"], texts(central, ended["id"]))
    assert len([path for path, _ in files.asked if path == f"/{app}.zip"]) == 1
    known = instance_of(central, name)["runtime_properties"]
    assert known["capabilities"] == {"hello": "mydep1"} and known["blueprint"]["blueprint_archive"] == url
    for running in (central, remote):
        for path in ("/executions?_include_system_workflows=true&_size=1000", "/node-instances", "/nodes", "/blueprints", "/deployments", "/events?_size=5000"):  # fmt: skip
            told = json.dumps(running.call("GET", path).json())
            assert GITHUB[1] not in told and remote.token_given not in told, path
        assert GITHUB[1] not in running.process.log()
    uninstall(central, name)


def test_a_blueprint_that_is_there_already_is_used_and_stays(central, remote):
    remote.upload("there", packed({"blueprint.yaml": blueprints.APPLICATION}))
    remote.await_("/blueprints/there", lambda row: row["state"] == "uploaded")
    text = blueprints.wrapper(
        blueprints.BY_PASSWORD, is_external=True, inputs="{hello: Moon}", deployment="{get_input: name_of_deployment}"
    )
    name, ended = deploy(central, text, {"blueprint_id": "there", "name_of_deployment": "mine"})
    assert ended["status"] == "terminated", ended["error"]
    assert instance_of(central, name)["runtime_properties"]["capabilities"] == {"hello": "Moon"}
    uninstall(central, name)
    assert remote.call("GET", "/deployments/mine").status_code == 404
    assert remote.call("GET", "/blueprints/there").status_code == 200


def test_a_script_at_the_sub_manager_runs_its_failure_is_told_and_a_cancel_reaches_it(central, remote, files):
    url = files.put("/script.tar.gz", script())
    failing, ended = deploy(
        central,
        blueprints.wrapper(inputs="{fail: true}"),
        {"blueprint_archive": url, "blueprint_id": "failing"},
    )
    assert ended["status"] == "failed" and "install of failing failed there" in ended["error"]
    assert "[failing]" in texts(central, ended["id"])
    uninstall(central, failing)


def test_without_a_client_it_is_deployed_on_this_installation_itself(central):
    text = blueprints.wrapper(archive="blueprint_archive: inner", inputs="{hello: here}", deployment="inside")
    text = text.replace(text[text.index("      client:\n") : text.index("      resource_config:")], "")
    name, ended = deploy(
        central, text, {"blueprint_id": "inner-bp"}, parent="", **{"inner/blueprint.yaml": blueprints.APPLICATION}
    )
    assert ended["status"] == "terminated", (ended["error"], texts(central, ended["id"]))
    inside = central.call("GET", "/deployments/inside").json()
    assert (inside["installation_status"], inside["created_by"]) == ("active", "admin")
    assert instance_of(central, name)["runtime_properties"]["capabilities"] == {"hello": "here"}
    uninstall(central, name)
    assert central.call("GET", "/deployments/inside").status_code == 404


def test_what_somebody_changed_there_is_drift_here_until_an_update_brings_it_back(central, remote, files):
    url = files.put("/drifting.tar.gz", packed({"blueprint.yaml": blueprints.APPLICATION}))
    inputs = {"blueprint_archive": url, "blueprint_id": "drifting"}
    name, _ = deploy(central, blueprints.wrapper(inputs="{hello: Sun}"), inputs)

    def checked(workflow="check_drift"):
        ended = central.await_execution(central.start_workflow(name, workflow), 60)
        row = central.call("GET", f"/deployments/{name}").json()
        return ended["status"], row["drifted_instances"]

    assert checked() == ("terminated", 0)
    change = {"inputs": {"hello": "Mars"}}
    changed = remote.call("POST", "/deployment-updates/drifting/update/initiate", json=change).json()
    assert remote.await_execution(changed["execution_id"])["status"] == "terminated"
    assert checked() == ("terminated", 1)
    assert "hello" in json.dumps(instance_of(central, name)["system_properties"])
    update = central.call("POST", f"/deployment-updates/{name}/update/initiate", json={}).json()
    assert central.await_execution(update["execution_id"], 60)["status"] == "terminated"
    assert remote.call("GET", "/deployments/drifting").json()["inputs"]["hello"] == "Sun"
    assert checked() == ("terminated", 0)
    assert remote.call("DELETE", "/deployments/drifting?force=true").status_code == 204
    assert checked("check_status")[0] == "failed" and checked() == ("terminated", 1)
    uninstall(central, name)


def test_a_deployment_of_somebody_else_under_its_id_is_left_alone(central, remote, files):
    remote.upload("theirs", packed({"blueprint.yaml": blueprints.APPLICATION}))
    remote.await_("/blueprints/theirs", lambda row: row["state"] == "uploaded")
    assert remote.call("PUT", "/deployments/theirs", json={"blueprint_id": "theirs"}).status_code == 201
    url = files.put("/theirs.tar.gz", packed({"blueprint.yaml": blueprints.APPLICATION}))
    inputs = {"blueprint_archive": url, "blueprint_id": "theirs"}
    name, ended = deploy(central, blueprints.wrapper(), inputs)
    assert ended["status"] == "failed" and "theirs is there already" in ended["error"]
    uninstall(central, name)
    assert remote.call("GET", "/deployments/theirs").status_code == 200
    numbered = blueprints.wrapper(deployment="{get_input: blueprint_id}\n          auto_inc_suffix: true")
    name, ended = deploy(central, numbered, inputs)
    assert ended["status"] == "terminated", ended["error"]
    assert instance_of(central, name)["runtime_properties"]["deployment"] == {"id": "theirs-0"}
    uninstall(central, name)


def test_a_wrong_login_and_a_missing_parent_are_told_in_words(central, files):
    url = files.put("/app.tar.gz", packed({"blueprint.yaml": blueprints.APPLICATION}))
    central.call("PUT", "/secrets/wrong_token", json={"value": "ctok-nobody-0123456789"})
    inputs = {"blueprint_archive": url, "blueprint_id": "wrong", "cloudify_secret_token": "wrong_token"}
    name, ended = deploy(central, blueprints.wrapper(), inputs)
    assert ended["status"] == "failed" and "token" in ended["error"] and "ctok-nobody" not in ended["error"]
    central.call("DELETE", f"/deployments/{name}?force=true")
    body = {"blueprint_id": name, "inputs": inputs}
    refused = central.call("PUT", "/deployments/orphan", json=body).json()
    assert "cloudify_manager_endpoint" in refused["message"] and "csys-obj-parent" in refused["message"]
    missing = {**inputs, "cloudify_secret_token": "no_such_secret"}
    body = {"blueprint_id": name, "inputs": missing, "labels": [{"csys-obj-parent": "plant"}]}
    assert "no_such_secret" in central.call("PUT", "/deployments/secretless", json=body).json()["message"]


def test_a_shared_resource_is_read_and_stays(central, remote):
    remote.upload("shared", packed({"blueprint.yaml": blueprints.APPLICATION}))
    remote.await_("/blueprints/shared", lambda row: row["state"] == "uploaded")
    assert remote.call("PUT", "/deployments/shared", json={"blueprint_id": "shared"}).status_code == 201
    text = blueprints.wrapper(deployment="shared").replace("cloudify.nodes.Component", "cloudify.nodes.SharedResource")
    text += "capabilities:\n  hello: {value: {get_attribute: [matched_environment, capabilities, hello]}}\n"
    name, ended = deploy(central, text)
    assert ended["status"] == "terminated", ended["error"]
    offered = central.call("GET", f"/deployments/{name}/capabilities").json()["capabilities"]
    assert offered == {"hello": "World"}
    uninstall(central, name)
    assert remote.call("GET", "/deployments/shared").status_code == 200
