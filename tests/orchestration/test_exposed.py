"""Environments from blueprints: made, installed, looked at, changed, taken away through v3.1, and the same by page and API."""

from __future__ import annotations

import itertools

import pytest
import requests

from tests.orchestration import spire as blueprints
from tests.orchestration.archives import packed
from tests.orchestration.running import PASSWORD

NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def central(spire):
    running, remote = spire
    reply = remote.call("POST", "/tokens", json={"description": "for the central portal"})
    assert reply.status_code in (200, 201), reply.text
    token = reply.json()["value"]
    assert (
        running.call("PUT", "/secrets/admin_token", json={"value": token, "update_if_exists": True}).status_code == 200
    )
    archive = packed({"manager_discovery.yaml": blueprints.DISCOVERY})
    running.upload("discovery", archive, "manager_discovery.yaml")
    found = running.await_("/blueprints/discovery", lambda row: row["state"] == "uploaded")
    assert found["labels"][0]["key"] == "csys-obj-type"
    return running


@pytest.fixture
def remote(spire):
    return spire[1]


def api(running, method, path, **more):
    url = f"{running.url}/api/v1/{path}"
    return requests.request(method, url, auth=("admin", PASSWORD), timeout=60, **more)


def create(running, name, inputs, **more):
    body = {"blueprint_id": "discovery", "inputs": inputs, **more}
    return running.call("PUT", f"/deployments/{name}", json=body)


def where(remote, **more):
    known = {"cloudify_manager_ip": "127.0.0.1", "cloudify_port": str(remote.process.port), "cloudify_protocol": "http"}
    return known | {"cloudify_tenant": "site"} | more


def expose(running, remote, name="", **more):
    name = name or f"plant{next(NUMBERS)}"
    reply = create(running, name, where(remote), **more)
    assert reply.status_code == 201, reply.text
    return name, running.await_execution(running.start_workflow(name, "install"))


def environment(running, name):
    """As /api/v1 tells it; None where there is none."""
    token = api_token(running)
    reply = requests.get(f"{running.url}/api/v1/environments/{name}/", headers=token, timeout=60)
    return reply.json() if reply.status_code == 200 else None


def api_token(running):
    if not hasattr(running, "token"):
        running.token = running.call("POST", "/tokens", json={"description": "test"}).json()["value"]
    return {"Authorization": f"Token {running.token}"}


def test_the_install_of_a_discovery_blueprint_ends_in_a_ready_environment_at_its_place(central, remote):
    central.call("PUT", "/sites/Lisbon", json={"location": "38.7, -9.1"})
    name, ended = expose(central, remote, site_name="Lisbon", labels=[{"region": "eu"}])
    assert ended["status"] == "terminated", ended
    told = environment(central, name)
    assert (told["state"], told["why"]) == ("ready", "")
    assert (told["endpoint"], told["port"], told["tenant"]) == ("127.0.0.1", remote.process.port, "site")
    assert told["site"] == "Lisbon" and {"key": "region", "value": "eu"}.items() <= told["labels"][1].items()
    assert told["credential"]["token_secret"] == "admin_token"
    row = central.call("GET", f"/deployments/{name}").json()
    assert (row["installation_status"], row["deployment_status"]) == ("active", "good")
    kept = central.call("GET", f"/deployments/{name}/capabilities").json()["capabilities"]
    assert kept["cloudify_manager_port"] == str(remote.process.port)
