from __future__ import annotations

import pytest
from django.test import Client

from accounts.models import Secret
from installs import topology
from inventory.connectors.ssh import fingerprint_of
from inventory.host_access import Access
from inventory.models import Cluster
from tests import factories as people
from tests.installs import authorities, factories, layouts
from tests.installs.test_clusters import public_key
from tests.installs.test_importing import TRIO
from tests.services import sshd as servers
from tests.services.shared import free_port

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def sshd(tmp_path_factory):
    try:
        with servers.running(tmp_path_factory.mktemp("sshd")) as server:
            yield server
    except servers.Missing as missing:
        pytest.skip(str(missing))


HOSTS = [
    {"name": f"n{n}", "private_address": f"10.0.0.1{n}", "parts": ["etcd", "database", "queue", "manager"]}
    for n in (1, 2, 3)
]


@pytest.fixture
def ask(acme):
    token = people.token(factories.manager(acme))

    def run(method, address, body=None, expect=200):
        reply = Client().generic(
            method, f"/api/v1/clusters/{address}", "" if body is None else __import__("json").dumps(body),
            content_type="application/json", headers={"Authorization": f"Token {token}", "Tenant": "acme"},
        )  # fmt: skip
        assert reply.status_code == expect, reply.content
        return reply.json() if reply.content and "json" in reply["Content-Type"] else reply

    return run


def test_a_cluster_is_described_by_one_request_and_told_with_its_findings(ask):
    body = {
        "name": "trio",
        "entrance": "lb.example.org",
        "balancing": "theirs",
        "ssh": {"password": "swordfish"},
        "hosts": HOSTS,
    }
    told = ask("POST", "", body, 201)
    assert [host["name"] for host in told["hosts"]] == ["n1", "n2", "n3"] and told["findings"] == []
    assert told["hosts"][0]["password_secret"] == "cluster.trio.password" and "swordfish" not in str(told)
    assert ask("GET", "trio/") == told and ask("GET", f"{told['id']}/") == told
    (row,) = ask("GET", "")["results"]
    assert row["host_count"] == 3 and row["state"] == "planned"


def test_a_layout_with_errors_is_refused_with_all_of_them_and_kept_as_a_draft_if_wished(ask):
    body = {"name": "trio", "balancing": "none", "hosts": HOSTS}
    errors = ask("POST", "", body, 400)["errors"]
    assert set(errors) == {"balancing"}
    told = ask("POST", "", body | {"is_draft": True}, 201)
    assert {finding["rule"] for finding in told["findings"]} >= {"no-balancer"}


def test_a_field_that_does_not_exist_is_named_with_its_host(ask):
    body = {"name": "trio", "hosts": [HOSTS[0], HOSTS[1] | {"adress": "10.0.0.9"}]}
    reply = ask("POST", "", body, 400)
    assert "adress" in str(reply["errors"]) and "There is no such field" in reply["detail"]


def test_what_is_wanted_is_changed_and_what_is_not_named_stays(ask, acme):
    factories.cluster(acme)
    told = ask("PATCH", "west/", {"failover": "calm", "is_strict": True})
    assert (told["failover"], told["is_strict"], told["entrance"]) == ("calm", True, "west.example.org")
    assert "no such field" in str(ask("PATCH", "west/", {"name": "east"}, 400))


def test_settings_of_the_service_come_with_a_cluster_and_are_changed_later(ask, acme):
    factories.cluster(acme)
    told = ask("PATCH", "west/", {"service_settings": {"ENDPOINT_NETWORKS": "10.9.0.0/16"}})
    assert told["service_settings"] == {"ENDPOINT_NETWORKS": "10.9.0.0/16"}
    refused = ask("PATCH", "west/", {"service_settings": {"DATABASE_URL": "sqlite:///x", "LOG_LEVEL": "LOUD"}}, 400)
    assert "There is no setting DATABASE_URL" in str(refused) and "LOUD" in str(refused)
    assert ask("PATCH", "west/", {"service_settings": {}})["service_settings"] == {}


def test_hosts_are_added_changed_and_removed(ask, acme):
    factories.cluster(acme)
    told = ask("POST", "west/hosts/", {"name": "mg4", "private_address": "10.0.0.40", "parts": ["manager"]}, 201)
    assert [host["name"] for host in told["hosts"]][-1] == "mg4"
    told = ask("PATCH", "west/hosts/mg4/", {"machine": "rack9", "ssh_user": "ops"})
    assert (told["hosts"][-1]["machine"], told["hosts"][-1]["ssh_user"]) == ("rack9", "ops")
    assert told["hosts"][-1]["private_address"] == "10.0.0.40" and told["hosts"][-1]["parts"] == ["manager"]
    ask("DELETE", "west/hosts/mg4/", expect=204)
    assert len(ask("GET", "west/hosts/")) == 10
    ask("GET", "west/hosts/mg4/", expect=404)


