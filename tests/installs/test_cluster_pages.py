from __future__ import annotations

from dataclasses import replace

import pytest
from django.test import Client

from accounts.models import Secret
from installs import certificates, cluster_form
from installs.picture import HOST_HEIGHT, HOST_WIDTH, draw
from installs.topology import findings
from inventory.layout import Balancing, External, Part
from inventory.models import Cluster, ClusterNode
from tests import factories as people
from tests.installs import authorities, factories, layouts
from tests.installs import test_fetching as fetching
from tests.installs.test_certificates import CA, sign
from tests.installs.test_clusters import private_key, public_key
from tests.installs.test_importing import TRIO
from tests.inventory.factories import site

pytestmark = pytest.mark.django_db


@pytest.fixture
def mara(acme):
    return people.actor(factories.manager(acme))


@pytest.fixture
def browser(acme, mara):
    client = Client()
    client.force_login(mara.user)
    return client


def page(client, address, code=200):
    reply = client.get(address)
    assert reply.status_code == code
    return reply.text


def posted(client, address, data=None, code=302):
    """The page after the post, redirects followed where one was expected."""
    reply = client.post(address, data or {})
    assert reply.status_code == code, reply.text[:2000]
    return client.get(reply["Location"]).text if code == 302 else reply.text


def form_of(layout, **more):
    """What a browser sends for a layout."""
    data = {
        "name": layout.name, "release": layout.release, "balancing": str(layout.balancing), "entrance": layout.entrance,
        "failover": layout.failover, "ssh-ssh_user": "root", "ssh-password": "swordfish", "intent": "describe",
        "hosts-TOTAL_FORMS": len(layout.hosts), "hosts-INITIAL_FORMS": 0,
    }  # fmt: skip
    for number, host in enumerate(layout.hosts):
        data |= {f"hosts-{number}-name": host.name, f"hosts-{number}-private_address": host.private_address}
        data[f"hosts-{number}-parts"] = [str(part) for part in host.parts]
    return data | more


# --- looking ---


def test_the_list_says_how_to_begin_and_shows_what_there_is(browser, acme):
    assert "No clusters yet" in page(browser, "/clusters/") and "New cluster" in page(browser, "/clusters/")
    factories.cluster(acme)
    shown = page(browser, "/clusters/")
    assert "west.example.org" in shown and "Not built" in shown
    assert "No cluster matches" in page(browser, "/clusters/?q=east")


def test_a_cluster_shows_picture_hosts_findings_and_certificates(browser, acme, mara):
    cluster = factories.cluster(acme)
    certificates.ensure_certificates(by=mara, cluster=cluster)
    shown = page(browser, f"/clusters/{cluster.pk}/")
    assert all(host.name in shown and host.private_address in shown for host in cluster.layout().hosts)
    assert "A single balancer" in shown and "Use two balancers with a virtual address" in shown
    assert "Look at 10 keys" in shown and "5432" in shown and "824 days" in shown
    assert factories.PASSWORD not in shown and "PRIVATE KEY" not in shown


def test_a_viewer_looks_and_is_offered_nothing_to_change(acme, bob):
    cluster = factories.cluster(acme)
    client = Client()
    client.force_login(bob)
    shown = (
        page(client, f"/clusters/{cluster.pk}/")
        + page(client, "/clusters/")
        + page(client, f"/clusters/{cluster.pk}/certificates/")
    )
    assert (
        '<form method="post" action="/clusters' not in shown
        and "New cluster" not in shown
        and "Trust this key" not in shown
    )


def test_another_tenants_cluster_is_not_there(browser, other):
    cluster = factories.cluster(other)
    for tail in ("", "change/", "export/", "certificates/", "hosts/add/"):
        page(browser, f"/clusters/{cluster.pk}/{tail}", 404)


def test_an_export_is_a_file(browser, acme):
    cluster = factories.cluster(acme)
    reply = browser.get(f"/clusters/{cluster.pk}/export/?as=csv")
    assert reply["Content-Disposition"].endswith('"west.csv"') and "db1" in reply.text


