"""A central portal and a real sub-manager, both processes of the product: what happens when one is killed, and what a cancel reaches."""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from portal.demo.rest import Api, mint_token
from portal.demo.scenario import EXAMPLES, packed
from tests.services.keeper import descendants
from tests.services.portal import ROOT, PortalProcess
from tests.services.shared import is_alive

PASSWORD = "correct-horse-battery"
QUICK = {"RUN_HEARTBEAT_SECONDS": "1", "RUN_DEAD_AFTER_SECONDS": "3", "ENDPOINT_NETWORKS": "127.0.0.1/32"}


@dataclass
class Pair:
    """A central portal that has exposed one sub-manager and registered the example service."""

    central: PortalProcess
    remote: PortalProcess
    api: Api

    def roll_out(self, **inputs) -> dict:
        asked = {"service": "hello-edge", "rules": [], "inputs": inputs}
        digest = self.api.post("rollouts/preview/", asked)["digest"]
        return self.api.post("rollouts/", {"digest": digest})

    def rollout(self, rollout: dict) -> dict:
        return self.api.get(f"rollouts/{rollout['id']}/")

    def there(self, path: str) -> dict:
        """GET at the sub-manager through v3.1."""
        reply = requests.get(
            f"{self.remote.url}/api/v3.1/{path}",
            auth=("admin", PASSWORD),
            headers={"Tenant": "default_tenant"},
            timeout=30,
        )
        return reply.json()

    def installs(self) -> list[dict]:
        return [
            row for row in self.there("executions?deployment_id=hello-edge")["items"] if row["workflow_id"] == "install"
        ]

    def clean(self) -> None:
        """Remove what the service wrote to this host."""
        for row in self.there("node-instances?deployment_id=hello-edge")["items"]:
            if path := row["runtime_properties"].get("path"):
                shutil.rmtree(path)

    def scripts(self) -> list[int]:
        """Processes of the warm-up script below the sub-manager."""
        return [pid for pid in descendants(self.remote.pid) if is_alive(pid) and b"warm_up.sh" in cmdline(pid)]


def cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def wait_until(condition, seconds: float) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came to that"
        time.sleep(0.1)


@pytest.fixture
def pair(spawn, tmp_path) -> Pair:
    started = []
    for name in ("central", "remote"):
        folder = tmp_path / name
        folder.mkdir()
        process = PortalProcess(["up", "--port", "{port}"], data_dir=folder, env=QUICK)
        prepare = [*process.command[:2], "demo", "--prepare"]
        subprocess.run(
            prepare,
            cwd=ROOT,
            env=process.env,
            input=f"{PASSWORD}\n",
            text=True,
            check=True,
            capture_output=True,
            timeout=120,
        )
        started.append(spawn(["up", "--port", "{port}"], env=QUICK, data_dir=folder, seconds=120))
    central, remote = started
    api = Api(central.url, mint_token(central.url, "admin", PASSWORD, "test"))
    where = {"endpoint": "127.0.0.1", "protocol": "http", "port": remote.port, "tenant": "default_tenant"}
    made = api.post(
        "environments/", {"name": "edge", **where, "credential": {"username": "admin", "password": PASSWORD}}
    )
    assert made["state"] == "ready", made["why"]
    with packed(EXAMPLES / "hello-edge") as archive:
        api.post("services/", data={"name": "hello-edge"}, files={"archive": ("hello-edge.tar.gz", archive)})
    return Pair(central, remote, api)


def test_a_sub_manager_killed_in_the_middle_of_an_install_finishes_it_when_it_is_back(pair):
    rollout = pair.roll_out(warm_up_seconds=6)
    wait_until(lambda: pair.scripts(), 90)

    pair.remote.kill()
    time.sleep(2)
    assert pair.rollout(rollout)["state"] == "running"
    pair.remote.start(120)

    wait_until(lambda: pair.rollout(rollout)["state"] in ("succeeded", "failed"), 120)
    row = pair.api.get(pair.rollout(rollout)["targets"])["results"][0]
    assert row["state"] == "succeeded", row["why"]
    assert Path(row["capabilities"]["page"].removeprefix("file://")).is_file()
    assert [each["status"] for each in pair.installs()] == ["terminated"], (
        "one install, and it is the one that was begun"
    )
    assert pair.there("deployments?_size=10")["metadata"]["pagination"]["total"] == 1
    pair.clean()


