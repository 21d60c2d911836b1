"""A wrapper blueprint on many environments at once: a deployment group puts it on them, an execution group runs it, two portals behind them."""

from __future__ import annotations

import pytest

from tests.orchestration import spire as blueprints
from tests.orchestration.archives import packed
from tests.orchestration.serving import shelf

ENDED = ("terminated", "failed", "cancelled")


@pytest.fixture(scope="module")
def places(spire, manager):
    """(central, {environment: its portal in the tenant that it is}, {environment: the secret with its token})."""
    central, home = spire[0], spire[0].in_tenant("default_tenant")
    sites = {f"bulk-{name}": home.in_new_tenant(name) for name in ("north", "south")}
    sites["bulk-far"] = manager.in_new_tenant("far")
    secrets = {}
    central.upload("discovery-b", packed({"d.yaml": blueprints.DISCOVERY}), "d.yaml")
    central.await_("/blueprints/discovery-b", lambda row: row["state"] == "uploaded")
    for name, site in sites.items():
        token = site.call("POST", "/tokens", json={"description": name}).json()["value"]
        secrets[name] = f"token-of-{name}"
        assert central.call("PUT", f"/secrets/{secrets[name]}", json={"value": token}).status_code == 200
        inputs = {
            "cloudify_manager_ip": "127.0.0.1",
            "cloudify_port": str(site.process.port),
            "cloudify_tenant": site.tenant,
        }
        body = {"blueprint_id": "discovery-b", "inputs": inputs}
        assert central.call("PUT", f"/deployments/{name}", json=body).status_code == 201
        assert central.await_execution(central.start_workflow(name, "install"))["status"] == "terminated"
    return central, sites, secrets


def run(central, workflow: str) -> list[dict]:
    """Run it on the group; how each execution ended."""
    asked = {"deployment_group_id": "everywhere", "workflow_id": workflow, "concurrency": 2}
    group = central.call("POST", "/execution-groups", json=asked).json()["id"]
    central.await_(f"/execution-groups/{group}", lambda row: row["status"] in ENDED, 240)
    return central.call("GET", f"/executions?_group_id={group}&_include=id,status,error,deployment_id").json()["items"]


def test_a_wrapper_is_put_on_every_environment_by_a_group_and_taken_away_again(places):
    central, sites, secrets = places
    central.upload(
        "bulk-wrapper",
        packed({"blueprint.yaml": blueprints.wrapper(inputs="{hello: {get_input: name_of_deployment}}")}),
    )
    central.await_("/blueprints/bulk-wrapper", lambda row: row["state"] == "uploaded")
    with shelf() as files:
        inputs = {
            "blueprint_archive": files.put("/bulk.tar.gz", packed({"blueprint.yaml": blueprints.APPLICATION})),
            "blueprint_id": "bulk-app",
        }
        new = [
            {
                "id": f"on-{name}",
                "inputs": {"cloudify_secret_token": secrets[name], "name_of_deployment": f"hello {name}"},
                "labels": [{"csys-obj-parent": name}],
            }
            for name in sites
        ]
        body = {"blueprint_id": "bulk-wrapper", "default_inputs": inputs, "new_deployments": new}
        made = central.call("PUT", "/deployment-groups/everywhere", json=body)
        assert made.status_code == 200, made.text
        ended = run(central, "install")
    assert [(row["status"], row["error"]) for row in ended] == [("terminated", "")] * 3, ended
    for name, site in sites.items():
        there = site.call("GET", "/deployments/bulk-app").json()
        assert (there["installation_status"], there["tenant_name"]) == ("active", site.tenant)
        (row,) = central.call("GET", f"/node-instances?deployment_id=on-{name}").json()["items"]
        assert row["runtime_properties"]["capabilities"] == {"hello": f"hello {name}"}
        parent = central.call("GET", f"/deployments/{name}").json()
        assert (parent["sub_services_count"], parent["sub_services_status"]) == (1, "good")
    listed = central.call("GET", "/deployments/inter-deployment-dependencies").json()["items"]
    used = {row["source_deployment_id"]: row["external_target"] for row in listed if row["external_target"]}
    assert {f"on-{name}" for name in sites} <= set(used)
    assert used["on-bulk-far"] == {"deployment": "bulk-app", "client_config": {"host": "127.0.0.1", "tenant": "far"}}
    assert {row["status"] for row in run(central, "uninstall")} == {"terminated"}
    for site in sites.values():
        assert site.call("GET", "/deployments/bulk-app").status_code == 404
    gone = central.call("DELETE", "/deployment-groups/everywhere?delete_deployments=true")
    assert gone.status_code in (200, 204), gone.text