# --- describing ---


def test_the_form_begins_with_three_compact_hosts_and_fills_in_other_topologies(browser):
    shown = page(browser, "/clusters/new/")
    assert shown.count('value="node-') == 3 and "Sealed when saved" in shown
    rows = page(browser, "/clusters/new/hosts/?topology=distributed&managers=4&balancers=2")
    assert [rows.count(f'value="{name}-') for name in ("db", "mq", "manager", "lb")] == [3, 3, 4, 2]
    assert page(browser, "/clusters/new/hosts/?topology=all_in_one").count("data-row>") == 2  # one, and the blank one


def test_other_topologies_keep_what_was_entered_for_hosts_of_the_same_name(browser):
    asked = "topology=compact&hosts-TOTAL_FORMS=1&hosts-0-name=node-2&hosts-0-private_address=10.0.0.7"
    assert 'value="10.0.0.7"' in page(browser, f"/clusters/new/hosts/?{asked}")


def test_every_topology_that_the_form_offers_works_once_addresses_are_in():
    for asked in (
        {"topology": "all_in_one"},
        {"topology": "compact", "balancing": "theirs"},
        {"topology": "distributed"},
        {"topology": "compact"},
        {"topology": "distributed", "balancers": "2"},
    ):
        layout = cluster_form.ready_layout(asked)
        given = layouts.replace_addresses(layout, entrance="lb.example.org")
        if layout.balancing is Balancing.OURS:
            given = layouts.replace_addresses(layout, entrance="10.0.0.99")
        assert [finding for finding in findings(given) if finding.is_error] == [], asked


def test_checking_tells_what_is_wrong_and_draws_it_without_saving(browser):
    data = form_of(layouts.change(layouts.ten(), "db1", private_address="10.0.0.12"))
    shown = posted(browser, "/clusters/new/check/", data, 200)
    assert "10.0.0.12 is the address of db1 and db2" in shown and "<svg" in shown and not Cluster.objects.exists()
    assert "swordfish" not in shown


def test_half_a_form_is_checked_as_far_as_it_goes(browser):
    shown = posted(
        browser, "/clusters/new/check/", {"hosts-TOTAL_FORMS": 1, "hosts-INITIAL_FORMS": 0, "hosts-0-name": "a"}, 200
    )
    assert "No host is a manager" in shown


def test_a_cluster_is_described_with_its_hosts_and_a_shared_credential(browser):
    shown = posted(browser, "/clusters/new/", form_of(layouts.ten(), site=""))
    cluster = Cluster.objects.get()
    assert cluster.layout() == layouts.ten() and "Cluster west is described" in shown
    assert {node.password.name for node in cluster.nodes.all()} == {"cluster.west.password"}


def test_an_external_database_is_described_with_its_login(browser, acme):
    ca = authorities.make("Provider", ca=True).certificate
    layout = layouts.ten(databases=(), external_database=External(("pg.example.org",), 5432, ca, user_suffix="@pg"))
    data = form_of(layout) | {
        "external_database-addresses": "pg.example.org", "external_database-port": "5432",
        "external_database-user_suffix": "@pg", "external_database-ca_bundle": ca,
        "external_database-user": "boss", "external_database-password": "hush", "site": site(acme).pk,
    }  # fmt: skip
    posted(browser, "/clusters/new/", data)
    cluster = Cluster.objects.get()
    assert cluster.layout().external_database.addresses == ("pg.example.org",) and cluster.site.name == "London"
    assert Secret.objects.filter(name="cluster.west.external_database_password").exists()


def test_a_layout_with_errors_is_shown_with_them_and_saved_as_a_draft_only(browser):
    data = form_of(layouts.ten(), balancing="none")
    shown = posted(browser, "/clusters/new/", data, 400)
    assert "Several managers without a balancer" in shown and not Cluster.objects.exists()
    shown = posted(browser, "/clusters/new/", data | {"intent": "draft"})
    assert "keep it from being built" in shown or "keeps it from being built" in shown


