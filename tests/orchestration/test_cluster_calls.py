"""/cluster-status, /managers, /brokers and /db-nodes: of a member of a cluster, and of an installation that stands alone."""

from __future__ import annotations

import json

import pytest

from inventory.health import members
from orchestration import belonging
from tests import factories
from tests.inventory.prometheus_double import LAYOUT, PASSWORD, PATIENT, USER, Cluster

pytestmark = pytest.mark.django_db
NODE = {"status", "private_ip", "public_ip", "version", "failures", "services", "metrics"}  # as a genuine manager's


@pytest.fixture(autouse=True)
def forget():
    belonging.kept.forget()
    yield
    belonging.kept.forget()


@pytest.fixture
def servers(tmp_path, settings, monkeypatch):
    """The hosts of a cluster of which this process is a member, as the installer told it."""
    monkeypatch.setattr(members, "QUICK", PATIENT)
    with Cluster() as found:
        (tmp_path / "password").write_text(PASSWORD)
        (tmp_path / "ca.crt").write_text(found.authority.pem)
        told = members.Monitoring(found.port, USER, str(tmp_path / "password"), str(tmp_path / "ca.crt"))
        (tmp_path / "cluster.json").write_text(members.to_text(LAYOUT, told))
        settings.CLUSTER_FILE = str(tmp_path / "cluster.json")
        yield found


@pytest.fixture
def ask(client, alice):
    """GET as somebody who is signed in."""
    token = factories.token(alice)

    def get(path, method="GET", **more):
        return client.generic(method, f"/api/v3.1{path}", headers={"Authentication-Token": token}, **more)

    return get


def test_a_healthy_cluster_is_ok_in_all_its_services(servers, ask):
    reply = ask("/cluster-status")
    told = reply.json()
    assert reply.status_code == 200 and told["status"] == "OK"
    assert {name: service["status"] for name, service in told["services"].items()} == {
        "manager": "OK", "db": "OK", "broker": "OK",
    }  # fmt: skip
    for service in told["services"].values():
        assert sorted(service["nodes"]) == ["c1", "c2", "c3"] and service["is_external"] is False
        for node in service["nodes"].values():
            assert set(node) == NODE and node["failures"] == [] and node["status"] == "OK" and node["metrics"]
            assert node["services"] and all(one["status"] == "Active" for one in node["services"].values())
    units = {name: set(service["nodes"]["c1"]["services"]) for name, service in told["services"].items()}
    assert "patroni" in units["db"] and "rabbitmq-server" in units["broker"] and "deployon-web" in units["manager"]
    assert "patroni" not in units["broker"] and "prometheus" in units["broker"]


def test_a_node_that_does_not_work_is_named_with_its_service(servers, ask):
    servers.moment = "queue node stopped"
    told = ask("/cluster-status").json()
    broker = told["services"]["broker"]
    assert (told["status"], broker["status"], told["services"]["db"]["status"]) == ("Degraded", "Degraded", "OK")
    assert broker["nodes"]["c2"]["status"] == "Fail"
    assert "Service rabbitmq-server not active." in broker["nodes"]["c2"]["failures"]
    assert broker["nodes"]["c2"]["services"]["rabbitmq-server"]["status"] == "Inactive"


def test_a_host_of_which_nobody_knows_anything_has_neither_services_nor_metrics(servers, ask):
    servers.moment = "host cut"
    node = ask("/cluster-status").json()["services"]["db"]["nodes"]["c3"]
    assert node["failures"] == ["No services.", "No metrics"] and node["services"] == {} and node["metrics"] == []


def test_the_summary_leaves_services_out_and_is_500_where_the_cluster_fails(servers, ask):
    assert ask("/cluster-status?summary=true").json() == {"status": "OK", "services": {}}
    belonging.kept.forget()
    servers.gone = {"c1", "c2", "c3", "lb1"}
    reply = ask("/cluster-status?summary=true")
    assert (reply.status_code, reply.json()) == (500, {"status": "Fail", "services": {}})
    belonging.kept.forget()
    assert ask("/cluster-status").status_code == 200  # as a genuine manager: the body says it


def test_who_asks_within_a_few_seconds_is_answered_from_one_look(servers, ask, monkeypatch):
    monkeypatch.setattr(belonging, "KEPT_SECONDS", 300)
    for _ in range(3):
        ask("/cluster-status")
    ask("/managers")
    assert sorted(servers.asked) == ["c1", "c2", "c3", "lb1"]


