"""Sessions, one-time passwords, and the tenant of a page."""

import pytest

from accounts import services
from accounts.actors import SYSTEM
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def novice(acme):
    """Somebody with a one-time password."""
    user = factories.user("nina", must_change_password=True)
    factories.member(user, acme, "manager")
    return user


def test_a_one_time_password_opens_the_page_that_changes_it_and_nothing_else(client, novice):
    client.force_login(novice)
    for address in ("/", "/secrets/", "/tokens/", "/admin/"):
        reply = client.get(address)
        assert (reply.status_code, reply["Location"]) == (302, "/password/")
    refused = client.get("/api/v1/secrets/")
    assert refused.status_code == 403 and "one-time password" in refused.json()["detail"]
    assert client.get("/healthz").status_code == 200


def test_after_the_change_everything_opens(client, novice):
    client.force_login(novice)
    services.set_password(by=factories.actor(novice), user=novice, password="my-own-long-password")
    client.force_login(novice)
    assert client.get("/api/v1/secrets/").status_code == 200


def test_the_api_changes_ones_own_password_and_asks_for_the_old_one(client, alice):
    client.force_login(alice)
    wrong = client.post(
        "/api/v1/me/password/", {"old": "no", "new": "my-own-long-password"}, content_type="application/json"
    )
    assert wrong.status_code == 400 and "not your present password" in wrong.json()["detail"]
    right = client.post(
        "/api/v1/me/password/",
        {"old": factories.PASSWORD, "new": "my-own-long-password"},
        content_type="application/json",
    )
    assert right.status_code == 204
    alice.refresh_from_db()
    assert alice.check_password("my-own-long-password")


def test_a_session_acts_in_the_tenant_that_was_chosen(client, alice, other):
    factories.member(alice, other, "viewer")
    client.force_login(alice)
    assert client.get("/api/v1/me/").json()["tenant"] == "acme"
    client.post("/switch-tenant/", {"tenant": "other"})
    assert client.get("/api/v1/me/").json()["tenant"] == "other"
    assert client.get("/api/v1/me/", headers={"Tenant": "acme"}).json()["tenant"] == "acme"


def test_a_chosen_tenant_in_which_the_role_ended_is_left(client, alice, other):
    membership = factories.member(alice, other, "viewer")
    client.force_login(alice)
    client.post("/switch-tenant/", {"tenant": "other"})
    services.remove_membership(by=SYSTEM, membership=membership)
    assert client.get("/api/v1/me/").json()["tenant"] == "acme"


def test_a_session_of_the_api_is_held_to_the_csrf_token(alice):
    from django.test import Client

    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)
    reply = strict.post("/api/v1/tokens/", {}, content_type="application/json")
    assert reply.status_code == 403 and "CSRF" in reply.json()["detail"]


def test_the_admins_own_password_page_leads_to_ours_which_is_audited(client, admin):
    client.force_login(admin)
    assert client.get("/admin/password_change/")["Location"] == "/password/"
