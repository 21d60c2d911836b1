"""Pages of accounts: sign in, password, tokens, secrets, tenants, users, audit."""

from __future__ import annotations

import re

import pytest

from accounts import audit
from accounts.models import ApiToken, Membership, Secret, User
from tests import factories

pytestmark = pytest.mark.django_db


def test_a_visitor_is_sent_to_the_sign_in_page_and_back(client, alice):
    reply = client.get("/secrets/?q=x")
    assert reply.status_code == 302 and reply["Location"] == "/login/?next=/secrets/%3Fq%3Dx"
    reply = client.post(
        reply["Location"], {"username": "alice", "password": factories.PASSWORD, "next": "/secrets/?q=x"}
    )
    assert reply["Location"] == "/secrets/?q=x"


def test_a_wrong_password_says_so_and_keeps_the_name(client, alice):
    reply = client.post("/login/", {"username": "alice", "password": "not-hers-at-all"})
    assert "This name and password do not match" in reply.text
    assert 'value="alice"' in reply.text and "not-hers-at-all" not in reply.text


def test_a_one_time_password_opens_nothing_but_its_change(signed_in, alice):
    User.objects.filter(pk=alice.pk).update(must_change_password=True)
    client = signed_in(alice)
    assert client.get("/environments/")["Location"] == "/password/"
    page = client.get("/password/").text
    assert "then everything else opens" in page and "Environments" not in page
    wrong = client.post(
        "/password/", {"old": factories.PASSWORD, "new": "another-long-one-1", "again": "differs-here-1"}
    )
    assert "The two new passwords differ." in wrong.text
    right = {"old": factories.PASSWORD, "new": "another-long-one-1", "again": "another-long-one-1"}
    assert client.post("/password/", right)["Location"] == "/"
    assert client.get("/environments/").status_code == 200


def test_a_token_is_shown_once_and_can_be_revoked(signed_in, alice):
    client = signed_in(alice)
    reply = client.post("/tokens/", {"description": "nightly job", "days": "30"})
    value = re.search(r"ctok-\w+-\w{20,}", reply.text)
    assert value and reply["Cache-Control"] == "no-store"
    assert value[0] not in client.get("/tokens/").text
    token = ApiToken.objects.get(user=alice)
    client.post(f"/tokens/{token.pk}/revoke/")
    assert f"ctok-{token.pk}-" not in client.get("/tokens/").content.decode().split("</section>")[-1]
    assert not ApiToken.objects.filter(user=alice, pk=token.pk).exists()


def test_a_token_of_somebody_else_cannot_be_revoked(signed_in, alice, charlie):
    factories.token(charlie)
    token = ApiToken.objects.get(user=charlie)
    assert signed_in(alice).post(f"/tokens/{token.pk}/revoke/").status_code == 404


def test_a_secret_goes_in_and_its_value_never_comes_out(signed_in, alice, acme):
    client = signed_in(alice)
    form = {"name": "db-password", "purpose": "blueprint", "value": "s3cret-xyz", "visibility": "tenant"}
    assert client.post("/secrets/", form)["Location"] == "/secrets/"
    assert "db-password" in client.get("/secrets/").text and "s3cret-xyz" not in client.get("/secrets/").text
    again = client.post("/secrets/", form)
    assert again.status_code == 400 and "db-password" in again.text and "s3cret-xyz" not in again.text
    secret = Secret.objects.get(name="db-password")
    assert client.post(f"/secrets/{secret.pk}/", {"value": "another"})["Location"] == "/secrets/"
    client.post(f"/secrets/{secret.pk}/delete/")
    assert not Secret.objects.filter(pk=secret.pk).exists()


def test_a_secret_in_use_is_not_deleted_and_the_page_names_its_users(signed_in, alice, acme):
    from tests.inventory.factories import credential

    used = credential(acme).token
    Secret.objects.filter(pk=used.pk).update(created_by=alice)
    reply = signed_in(alice).post(f"/secrets/{used.pk}/delete/", follow=True)
    assert "is in use by" in reply.text and Secret.objects.filter(pk=used.pk).exists()


def test_a_private_secret_is_not_listed_to_others(signed_in, alice, bob, acme):
    factories.secret(acme, "mine-alone", by=factories.actor(alice), visibility="private")
    assert "mine-alone" in signed_in(alice).get("/secrets/").text
    assert "mine-alone" not in signed_in(bob).get("/secrets/").text