def test_secrets_that_were_typed_are_asked_for_again_and_never_sent_back(browser):
    key = private_key()
    shown = posted(browser, "/clusters/new/", form_of(layouts.ten(), name="West_1", **{"ssh-private_key": key}), 400)
    assert "Enter it once more" in shown and "swordfish" not in shown and key.splitlines()[1] not in shown


def test_rows_that_were_removed_in_the_form_are_left_out(browser):
    layout = layouts.ten()
    last = len(layout.hosts) - 1
    data = form_of(layout, balancing="theirs", **{f"hosts-{last}-DELETE": "1"})
    posted(browser, "/clusters/new/", data)
    assert "lb1" not in {host.name for host in Cluster.objects.get().layout().hosts}


def test_the_ca_of_an_external_service_is_shown_to_be_compared(browser, tmp_path, settings):
    settings.ENDPOINT_NETWORKS = ["127.0.0.0/8"]
    with fetching.service(tmp_path, [fetching.ALONE.certificate], fetching.ALONE.key) as (port, _):
        data = {"external_queue-addresses": "127.0.0.1", "external_queue-port": port}
        shown = posted(browser, "/clusters/new/external_queue/ca/", data, 200)
    assert "CN=self.example.org" in shown and "take it over" in shown
    assert "Enter address and port first" in posted(browser, "/clusters/new/external_database/ca/", {}, 200)


# --- changing ---


def test_what_is_wanted_is_changed_and_errors_that_this_makes_are_told(browser, acme):
    cluster = factories.cluster(acme)
    data = {"release": "trixie", "failover": "calm", "balancing": "none", "entrance": "", "is_strict": "on"}
    shown = posted(browser, f"/clusters/{cluster.pk}/change/", data)
    cluster.refresh_from_db()
    assert (cluster.failover, cluster.is_strict, cluster.balancing) == ("calm", True, "none")
    assert "it from being built: see below" in shown


def test_settings_of_the_service_are_entered_one_a_line_shown_and_refused_with_what_may_stand_there(browser, acme):
    cluster = factories.cluster(acme)
    data = {"release": "trixie", "failover": "calm", "balancing": "ours", "entrance": "10.0.0.50"}
    lines = "ENDPOINT_NETWORKS=10.9.0.0/16, 127.0.0.1/32\n\nLOG_LEVEL = DEBUG\nHSTS_SECONDS="
    shown = posted(browser, f"/clusters/{cluster.pk}/change/", data | {"service_settings": lines})
    cluster.refresh_from_db()
    assert cluster.service_settings == {"ENDPOINT_NETWORKS": "10.9.0.0/16,127.0.0.1/32", "LOG_LEVEL": "DEBUG"}
    assert "ENDPOINT_NETWORKS" in shown and "10.9.0.0/16,127.0.0.1/32" in shown
    assert "ENDPOINT_NETWORKS=10.9.0.0/16,127.0.0.1/32\nLOG_LEVEL=DEBUG" in page(
        browser, f"/clusters/{cluster.pk}/change/"
    )
    bad = data | {"service_settings": "SECRET_KEY=mine\nRUNNER_SLOTS=many"}
    shown = posted(browser, f"/clusters/{cluster.pk}/change/", bad, 400)
    assert "There is no setting SECRET_KEY" in shown and "no whole number from 1 to 256" in shown
    assert "write NAME=value" in posted(
        browser, f"/clusters/{cluster.pk}/change/", data | {"service_settings": "x"}, 400
    )


