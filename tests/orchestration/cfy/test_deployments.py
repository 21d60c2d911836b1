"""Deployments, what runs on them and what was told of it, by `cfy`."""

from __future__ import annotations

import time

import pytest

from tests.orchestration import archives

SCRIPT = archives.SCRIPT + "outputs:\n  said: {value: {get_input: word}}\n"


@pytest.fixture(scope="module")
def script(manager):
    """A blueprint with a script that may take time and may fail."""
    reply = manager.upload("script", archives.script(SCRIPT))
    assert reply.status_code in (201, 409), reply.text
    return "script"


def wait_gone(cfy, name):
    until = time.monotonic() + 60
    while cfy.say("deployments inputs", name).code == 0:
        assert time.monotonic() < until
        time.sleep(0.2)


def test_a_deployment_from_creation_to_its_end(cfy, cfy_of, manager, script, tmp_path):
    cfy("sites create", "paris", "--location", "48.8,2.3")
    cfy("deployments create", "one", "-b", script, "-i", "{word: salut, delay: 0}", "--labels", "env:prod")
    cfy.refused("deployments create", "one", "-b", script, words="already exists")
    cfy.refused("deployments create", "two", "-b", script, "-i", "nosuch=1", words="nosuch")
    cfy.refused("deployments create", "two", "-b", "nosuch", words="was not found")
    cfy_of("vera").refused("deployments create", "two", "-b", script, words="not permitted")
    assert cfy.table("deployments list")[:3] == ["id", "display_name", "blueprint_id"]
    assert [row["id"] for row in cfy.rows("deployments list", "-lr", "env=prod")] == ["one"]
    assert cfy.rows("deployments list", "-lr", "env=test") == []
    assert [row["id"] for row in cfy.rows("deployments list", "--search", "on", "--sort-by", "id")] == ["one"]
    assert "one" in [row["id"] for row in cfy.rows("deployments status-list")]
    assert cfy.one("deployments inputs", "one")["word"] == "salut"
    cfy("deployments labels add", "env:test,zone:a", "one")
    cfy("deployments labels delete", "zone", "one")
    labels = cfy.one("deployments labels list", "one")
    assert sorted(labels["env"]) == ["prod", "test"] and "zone" not in labels
    cfy("deployments set-site", "one", "-s", "paris")
    assert {"site_name": "paris", "deployments": 1} in cfy.rows("deployments summary", "site_name")
    cfy("deployments set-site", "one", "--detach-site")
    cfy.refused("deployments set-visibility", "one", "-l", "global", words="wider", ends_with_zero=True)
    cfy.refused("deployments set-owner", "one", "-s", "bob", words="creator")
    assert {row["name"] for row in cfy.rows("workflows list", "-d", "one")} >= {"install", "start"}
    assert cfy.one("workflows get", "install", "-d", "one")["name"] == "install"
    assert cfy.rows("deployments modifications list", "one") == []
    cfy.refused("deployments modifications get", "x", words="was not found")
    cfy.refused("deployments modifications rollback", "x", words="was not found")
    cfy("groups list", "-d", "one")
    said = cfy("executions start", "install", "-d", "one")
    assert "succeeded" in said.words and "creating salut" in cfy("events list", latest(cfy, "one")).words
    capabilities = cfy.one("deployments capabilities", "one")
    assert {name: told["value"] for name, told in capabilities.items()} == {
        "answer": "salut-1795319299",
        "secretlen": 42,
    }
    assert cfy.one("deployments outputs", "one")["said"]["value"] == "salut"
    look_at_its_parts(cfy)
    scale_it(cfy, manager)
    cfy.refused("deployments delete", "one", words="live nodes")
    cfy("executions start", "uninstall", "-d", "one")
    cfy.refused("events delete", "one", words="delete the deployment instead")
    cfy("deployments delete", "one")
    wait_gone(cfy, "one")
    cfy("sites delete", "paris")


def latest(cfy, deployment):
    """The id of the newest execution."""
    return cfy.rows("executions list", "-d", deployment, "--descending")[0]["id"]


def scale_it(cfy, manager):
    """One instance more, and one less; what was changed is told."""
    cfy("executions start", "scale", "-d", "one", "-p", "scalable_entity_name=s;delta=1")
    assert len(cfy.rows("node-instances list", "-d", "one")) == 2
    cfy("executions start", "scale", "-d", "one", "-p", "scalable_entity_name=s", "-p", "delta=-1")
    assert len(cfy.rows("node-instances list", "-d", "one")) == 1
    out, back = cfy.rows("deployments modifications list", "one")
    assert out["status"] == back["status"] == "finished"
    assert cfy.one("deployments modifications get", out["id"])["id"] == out["id"]
    cfy.refused("deployments modifications rollback", out["id"], words="already in finished status")
    body = {"deployment_id": "one", "nodes": {"s": {"instances": 3}}}
    left_open = manager.call("POST", "/deployment-modifications", json=body).json()["id"]
    cfy("deployments modifications rollback", left_open)
    assert len(cfy.rows("node-instances list", "-d", "one")) == 1


