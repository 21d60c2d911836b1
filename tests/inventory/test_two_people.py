"""Two people edit one thing: the later one is told what the earlier one changed, by page and by API, and nothing is lost unseen."""

from __future__ import annotations

import json
import re

import pytest
from django.test import Client

from accounts.models import AuditEntry, TenantRole
from inventory import labels, saved_filters, sites
from inventory.models import Deployment, Environment, Filter, Label, Site
from tests import factories as people
from tests.factories import actor
from tests.inventory import factories as inventory
from tests.inventory.exposed import exposed

pytestmark = pytest.mark.django_db
RULE = {"type": "label", "key": "env", "operator": "any_of", "values": ["prod"]}
SEEN = "seen"


@pytest.fixture
def carol(acme):
    carol = people.user("carol")
    people.member(carol, acme, TenantRole.USER)
    return carol


@pytest.fixture
def page_of():
    def enter(user) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return enter


class Api:
    """A program of somebody."""

    def __init__(self, user):
        self.client, self.headers = Client(), {"Authorization": f"Token {people.token(user)}", "Tenant": "acme"}

    def get(self, path):
        return self.client.get(f"/api/v1/{path}/", headers=self.headers)

    def send(self, method, path, body, etag=""):
        headers = self.headers | ({"If-Match": etag} if etag else {})
        call = getattr(self.client, method)
        return call(f"/api/v1/{path}/", json.dumps(body), content_type="application/json", headers=headers)


def seen_in(reply) -> str:
    found = re.search(r'name="seen" value="([^"]+)"', reply.text)
    assert found, "the form says what was seen"
    return found[1]


def site_form(**changes):
    return {"name": "London", "latitude": "51.5", "longitude": "-0.1", "time_zone": ""} | changes


@pytest.fixture
def london(acme):
    return inventory.site(acme, latitude=51.5, longitude=-0.1)


@pytest.fixture
def plant(double, alice, acme):
    return exposed(alice, acme, double, labels=[("env", "prod")])


def test_by_page_the_later_sees_what_the_earlier_changed_and_keeps_what_he_typed(page_of, alice, carol, london):
    first, second = page_of(alice), page_of(carol)
    seen = seen_in(first.get(f"/sites/{london.pk}/")), seen_in(second.get(f"/sites/{london.pk}/"))
    assert second.post(f"/sites/{london.pk}/", site_form(latitude="52", seen=seen[1])).status_code == 302

    reply = first.post(f"/sites/{london.pk}/", site_form(time_zone="Europe/London", seen=seen[0]))

    assert reply.status_code == 409
    assert "last by carol" in reply.text and "latitude is now “52" in reply.text and "Nothing of yours" in reply.text
    assert 'value="Europe/London"' in reply.text, "what was typed is still there"
    london.refresh_from_db()
    assert (london.latitude, london.time_zone) == (52, "")

    again = first.post(f"/sites/{london.pk}/", site_form(latitude="52", time_zone="Europe/London", seen=seen_in(reply)))
    assert again.status_code == 302
    london.refresh_from_db()
    assert (london.latitude, london.time_zone) == (52, "Europe/London")


def test_whoever_saves_his_own_form_twice_in_two_windows_is_told_as_well(page_of, alice, london):
    browser = page_of(alice)
    seen = seen_in(browser.get(f"/sites/{london.pk}/"))
    browser.post(f"/sites/{london.pk}/", site_form(name="Leeds", seen=seen))
    reply = browser.post(f"/sites/{london.pk}/", site_form(name="York", seen=seen))
    assert reply.status_code == 409 and "name is now “Leeds”" in reply.text


def test_a_form_that_changes_nothing_meanwhile_is_saved_as_ever(page_of, alice, london):
    browser = page_of(alice)
    seen = seen_in(browser.get(f"/sites/{london.pk}/"))
    assert browser.post(f"/sites/{london.pk}/", site_form(latitude="52", seen=seen)).status_code == 302


def test_a_filter_changed_by_page_and_by_api(page_of, alice, carol, acme):
    saved = saved_filters.create_filter(by=actor(alice), tenant=acme, name="mine", rules=[RULE])
    browser, api = page_of(alice), Api(carol)
    seen = seen_in(browser.get(f"/filters/{saved.pk}/"))
    wider = RULE | {"values": ["prod", "test"]}
    etag = api.get("filters/mine").headers["ETag"]
    assert api.send("patch", "filters/mine", {"rules": [wider]}, etag).status_code == 200

    sent = {"rule_type": "label", "rule_key": "env", "rule_operator": "any_of", "rule_values": "dev"}
    reply = browser.post(f"/filters/{saved.pk}/", sent | {"name": "mine", "visibility": "tenant", SEEN: seen})
    assert reply.status_code == 409 and "last by carol" in reply.text
    assert "key env, operator any_of, type label, values prod, test" in reply.text
    saved.refresh_from_db()
    assert saved.rules == [wider]

    stale = api.send("patch", "filters/mine", {"rules": [RULE]}, etag)
    assert stale.status_code == 412, "his own older copy is no better"