def test_the_members_are_listed_with_their_addresses_and_no_secret(servers, ask):
    managers = ask("/managers").json()
    assert [row["hostname"] for row in managers["items"]] == ["c1", "c2", "c3"]
    assert managers["metadata"]["pagination"] == {"total": 3, "size": 1000, "offset": 0}
    first = managers["items"][0]
    assert (first["private_ip"], first["version"], first["edition"]) == ("127.0.0.11", "7.1.0", "community")
    assert first["networks"] == {"default": "127.0.0.11", "external": "127.0.0.11"} and first["last_seen"]
    brokers = ask("/brokers").json()["items"]
    assert [(row["name"], row["host"], row["port"], row["is_external"]) for row in brokers] == [
        (f"c{n}", f"127.0.0.1{n}", 5671, False) for n in (1, 2, 3)
    ]
    nodes = ask("/db-nodes").json()["items"]
    assert [(row["name"], row["host"], row["is_external"]) for row in nodes] == [
        (f"c{n}", f"127.0.0.1{n}", False) for n in (1, 2, 3)
    ]
    text = json.dumps([managers, brokers, nodes])
    assert PASSWORD not in text and "PRIVATE KEY" not in text and "BEGIN CERTIFICATE" in text


def test_a_list_gives_what_is_asked_for(servers, ask):
    reply = ask("/managers?_include=hostname,version,edition&_size=1&_offset=1").json()
    assert reply["items"] == [{"hostname": "c2", "version": "7.1.0", "edition": "community"}]
    assert reply["metadata"]["pagination"] == {"total": 3, "size": 1, "offset": 1}


def test_a_manager_that_is_down_was_not_seen(servers, ask):
    servers.moment = "host cut"
    assert [row["hostname"] for row in ask("/managers").json()["items"] if row["last_seen"] is None] == ["c3"]


@pytest.mark.parametrize("content", [None, "{", "[]", '{"name": "x"}'])
def test_a_file_that_cannot_be_used_is_said_and_never_taken_for_health(servers, ask, settings, tmp_path, content):
    file = tmp_path / "broken.json"
    if content is not None:
        file.write_text(content)
    settings.CLUSTER_FILE = str(file)
    reply = ask("/cluster-status")
    assert reply.status_code == 500 and "CLUSTER_FILE" in reply.json()["message"]
    assert ask("/managers").status_code == ask("/brokers").status_code == 500


def test_without_the_password_nothing_is_known_and_nothing_is_ok(servers, ask, tmp_path):
    (tmp_path / "password").unlink()
    told = ask("/cluster-status").json()
    assert told["status"] == "Fail" and servers.asked == []
    assert ask("/brokers").json()["metadata"]["pagination"]["total"] == 3


def test_an_installation_that_stands_alone_tells_of_itself(ask, settings, monkeypatch):
    settings.NODE_NAME, settings.BROKER_URL = "portal", "memory://"
    monkeypatch.setattr(belonging.workers, "living", lambda: {"one"})
    told = ask("/cluster-status").json()
    assert told["status"] == "OK" and set(told["services"]) == {"manager", "db", "broker"}
    assert told["services"]["manager"]["nodes"]["portal"]["status"] == "OK"
    assert [row["hostname"] for row in ask("/managers").json()["items"]] == ["portal"]
    assert [row["name"] for row in ask("/brokers").json()["items"]] == ["portal"]


def test_alone_without_a_worker_it_is_degraded_and_without_a_broker_it_fails(ask, settings, monkeypatch):
    settings.NODE_NAME, settings.BROKER_URL = "portal", "amqp://u:p@mq.example.com:5672/v"
    monkeypatch.setattr(belonging.workers, "living", set)
    monkeypatch.setattr(belonging, "is_broker_alive", lambda: False)
    told = ask("/cluster-status").json()
    assert told["services"]["manager"]["status"] == "Degraded" and told["services"]["broker"]["status"] == "Fail"
    assert told["services"]["broker"] == {"status": "Fail", "is_external": True, "nodes": {}}
    row = ask("/brokers").json()["items"][0]
    assert (row["name"], row["port"], row["is_external"], row["username"]) == ("mq.example.com", 5672, True, None)


def test_members_are_changed_by_the_portal_that_built_the_cluster(ask):
    for path in ("/managers", "/brokers", "/db-nodes"):
        reply = ask(path, "POST", data="{}", content_type="application/json")
        assert (reply.status_code, reply.json()["error_code"]) == (404, "missing_premium_package_error")


def test_nobody_is_told_without_signing_in(client, servers):
    for path in ("/cluster-status", "/managers", "/brokers", "/db-nodes"):
        assert client.get(f"/api/v3.1{path}").status_code == 401
    assert servers.asked == []


def test_the_file_of_the_installer_is_read_as_it_was_written(tmp_path):
    told = members.Monitoring(8009, USER, "/etc/deployon/monitoring", "/etc/deployon/pki/ca.crt")
    file = tmp_path / "cluster.json"
    file.write_text(members.to_text(LAYOUT, told))
    found = members.read(str(file))
    assert found.monitoring == told and found.layout.hosts == LAYOUT.hosts and found.layout.entrance == LAYOUT.entrance
