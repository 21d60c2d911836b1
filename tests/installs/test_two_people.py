"""Two people change one cluster or one of its hosts: the later one is told what the earlier one changed, by page and by API."""

from __future__ import annotations

import re

import pytest

from accounts.secrets import reveal
from inventory.layout import External
from inventory.models import ClusterSecret
from tests.installs import factories, layouts
from tests.installs.test_certificates import CA
from tests.installs.test_cluster_pages import browser as browser
from tests.installs.test_cluster_pages import mara as mara
from tests.installs.test_cluster_pages import page, posted
from tests.inventory.test_two_people import Api

pytestmark = pytest.mark.django_db
WANTED = {"release": "trixie", "failover": "fast", "balancing": "ours", "entrance": "10.0.0.50"}
HOST = {"name": "mg1", "private_address": "10.0.0.31", "parts": ["manager"]}


def seen_in(text):
    return re.search(r'name="seen" value="([^"]+)"', text)[1]


def test_a_cluster_changed_meanwhile_is_told_and_what_was_typed_stays(browser, acme):
    cluster = factories.cluster(acme)
    address = f"/clusters/{cluster.pk}/change/"
    seen = seen_in(page(browser, address))
    posted(browser, address, WANTED | {"failover": "calm", "seen": seen})

    shown = posted(browser, address, WANTED | {"description": "Mine", "seen": seen}, 409)

    assert "failover is now “calm”" in shown and "Nothing of yours is saved yet" in shown and 'value="Mine"' in shown
    cluster.refresh_from_db()
    assert (cluster.failover, cluster.description) == ("calm", "")
    posted(browser, address, WANTED | {"description": "Mine", "seen": seen_in(shown)})
    cluster.refresh_from_db()
    assert (cluster.failover, cluster.description) == ("fast", "Mine")


def test_a_login_that_comes_with_a_form_that_is_too_late_is_not_stored(browser, acme, mara):
    own = External(("pg.example.org",), 5432, CA.certificate)
    cluster = factories.cluster(acme, layouts.ten(databases=(), external_database=own))
    told = {"addresses": ["pg.example.org"], "port": 5432, "ca_bundle": CA.certificate, "user": "boss"}
    api = Api(mara.user)
    etag = api.get("clusters/west").headers["ETag"]
    stored = api.send("patch", "clusters/west", {"external_database": told | {"password": "first"}}, etag)
    assert stored.status_code == 200 and stored.headers["ETag"] != etag, "the login has its share in what was seen"

    refused = api.send("patch", "clusters/west", {"external_database": told | {"password": "second"}}, etag)

    assert refused.status_code == 412 and "logins" in refused.json()["changes"]
    assert "first" not in refused.text and "second" not in refused.text
    kept = ClusterSecret.objects.get(cluster=cluster, purpose="external_database_password")
    assert reveal(kept.secret) == "first"


def test_a_host_changed_meanwhile_is_told_by_page_and_by_api(browser, acme, mara):
    cluster = factories.cluster(acme)
    node = cluster.nodes.get(name="mg1")
    address, api = f"/clusters/{cluster.pk}/hosts/{node.pk}/", Api(mara.user)
    seen, etag = seen_in(page(browser, address)), api.get("clusters/west/hosts/mg1").headers["ETag"]
    posted(browser, address, HOST | {"machine": "rack-2", "ssh-password": "other", "seen": seen})

    shown = posted(browser, address, HOST | {"machine": "rack-3", "seen": seen}, 409)
    assert "machine is now “rack-2”" in shown and "credential is now" in shown and "rack-3" in shown
    refused = api.send("patch", "clusters/west/hosts/mg1", {"machine": "rack-4"}, etag)
    assert refused.status_code == 412 and refused.json()["changes"]["machine"] == "rack-2"
    node.refresh_from_db()
    assert node.machine == "rack-2"
    etag = api.get("clusters/west/hosts/mg1").headers["ETag"]
    assert api.send("patch", "clusters/west/hosts/mg1", {"machine": "rack-4"}, etag).status_code == 200
