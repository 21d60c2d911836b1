"""The password of a cluster's administrator is changed there and kept here, in that order."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from accounts import secrets
from accounts.errors import Conflict
from accounts.models import AuditEntry
from installs import administering, offering
from inventory.cluster_secrets import keep_secret
from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.portal import PortalClient
from inventory.doubles import refused_port
from inventory.models import Cluster
from tests.orchestration.running import PASSWORD

pytestmark = pytest.mark.django_db

OTHER = "another-long-passphrase"


@pytest.fixture
def changing(real, mara, ready):
    """The manager, whose administrator has the usual password again afterwards."""
    yield real
    keep_secret(by=mara, cluster=ready, purpose="admin", value=OTHER)
    if real.call("GET", "/user", password=OTHER).status_code == 200:
        administering.set_administrator_password(by=mara, cluster=ready, password=PASSWORD)


def kept(cluster) -> str:
    return secrets.reveal(cluster.cluster_secrets.get(purpose="admin").secret)


def test_a_new_password_holds_there_and_is_kept_here(mara, ready, changing):
    before = changing.call("GET", "/tokens?_size=1000").json()["items"]
    administering.set_administrator_password(by=mara, cluster=ready, password=OTHER)
    assert changing.call("GET", "/user", password=OTHER).json()["username"] == "admin"
    assert changing.call("GET", "/user").status_code == 401 and kept(ready) == OTHER
    assert len(changing.call("GET", "/tokens?_size=1000", password=OTHER).json()["items"]) == len(before)
    assert offering.expose_cluster(by=mara, cluster=ready).state == "ready"
    entry = AuditEntry.objects.get(action="cluster.set_password")
    assert OTHER not in str([entry.before, entry.after]) and entry.actor == mara.name


def test_a_password_that_holds_there_already_is_kept_here(mara, ready, changing):
    keep_secret(by=mara, cluster=ready, purpose="admin", value="what-the-install-invented")
    administering.set_administrator_password(by=mara, cluster=ready, password=PASSWORD)
    assert kept(ready) == PASSWORD


def test_a_password_changed_there_to_one_that_nobody_says_stays_a_conflict(mara, ready, real):
    keep_secret(by=mara, cluster=ready, purpose="admin", value="what-the-install-invented")
    with pytest.raises(Conflict, match="enter the one that holds there") as caught:
        administering.set_administrator_password(by=mara, cluster=ready, password=OTHER)
    assert OTHER not in str(caught.value) and kept(ready) == "what-the-install-invented"


def test_an_answer_that_was_lost_is_looked_up(mara, ready, changing, monkeypatch):
    genuine = PortalClient.change_password

    def lost(self, old, new):
        genuine(self, old, new)
        raise ManagerError(ErrorKind.UNREACHABLE, "no answer", is_unknown=True)

    monkeypatch.setattr(PortalClient, "change_password", lost)
    administering.set_administrator_password(by=mara, cluster=ready, password=OTHER)
    assert kept(ready) == OTHER


def test_what_the_cluster_refuses_is_told_without_the_password(mara, ready, real, monkeypatch):
    monkeypatch.setattr(administering, "_check", lambda password: None)  # its rules may be stricter than ours
    with pytest.raises(Conflict, match="does not take this password") as caught:
        administering.set_administrator_password(by=mara, cluster=ready, password="password12")
    assert "password12" not in str(caught.value) and kept(ready) == PASSWORD


@pytest.mark.parametrize("password", ["short", "password12", "x" * 300])
def test_a_weak_password_is_refused_before_anything_is_sent(mara, ready, at, password):
    at(refused_port())
    with pytest.raises(ValidationError):
        administering.set_administrator_password(by=mara, cluster=ready, password=password)
    assert not AuditEntry.objects.filter(action="secret.send").exists()


def test_a_cluster_that_does_not_serve_is_given_none(mara, ready, at):
    at(refused_port())
    Cluster.objects.filter(pk=ready.pk).update(state="planned")
    with pytest.raises(Conflict, match="once it serves"):
        administering.set_administrator_password(by=mara, cluster=Cluster.objects.get(pk=ready.pk), password=OTHER)


def test_the_page_wants_it_twice_and_the_api_once(ready, changing, browser, ask):
    address = f"/clusters/{ready.pk}/password/"
    said = browser.post(address, {"password": OTHER, "again": "typo"}, follow=True).text
    assert "the two passwords differ" in said and kept(ready) == PASSWORD
    assert "too short" in browser.post(address, {"password": "x", "again": "x"}, follow=True).text
    said = browser.post(address, {"password": OTHER, "again": OTHER}, follow=True).text
    assert "has the new password" in said and OTHER not in said and kept(ready) == OTHER
    reply = ask("solo", {"password": PASSWORD}, tail="administrator-password")
    assert reply.status_code == 204 and kept(ready) == PASSWORD
