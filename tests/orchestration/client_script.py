"""What an operator does, through the official Python client; run by the interpreter of the runner's environment.

    python client_script.py URL USERNAME-OR-"" PASSWORD-OR-TOKEN CA-FILE-OR-"" ARCHIVE

Prints one JSON object with what it saw; any failure is an exception.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from cloudify_rest_client.client import CloudifyClient
from cloudify_rest_client.exceptions import CloudifyClientError


def client_of(url, username, secret, ca):
    parts = urlsplit(url)
    login = {"username": username, "password": secret} if username else {"token": secret}
    return CloudifyClient(
        host=parts.hostname, port=parts.port, protocol=parts.scheme, cert=ca or None, tenant="default_tenant", **login
    )


def until(read, is_there, seconds=60):
    end = time.time() + seconds
    while True:
        found = read()
        if is_there(found):
            return found
        assert time.time() < end, found
        time.sleep(0.05)


def ended(client, execution_id):
    return until(
        lambda: client.executions.get(execution_id), lambda one: one["status"] in ("terminated", "failed", "cancelled")
    )


def refusal(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except CloudifyClientError as error:
        return [error.status_code, error.error_code]
    return None


def look_around(client, seen):
    seen["version"] = client.manager.get_version()["version"]
    seen["status"] = client.manager.get_status()["status"]
    seen["cluster"] = client.cluster_status.get_status()["status"]
    seen["maintenance"] = client.maintenance_mode.status()["status"]
    seen["user"] = client.users.get_self(_get_data=True)["tenants"]
    seen["tenants"] = [tenant["name"] for tenant in client.tenants.list()]
    seen["config"] = {item["name"]: item["value"] for item in client.manager.get_config(scope="workflow")}
    seen["context"] = client.manager.get_context()["name"]
    seen["lists"] = [
        len(rows) for rows in (client.plugins.list(), client.manager.get_managers(), client.manager.get_brokers())
    ]
    token = client.tokens.create(description="from the client", expiration="+1 day")
    seen["token"] = [token["value"].startswith("ctok-"), client.tokens.get(token["id"])["value"].endswith("********")]
    seen["tokens"] = [one["description"] for one in client.tokens.list()]
    client.tokens.delete(token["id"])


def prepare(client, archive, seen):
    client.secrets.create("db-password", "s3cret", update_if_exists=True)
    seen["secret"] = client.secrets.get("db-password")["value"]
    seen["secrets"] = [secret["key"] for secret in client.secrets.list()]
    client.sites.create("london", location="51.5,-0.12")
    seen["site"] = client.sites.get("london")["location"]
    client.deployments_filters.create(
        "prod", [{"key": "env", "values": ["prod"], "operator": "any_of", "type": "label"}]
    )
    blueprint = client.blueprints.publish_archive(archive, "script", "blueprint.yaml", labels=[{"team": "blue"}])
    seen["blueprint"] = [blueprint["state"], sorted(blueprint["plan"]["inputs"]), blueprint["labels"][0]["value"]]
    client.blueprints.publish_archive(archive, "again", "blueprint.yaml", async_upload=True)
    until(
        lambda: client.blueprints.get("again", _include=["id", "state", "error"]),
        lambda one: one["state"] == "uploaded",
    )
    with tempfile.TemporaryDirectory() as folder:
        path = client.blueprints.download("script", str(Path(folder) / "archive"))
        seen["download"] = Path(path).read_bytes() == Path(archive).read_bytes()
    seen["blueprints"] = [one["id"] for one in client.blueprints.list(_include=["id"], sort="id")]
    client.blueprints.delete("again")
    seen["duplicate"] = refusal(client.blueprints.publish_archive, archive, "script", "blueprint.yaml")


def deploy(client, seen):
    client.deployments.create(
        "script",
        "one",
        inputs={"word": "salut", "delay": 0},
        labels=[{"env": "prod"}],
        site_name="london",
        display_name="Number one",
    )
    client.deployments.create("script", "two", inputs={"delay": 60}, async_create=True)
    until(lambda: client.deployments.get("two"), lambda one: one["latest_execution_status"] == "completed")
    seen["missing input type"] = refusal(client.deployments.create, "script", "three", inputs={"nosuch": 1})
    execution = client.executions.start("one", "install")
    seen["install"] = ended(client, execution["id"])["status"]
    seen["events"] = [
        item["event_type"]
        for item in client.events.list(execution_id=execution["id"], include_logs=False, sort="reported_timestamp")
    ]
    seen["logs"] = len(client.events.list(execution_id=execution["id"], include_logs=True))
    seen["capabilities"] = client.deployments.capabilities.get("one")["capabilities"]
    seen["outputs"] = client.deployments.outputs.get("one")["outputs"]
    seen["found"] = [one["id"] for one in client.deployments.list(filter_id="prod", _include=["id"])]
    rules = [{"key": "env", "values": ["prod"], "operator": "any_of", "type": "label"}]
    seen["searched"] = [one["id"] for one in client.deployments.list(filter_rules=rules)]
    client.deployments.update_labels("one", [{"env": "test"}, {"zone": "a"}])
    seen["labels"] = sorted(label["key"] + "=" + label["value"] for label in client.deployments.get("one")["labels"])
    client.deployments.set_site("one", detach_site=True)
    seen["label keys"] = list(client.deployments_labels.list_keys())
    seen["nodes"] = [[node["id"], node["type"]] for node in client.nodes.list(deployment_id="one")]
    seen["instances"] = [
        [one["state"], one["runtime_properties"]] for one in client.node_instances.list(deployment_id="one")
    ]
    seen["workflows"] = "install" in [one["name"] for one in client.workflows.list(id="one")]
    seen["summary"] = list(client.summary.deployments.get("blueprint_id"))


def stop(client, seen):
    execution = client.executions.start("two", "install")
    until(lambda: client.node_instances.list(deployment_id="two")[0]["state"], lambda state: state == "creating")
    seen["busy"] = refusal(client.executions.start, "two", "install")
    client.executions.cancel(execution["id"], kill=True)
    seen["cancel"] = ended(client, execution["id"])["status"]
    for name in ("one", "two"):
        seen["uninstall " + name] = ended(client, client.executions.start(name, "uninstall")["id"])["status"]
        client.deployments.delete(name)
        until(lambda name=name: refusal(client.deployments.get, name), lambda code: code == [404, "not_found_error"])
    client.blueprints.delete("script")
    client.sites.delete("london")
    client.deployments_filters.delete("prod")
    client.secrets.delete("db-password")


def main():
    url, username, secret, ca, archive = sys.argv[1:]
    client = client_of(url, username, secret, ca)
    seen = {}
    look_around(client, seen)
    prepare(client, archive, seen)
    deploy(client, seen)
    stop(client, seen)
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