def test_only_an_administrator_may_choose_global(signed_in, alice, admin, acme):
    assert 'value="global"' not in signed_in(alice).get("/secrets/").text
    assert 'value="global"' in signed_in(admin, acme).get("/secrets/").text


def test_a_viewer_sees_secrets_without_buttons_to_change_them(signed_in, bob, acme):
    factories.secret(acme, "shared")
    page = signed_in(bob).get("/secrets/").text
    assert "shared" in page and "Store secret" not in page and "Delete" not in page


def test_an_administrator_makes_tenants_users_and_roles(signed_in, admin, alice):
    client = signed_in(admin)
    reply = client.post("/tenants/", {"name": "north"}, follow=True)
    tenant = reply.redirect_chain[-1][0]
    reply = client.post(tenant, {"user": "alice", "role": "viewer"}, follow=True)
    assert "alice is viewer in north." in reply.text
    membership = Membership.objects.get(tenant__name="north", user=alice)
    client.post(f"{tenant}members/{membership.pk}/remove/")
    assert not Membership.objects.filter(pk=membership.pk).exists()
    client.post("/users/", {"username": "dora", "password": "a-first-password"})
    assert User.objects.get(username="dora").must_change_password
    assert "already" in client.post("/users/", {"username": "dora", "password": "a-first-password"}).text
    assert client.post("/tenants/", {"name": "1 bad"}).status_code == 400


def test_the_audit_page_shows_this_tenant_only(signed_in, admin, acme, other):
    factories.secret(acme, "of-acme", by=factories.actor(admin))
    factories.secret(other, "of-other", by=factories.actor(admin))
    page = signed_in(admin, acme).get("/audit/").text
    assert "of-acme" in page and "of-other" not in page
    assert "of-acme" not in signed_in(admin, acme).get("/audit/?q=nosuch").text


def test_the_audit_page_says_what_changed_value_by_value(signed_in, admin, acme):
    by = factories.actor(admin)
    before, after = {"a": 1, "b": "x"}, {"a": 1, "b": ["é"]}
    audit.record(by=by, tenant=acme, action="site.update", row=acme, before=before, after=after)
    page = signed_in(admin, acme).get("/audit/?q=site.update").text
    assert "1 value" in page and "<del>x</del>" in page and "[&quot;é&quot;]" in page
    assert "{&#x27;" not in page and ">a</dt>" not in page


def test_an_administrator_finds_what_belongs_to_no_tenant_and_nobody_else_does(signed_in, admin, alice, acme):
    factories.secret(acme, "of-acme", by=factories.actor(admin))
    signed_in(admin).post("/users/", {"username": "dora", "password": "a-first-password"})
    client = signed_in(admin, acme)
    assert "user.create" not in client.get("/audit/").text and "of=installation" in client.get("/audit/").text
    page = client.get("/audit/?of=installation").text
    assert "user.create" in page and "dora" in page and "of-acme" not in page
    factories.member(alice, acme, "manager")
    page = signed_in(alice, acme).get("/audit/?of=installation").text
    assert "dora" not in page and "of=installation" not in page and "of-acme" in page


def test_a_role_is_taken_after_a_question(signed_in, admin, alice, acme):
    page = signed_in(admin).get(f"/tenants/{acme.pk}/").text
    assert "Take the role of alice?" in page and "data-cancel" in page


def test_switching_the_tenant_stays_on_lists_and_leaves_rows(signed_in, admin, acme, other):
    client = signed_in(admin, acme)
    assert client.post("/switch-tenant/", {"tenant": "other", "next": "/secrets/?q=x"})["Location"] == "/secrets/"
    assert client.post("/switch-tenant/", {"tenant": "acme", "next": "/environments/5/"})["Location"] == "/"
    assert client.post("/switch-tenant/", {"tenant": "acme", "next": "//evil.example/"})["Location"] == "/"


def test_a_tenant_without_a_role_is_refused_in_words(signed_in, alice, other):
    reply = signed_in(alice).post("/switch-tenant/", {"tenant": "other", "next": "/"}, follow=True)
    assert "You have no role in tenant other" in reply.text