def test_an_environment_changed_by_page_is_a_412_with_what_changed_for_the_api(page_of, alice, carol, plant):
    api, browser = Api(alice), page_of(carol)
    etag = api.get("environments/plant").headers["ETag"]
    reply = browser.post(f"/environments/{plant.pk}/labels/", {"labels": "env=test", SEEN: ""})
    assert reply.status_code == 302

    reply = api.send("patch", "environments/plant", {"display_name": "Plant 1", "labels": {"env": "prod"}}, etag)

    told = reply.json()
    assert (reply.status_code, reply.headers["Content-Type"]) == (412, "application/problem+json")
    assert told["changes"] == {"labels": ["env=test"]} and "last by carol" in told["detail"]
    assert api.get("environments/plant").json()["display_name"] == "plant"
    assert told["etag"] == api.get("environments/plant").headers["ETag"]
    done = api.send("patch", "environments/plant", {"display_name": "Plant 1"}, told["etag"])
    assert (done.status_code, done.json()["display_name"]) == (200, "Plant 1")
    assert done.headers["ETag"] not in (etag, told["etag"]), "each reply has the next one's tag"


def test_an_environment_changed_by_api_is_told_on_the_page_with_the_credential_only_by_name(
    page_of, alice, carol, plant, double
):
    browser, api = page_of(alice), Api(carol)
    page = browser.get(f"/environments/{plant.pk}/change/")
    sent = {
        "name": "Plant of ours", "protocol": "http", "endpoint": "127.0.0.1", "port": double.port,
        "remote_tenant": "acme", "trust": "system", "method": "token", "labels": "env=prod", SEEN: seen_in(page),
    }  # fmt: skip
    token = "ctok-admin-0"
    assert api.send("patch", "environments/plant", {"credential": {"token": token}}).status_code == 200

    api.send("patch", "environments/plant", {"display_name": "Works"})
    reply = browser.post(f"/environments/{plant.pk}/change/", sent)

    assert "Changed meanwhile: it is now “Works”." in reply.text
    assert reply.status_code == 409 and "credential is now “plant-token of" in reply.text
    assert token not in reply.text and token not in seen_in(reply)
    assert Deployment.objects.get(pk=plant.deployment_id).display_name == "Works"
    sent[SEEN] = seen_in(reply)
    assert browser.post(f"/environments/{plant.pk}/change/", sent).status_code == 302


def test_labels_typed_on_two_pages(page_of, alice, carol, plant):
    first, second = page_of(alice), page_of(carol)
    address, there = f"/environments/{plant.pk}/labels/", f"/environments/{plant.pk}/"
    seen = seen_in(first.get(there))
    assert second.post(address, {"labels": "env=prod\nring=2", SEEN: seen}).status_code == 302
    reply = first.post(address, {"labels": "env=prod\nowner=alice", SEEN: seen})
    assert reply.status_code == 409 and "labels is now “env=prod, ring=2”" in reply.text
    assert "owner=alice" in reply.text, "what was typed is still there"
    done = first.post(address, {"labels": "env=prod\nring=2\nowner=alice", SEEN: seen_in(reply)})
    assert done.status_code == 302
    found = set(plant.deployment.labels.values_list("key", "value")) - {("csys-obj-type", "environment")}
    assert found == {("env", "prod"), ("ring", "2"), ("owner", "alice")}


def test_two_changes_of_different_fields_without_a_tag_both_hold(alice, carol, london):
    """What the first read is older than what the second wrote: he writes his own field and no other."""
    old = Site.objects.get(pk=london.pk)
    sites.update_site(by=actor(carol), site=Site.objects.get(pk=london.pk), time_zone="Europe/London")
    sites.update_site(by=actor(alice), site=old, latitude=52.0)
    london.refresh_from_db()
    assert (london.latitude, london.time_zone) == (52.0, "Europe/London")


def test_a_label_added_while_another_one_is_being_added_stays(alice, carol, acme, monkeypatch):
    row = inventory.deployment(acme, "app", [("env", "prod")])
    locked = Deployment.objects.select_for_update

    def the_other_was_first(*args, **kwargs):
        Label.objects.get_or_create(deployment=row, key="ring", value="2", defaults={"created_by": carol})
        return locked(*args, **kwargs)

    monkeypatch.setattr(Deployment.objects, "select_for_update", the_other_was_first)
    labels.add_labels(by=actor(alice), deployment=row, labels=[("owner", "alice")])
    labels.remove_labels(by=actor(alice), deployment=row, labels=[("env", None)])
    assert set(row.labels.values_list("key", "value")) == {("ring", "2"), ("owner", "alice")}


def test_a_thing_that_was_removed_meanwhile_is_said_to_be_gone(page_of, alice, carol, london):
    browser = page_of(alice)
    seen = seen_in(browser.get(f"/sites/{london.pk}/"))
    sites.delete_site(by=actor(carol), site=Site.objects.get(pk=london.pk))
    assert browser.post(f"/sites/{london.pk}/", site_form(seen=seen)).status_code == 404
    assert Api(alice).send("patch", "sites/London", {"latitude": 1.0}).status_code == 404
    assert not Site.objects.exists()


def test_what_was_refused_is_not_in_the_audit_trail(alice, carol, london):
    api = Api(alice)
    etag = api.get("sites/London").headers["ETag"]
    Api(carol).send("patch", "sites/London", {"time_zone": "Europe/London"})
    assert api.send("patch", "sites/London", {"time_zone": "UTC"}, etag).status_code == 412
    assert api.send("patch", "sites/London", {"time_zone": "UTC"}, f"W/{etag}").status_code == 412
    assert [entry.actor for entry in AuditEntry.objects.filter(action="site.change")] == ["carol"]
    assert api.send("patch", "sites/London", {"time_zone": "UTC"}, "*").status_code == 200
    assert Filter.objects.count() == Filter.objects.filter(is_system=True).count()
    assert not Environment.objects.exists()