def test_a_host_is_added_and_changed_and_its_own_credential_stored(browser, acme):
    cluster = factories.cluster(acme)
    data = {"name": "mg4", "private_address": "10.0.0.40", "parts": ["manager"], "networks": "agents=10.9.0.4"}
    assert "Host mg4 is saved" in posted(browser, f"/clusters/{cluster.pk}/hosts/add/", data)
    node = ClusterNode.objects.get(name="mg4")
    assert node.networks == {"agents": "10.9.0.4"} and node.password.name == "cluster.west.password"
    posted(
        browser,
        f"/clusters/{cluster.pk}/hosts/{node.pk}/",
        data | {"machine": "r9", "ssh-ssh_user": "ops", "ssh-password": "own"},
    )
    node.refresh_from_db()
    assert (node.machine, node.ssh_user, node.password.name) == ("r9", "ops", "cluster.west.mg4-password")
    page(browser, f"/clusters/{cluster.pk}/hosts/{node.pk}/")


def test_a_host_that_cannot_be_kept_is_refused_beside_its_field(browser, acme):
    cluster = factories.cluster(acme)
    shown = posted(browser, f"/clusters/{cluster.pk}/hosts/add/", {"name": "db_1", "private_address": "x"}, 400)
    assert "is no host name" in shown and "is no address" in shown


def test_a_host_is_taken_out_and_a_cluster_forgotten(browser, acme):
    cluster = factories.cluster(acme)
    node = cluster.nodes.get(name="mg3")
    assert "mg3 is taken out" in posted(browser, f"/clusters/{cluster.pk}/hosts/{node.pk}/remove/")
    cluster.move("ready", only_from="planned")
    assert "Uninstall it first" in posted(browser, f"/clusters/{cluster.pk}/remove/")
    assert "is forgotten" in posted(browser, f"/clusters/{cluster.pk}/remove/", {"force": "1"})


def test_an_offered_key_is_shown_and_trusted_by_hand(browser, acme):
    from inventory.cluster_hosts import record_offered_key

    cluster = factories.cluster(acme)
    node = cluster.nodes.get(name="db1")
    key = record_offered_key(node=node, public_key=public_key())
    assert key.fingerprint in page(browser, f"/clusters/{cluster.pk}/").replace("&#x2B;", "+")
    assert "The key of db1 is trusted" in posted(
        browser, f"/clusters/{cluster.pk}/hosts/{node.pk}/trust/", {"fingerprint": key.fingerprint}
    )
    assert "has not shown a key" in posted(
        browser, f"/clusters/{cluster.pk}/hosts/{node.pk}/trust/", {"fingerprint": "SHA256:x"}
    )


def test_keys_of_hosts_that_do_not_answer_are_told_host_by_host(browser, acme, settings):
    settings.ENDPOINT_NETWORKS = []
    cluster = factories.cluster(acme, layouts.compact())
    cluster.nodes.update(ssh_address="127.0.0.1")
    shown = posted(browser, f"/clusters/{cluster.pk}/keys/")
    assert all(f"{name}: " in shown for name in ("n1", "n2", "n3"))


# --- importing ---


def test_a_file_is_reported_line_by_line_and_imported_then(browser):
    shown = posted(browser, "/clusters/import/", {"text": TRIO, "format": "yaml", "intent": "check"}, 200)
    assert "Import 3 hosts" in shown and "<svg" in shown and not Cluster.objects.exists()
    assert "Cluster trio is as the file says" in posted(
        browser, "/clusters/import/", {"text": TRIO, "format": "yaml", "intent": "import"}
    )


def test_a_file_with_faults_cannot_be_imported(browser):
    shown = posted(
        browser, "/clusters/import/", {"text": TRIO.replace("n1", "n1\n    colour: red"), "format": "yaml"}, 200
    )
    assert "There is no such field" in shown and "Import as draft" not in shown
    assert "Choose a file, or paste its text" in posted(browser, "/clusters/import/", {"format": "yaml"}, 400)


# --- certificates ---


def test_certificates_are_made_shown_and_the_ca_downloaded_without_its_key(browser, acme):
    cluster = factories.cluster(acme)
    assert "No certificates yet" in page(browser, f"/clusters/{cluster.pk}/certificates/")
    shown = posted(browser, f"/clusters/{cluster.pk}/certificates/renew/")
    assert "11 certificates are made" in shown and "db1" in shown
    ca = page(browser, f"/clusters/{cluster.pk}/certificates/ca.crt")
    assert ca.startswith("-----BEGIN CERTIFICATE-----") and "PRIVATE" not in ca