def test_a_host_key_is_trusted_by_its_whole_text_or_by_a_fingerprint_that_was_seen(ask, acme):
    factories.cluster(acme)
    told = ask("POST", "west/hosts/db1/trust-key/", {"public_key": public_key()})
    assert told["state"] == "trusted"
    assert ask("GET", "west/hosts/db1/")["host_keys"][0]["fingerprint"] == told["fingerprint"]
    ask("POST", "west/hosts/db2/trust-key/", {"fingerprint": told["fingerprint"]}, 400)
    ask("POST", "west/hosts/db2/trust-key/", {}, 400)


def test_the_key_that_a_host_shows_is_kept_as_offered_and_trusted_by_its_fingerprint(ask, acme, sshd, settings):
    settings.ENDPOINT_NETWORKS = ["127.0.0.0/8"]
    host = layouts.bare("box", 11, ssh_port=sshd.port)
    cluster = factories.cluster(acme, topology.all_in_one("solo", host), access=Access(password="x"))
    cluster.nodes.update(ssh_address="127.0.0.1")
    seen = ask("POST", "solo/hosts/box/look-at-key/", {})
    assert seen["state"] == "offered" and seen["fingerprint"] == fingerprint_of(sshd.address.host_key)
    assert ask("POST", "solo/hosts/box/trust-key/", {"fingerprint": seen["fingerprint"]})["state"] == "trusted"
    assert cluster.nodes.get().trusted_key().public_key == sshd.address.host_key


def test_looking_at_the_key_of_a_host_that_does_not_answer_says_so(ask, acme, settings):
    settings.ENDPOINT_NETWORKS = ["127.0.0.0/8"]
    cluster = factories.cluster(acme, layouts.all_in_one())
    cluster.nodes.update(ssh_address="127.0.0.1", ssh_port=free_port())
    assert ask("POST", "solo/hosts/box/look-at-key/", {}, 409)["detail"].startswith("box: ")


def test_findings_speak_of_layout_and_certificates(ask, acme):
    factories.cluster(acme)
    (finding,) = ask("GET", "west/findings/")
    assert finding["rule"] == "one-balancer" and finding["severity"] == "warning" and finding["remedy"]


def test_a_file_is_tried_first_and_imported_then(ask):
    report = ask("POST", "import/", {"text": TRIO})
    assert not report["is_done"] and [line["verdict"] for line in report["lines"]] == ["new"] * 3
    report = ask("POST", "import/", {"text": TRIO, "is_dry_run": False})
    assert report["is_done"] and report["cluster"] == "trio" and Cluster.objects.count() == 1


def test_an_export_comes_as_a_file(ask, acme):
    factories.cluster(acme)
    reply = ask("GET", "west/export/?as=csv")
    assert reply["Content-Disposition"] == 'attachment; filename="west.csv"'
    assert reply.text.splitlines()[0].startswith("name,private_address") and factories.PASSWORD not in reply.text
    ask("GET", "west/export/?as=xml", expect=400)


def test_certificates_go_through_requests_and_come_back_and_no_key_is_told(ask, acme):
    cluster = factories.cluster(acme)
    requests = ask("POST", "west/certificates/requests/", {})["requests"]
    assert set(requests) == {host.name for host in cluster.layout().hosts}
    assert all("BEGIN CERTIFICATE REQUEST" in text for text in requests.values())
    reply = ask("POST", "west/certificates/signed/", {"authority": "hello", "hosts": {"db1": "hello"}}, 400)
    assert "no certificate" in str(reply["errors"]) and "PRIVATE KEY-----\n" not in str(reply)
    assert {row["state"] for row in ask("GET", "west/certificates/")} == {"requested"}


def test_ready_made_certificates_are_uploaded_and_own_ones_renewed(ask, acme):
    ca = authorities.make("Company CA", ca=True)
    from installs.pki.naming import names_of

    cluster = factories.cluster(acme, layouts.all_in_one())
    pair = authorities.make("box", by=ca, names=names_of(cluster.layout(), cluster.layout().hosts[0]))
    body = {"authority": ca.certificate, "hosts": {"box": {"certificate": pair.certificate, "key": pair.key}}}
    told = ask("POST", "solo/certificates/upload/", body)
    assert {row["source"] for row in told} == {"given"} and "PRIVATE KEY" not in str(told)
    factories.cluster(acme, layouts.ten())
    assert len(ask("POST", "west/certificates/renew/")) == 11


def test_a_cluster_is_forgotten_with_its_secrets(ask, acme):
    factories.cluster(acme)
    ask("DELETE", "west/", expect=204)
    assert not Cluster.objects.exists() and not Secret.objects.exists()