def test_a_cancel_ends_the_processes_at_the_sub_manager(pair):
    rollout = pair.roll_out(warm_up_seconds=60)
    wait_until(lambda: pair.scripts(), 90)
    scripts = pair.scripts()

    pair.api.post(f"rollouts/{rollout['id']}/cancel/")
    wait_until(lambda: pair.rollout(rollout)["state"] == "cancelled", 90)

    assert [each["status"] for each in pair.installs()] == ["cancelled"]
    assert not any(is_alive(pid) for pid in scripts)
    assert not pair.scripts()
    row = pair.api.get(pair.rollout(rollout)["targets"])["results"][0]
    events = pair.api.get(f"runs/{row['run']}/events/")
    assert "cancelled" in " ".join(each["message"] for each in events["events"] if each["kind"] == "cancel")
    pair.clean()


def test_what_was_deployed_there_by_hand_is_adopted_updated_and_uninstalled_from_here(pair):
    """Its archive is fetched and known again by its bytes; nothing is run there until the update."""
    auth, headers, base = ("admin", PASSWORD), {"Tenant": "default_tenant"}, f"{pair.remote.url}/api/v3.1"

    def there(method: str, path: str, **more):
        reply = requests.request(method, f"{base}/{path}", auth=auth, headers=headers, timeout=60, **more)
        assert reply.ok, reply.text
        return reply.json()

    with packed(EXAMPLES / "hello-edge") as archive:
        there("PUT", "blueprints/theirs?application_file_name=blueprint.yaml", data=archive)
    there("PUT", "deployments/by-hand", json={"blueprint_id": "theirs", "inputs": {"greeting": "Theirs"}})
    there("POST", "executions", json={"deployment_id": "by-hand", "workflow_id": "install"})
    wait_until(lambda: pair.there("deployments/by-hand").get("installation_status") == "active", 90)
    wait_until(lambda: pair.there("deployments/by-hand")["latest_execution_status"] == "completed", 60)
    executions = pair.there("executions?deployment_id=by-hand")["metadata"]["pagination"]["total"]
    environment = pair.api.get("environments/")["results"][0]["id"]

    report = pair.api.post("scans/", {"environments": [environment]})[0]
    assert [each["deployment"] for each in report["strays"]] == ["by-hand"]
    wishes = {"deployments": [{"environment": environment, "deployment": "by-hand"}]}
    shown = pair.api.post("adoptions/", wishes)
    row = shown["deployments"][0]
    assert (row["verdict"], row["service"], row["version_words"]) == ("adopt", "hello-edge", "v1"), row
    done = pair.api.post("adoptions/", wishes | {"digest": shown["digest"]})["deployments"][0]
    assert done["verdict"] == "adopted", done
    assert pair.there("executions?deployment_id=by-hand")["metadata"]["pagination"]["total"] == executions
    assert pair.api.post("scans/", {"environments": [environment]})[0]["state"] == "clear"
    assert [each["why"] for each in pair.api.get("scans/drift/")["results"]] == []

    for inputs, action, intent in (({"greeting": "Ours"}, "update", "update"), ({}, "uninstall", "remove")):
        asked = {"service": "hello-edge", "rules": [], "inputs": inputs, "action": action, "survey": True}
        preview = pair.api.post("rollouts/preview/", asked)
        assert [each["name"] for each in preview[intent]] == ["edge"], preview["excluded"]
        rollout = pair.api.post("rollouts/", {"digest": preview["digest"]})
        wait_until(lambda rollout=rollout: pair.rollout(rollout)["state"] in ("succeeded", "failed"), 120)
        state = pair.rollout(rollout)
        assert state["state"] == "succeeded", state["failures"]
        if action == "update":
            assert preview["update"][0]["steps"], "the manager told its steps"
            assert pair.there("deployments/by-hand")["inputs"]["greeting"] == "Ours"
            drifted = pair.api.post("scans/", {"environments": [environment]})
            assert drifted[0]["state"] == "clear" and pair.api.get("scans/drift/")["count"] == 0
    assert pair.there("deployments/by-hand").get("error_code") == "not_found_error"


def test_a_preview_names_the_secrets_that_a_sub_manager_lacks_and_takes_them_once_they_are_there(pair):
    asked = {"service": "hello-edge", "rules": [], "inputs": {"greeting": {"get_secret": "welcome"}}, "survey": True}

    lacking = pair.api.post("rollouts/preview/", asked)["excluded"]
    assert [each["code"] for each in lacking] == ["secrets"] and "does not have: welcome." in lacking[0]["why"]

    reply = requests.put(
        f"{pair.remote.url}/api/v3.1/secrets/welcome",
        json={"value": "Good day"},
        auth=("admin", PASSWORD),
        headers={"Tenant": "default_tenant"},
        timeout=30,
    )
    assert reply.ok, reply.text
    preview = pair.api.post("rollouts/preview/", asked)
    assert [each["name"] for each in preview["create"]] == ["edge"], preview["excluded"]