def look_at_its_parts(cfy):
    """Nodes, instances, stored graphs."""
    assert set(cfy.table("nodes list", "-d", "one")) >= {"id", "deployment_id", "blueprint_id", "host_id", "type"}
    assert cfy.one("nodes get", "s", "-d", "one")["type"] == "demo.Script"
    assert {"deployment_id": "one", "nodes": 1} in cfy.rows("nodes summary", "deployment_id")
    instance = cfy.one("node-instances list", "-d", "one")
    assert instance["state"] == "started"
    assert cfy.one("node-instances get", instance["id"])["node_id"] == "s"
    assert "started" in [row["state"] for row in cfy.rows("node-instances summary", "state")]  # others may be there
    words = "written by workflows alone"
    cfy.refused("node-instances update-runtime", instance["id"], "-p", "a=1", words=words)
    cfy.refused("node-instances delete-runtime", instance["id"], "-p", "answer", words=words)
    execution = latest(cfy, "one")
    assert cfy.one("executions get", execution)["status"] == "completed"
    assert "install" in [row["workflow_id"] for row in cfy.rows("executions summary", "workflow_id")]
    assert cfy.rows("executions graphs list", execution)
    operations = cfy.rows("executions operations list", execution)
    assert cfy.one("executions operations get", operations[0]["id"])["id"] == operations[0]["id"]


def test_executions_are_stopped_and_resumed(cfy, manager, script):
    cfy("deployments create", "slow", "-b", script, "-i", "{delay: 60}", "-l", "private")
    cfy("deployments set-visibility", "slow", "-l", "tenant")
    execution = manager.start_workflow("slow", "install")
    cfy.refused("executions start", "install", "-d", "slow", words="executions are currently running")
    manager.await_(f"/executions/{execution}", lambda row: row["status"] == "started")
    cfy("executions cancel", execution, "--force")
    manager.await_execution(execution)
    assert cfy.one("executions get", execution)["status"] == "cancelled"
    cfy("executions resume", execution)
    manager.await_(f"/executions/{execution}", lambda row: row["status"] == "started")
    cfy("executions cancel", execution, "--kill")
    manager.await_execution(execution)
    cfy.refused("executions cancel", execution, words="cancelled")
    queued = cfy("events list", execution, "--include-logs")
    assert "cancelled" in queued.words
    cfy("deployments delete", "slow", "--force")
    wait_gone(cfy, "slow")


def test_install_and_uninstall_in_one_go(cfy, tmp_path):
    (tmp_path / "blueprint.yaml").write_text(archives.APP)
    cfy("install", str(tmp_path / "blueprint.yaml"), "-b", "quick", "-d", "quick", "-i", "name=quick")
    assert [row["deployment_status"] for row in cfy.rows("deployments list", "--search", "quick")] == ["good"]
    cfy("uninstall", "quick")
    wait_gone(cfy, "quick")


def test_saved_filters_of_deployments(cfy):
    cfy("deployments filters create", "prod", "-lr", "env=prod")
    assert set(cfy.table("deployments filters list")) >= {"id", "labels_filter_rules", "attrs_filter_rules"}
    cfy("deployments filters update", "prod", "-lr", "env=prod,test")
    assert "test" in cfy("deployments filters get", "prod").text
    cfy("deployments filters delete", "prod")
    assert "was not found" in cfy("deployments filters get", "prod").words


def test_apply_installs_first_and_updates_then(cfy, manager, tmp_path):
    folder = tmp_path / "shop"
    folder.mkdir()
    blueprint = folder / "blueprint.yaml"
    blueprint.write_text(archives.APP)
    said = cfy("apply", "--blueprint-path", str(blueprint), "-d", "shop", "-b", "shop-1", "-i", "name=x", seconds=300)
    assert "Finished executing workflow install" in said.words, said.text
    again = cfy(
        "apply", "--blueprint-path", str(blueprint), "-d", "shop", "-b", "shop-2", "-i", "region=us", seconds=300
    )
    assert "Successfully updated deployment shop" in again.words, again.text
    assert manager.call("GET", "/deployments/shop?_include=blueprint_id").json()["blueprint_id"] == "shop-2"
    blueprint.write_text("no: blueprint")
    cfy.refused("apply", "--blueprint-path", str(blueprint), "-d", "shop", "-b", "shop-3", words="invalid")
    cfy("uninstall", "shop", seconds=300)