def test_requests_are_downloaded_and_what_came_back_is_taken_by_common_name(browser, acme):
    cluster = factories.cluster(acme)
    reply = browser.post(f"/clusters/{cluster.pk}/certificates/requests/")
    assert reply.text.count("BEGIN CERTIFICATE REQUEST") == 10 and "PRIVATE" not in reply.text
    rows = {row.owner: row.request for row in cluster.certificates.all()}
    signed = "\n".join(sign(text, name, cluster) for name, text in rows.items())
    address = f"/clusters/{cluster.pk}/certificates/"
    assert "holds no certificates" in posted(browser, address, {"authority": CA.certificate, "certificates": "x"}, 400)
    assert "10 certificates are taken" in posted(
        browser, address, {"authority": CA.certificate, "certificates": signed}
    )


# --- the picture ---


def apart():
    """etcd on the hosts of the queue."""
    layout = layouts.ten()
    hosts = (
        replace(h, parts=(h.parts - {Part.ETCD}) | ({Part.ETCD} if h.has(Part.QUEUE) else set())) for h in layout.hosts
    )
    return replace(layout, hosts=tuple(hosts))


@pytest.mark.parametrize(
    "layout",
    [layouts.ten(), layouts.compact(), layouts.all_in_one(), apart(), layouts.ten(managers=layouts.several("mg", 10, 30))],
)  # fmt: skip
def test_nothing_in_the_picture_lies_over_something_else_or_outside(layout):
    picture = draw(layout)
    boxes = [(box.x, box.y, HOST_WIDTH, HOST_HEIGHT) for group in picture.groups for box in group.boxes]
    groups = [(group.x, group.y, group.width, group.height) for group in picture.groups]
    for rectangles in (boxes, groups):
        for number, (x, y, width, height) in enumerate(rectangles):
            assert x >= 0 and x + width <= picture.width and y + height <= picture.height
            for a, b, c, d in rectangles[number + 1 :]:
                assert x + width <= a or a + c <= x or y + height <= b or b + d <= y
    assert sorted(box.host.name for group in picture.groups for box in group.boxes) == sorted(
        h.name for h in layout.hosts
    )


def test_arrows_carry_the_ports_of_what_flows():
    labels = {arrow.words for arrow in draw(layouts.ten()).arrows}
    assert any("Load balancer talks to Management by 443, 53333" in words for words in labels)
    assert any("Management talks to Database, etcd by 5432, 8008" in words for words in labels)
    assert any("Management talks to Queue by 5671, 15671" in words for words in labels)
    told = {arrow.words for arrow in draw(apart()).arrows}
    assert any("Database talks to Queue, etcd by 2379" in words for words in told)


def test_the_ports_of_pictures_are_those_of_the_configuration():
    from installs.ports import FLOWS
    from installs.rendering import etcd, haproxy, management, measuring, patroni, rabbitmq

    rendered = {
        haproxy.HTTPS_PORT, haproxy.INTERNAL_PORT, haproxy.PEERS_PORT, management.HTTPS_PORT, patroni.POSTGRESQL_PORT,
        patroni.REST_PORT, etcd.CLIENT_PORT, etcd.PEER_PORT, rabbitmq.AMQPS_PORT, rabbitmq.MANAGEMENT_PORT,
        rabbitmq.DISTRIBUTION_PORT, measuring.PORT,
        4369,  # of epmd, which nobody configures
    }  # fmt: skip
    assert {port for flow in FLOWS for port in flow.ports} <= rendered


def test_hosts_with_findings_are_marked():
    layout = layouts.change(layouts.ten(), "db1", name="db_1")
    looks = {box.host.name: box.look for group in draw(layout, findings(layout)).groups for box in group.boxes}
    assert looks["db_1"] == "bad" and looks["db2"] == ""
