"""Secrets: who may store, change and read them, and that a value is found nowhere."""

import json
import logging

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from accounts import secrets
from accounts.errors import Conflict
from accounts.models import AuditEntry, Secret
from tests import factories
from tests.factories import actor

pytestmark = pytest.mark.django_db
VALUE = "unmistakable-s3cret-value"


def blueprint_secret(owner, tenant, **more):
    return secrets.create_secret(by=actor(owner), tenant=tenant, name="k", value=VALUE, purpose="blueprint", **more)


def test_a_stored_value_is_revealed_to_operations(alice, acme):
    secret = secrets.create_secret(by=actor(alice), tenant=acme, name="k", value=VALUE)
    assert secrets.reveal(Secret.objects.get(pk=secret.pk)) == VALUE


def test_a_replaced_value_is_the_new_one_and_sealed_anew(alice, acme):
    secret = secrets.create_secret(by=actor(alice), tenant=acme, name="k", value=VALUE)
    before = bytes(secret.ciphertext)
    secrets.replace_secret(by=actor(alice), secret=secret, value="another")
    stored = Secret.objects.get()
    assert secrets.reveal(stored) == "another" and bytes(stored.ciphertext) != before


def test_a_name_is_taken_once_a_tenant(alice, acme, other):
    secrets.create_secret(by=actor(alice), tenant=acme, name="k", value=VALUE)
    with pytest.raises(Conflict, match="already"):
        secrets.create_secret(by=actor(alice), tenant=acme, name="k", value=VALUE)
    secrets.create_secret(by=actor(alice), tenant=other, name="k", value=VALUE)


def test_a_global_name_is_the_only_one(admin, alice, acme, other):
    secrets.create_secret(by=actor(admin), tenant=other, name="k", value=VALUE, visibility="global")
    with pytest.raises(Conflict, match="another tenant"):
        secrets.create_secret(by=actor(alice), tenant=acme, name="k", value=VALUE)


@pytest.mark.parametrize("name", ["", "1k", "with space", "ä", "a/b", "k" * 257, "k\n"])
def test_names_follow_the_rules_of_the_wire(alice, acme, name):
    with pytest.raises(ValidationError, match="begin with a letter"):
        secrets.create_secret(by=actor(alice), tenant=acme, name=name, value=VALUE)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"value": ""}, "empty credential"),
        ({"value": "x" * 70_000}, "at most 64 KiB"),
        ({"purpose": "other"}, "credential, blueprint"),
        ({"visibility": "world"}, "private, tenant, global"),
    ],
)
def test_what_cannot_be_stored_is_refused_in_words(alice, acme, more, words):
    with pytest.raises(ValidationError, match=words):
        secrets.create_secret(**{"by": actor(alice), "tenant": acme, "name": "k", "value": VALUE} | more)
    assert not Secret.objects.exists()


def test_only_system_administrators_make_global_secrets(alice, acme, admin):
    with pytest.raises(PermissionDenied, match="system administrator"):
        blueprint_secret(alice, acme, visibility="global")
    assert blueprint_secret(admin, acme, visibility="global").visibility == "global"


def test_visibility_widens_and_never_narrows(alice, acme):
    secret = blueprint_secret(alice, acme, visibility="private")
    secrets.change_secret(by=actor(alice), secret=secret, visibility="tenant")
    with pytest.raises(ValidationError, match="only widen"):
        secrets.change_secret(by=actor(alice), secret=secret, visibility="private")


@pytest.mark.parametrize("is_hidden", [False, True])
def test_a_blueprint_secret_is_read_by_creator_managers_and_administrators_each_audited(
    alice, bob, admin, acme, charlie, is_hidden
):
    secret = blueprint_secret(alice, acme, is_hidden_value=is_hidden)
    manager, colleague = factories.user("mia"), factories.user("carl")
    factories.member(manager, acme, "manager")
    factories.member(colleague, acme, "user")
    readers = {
        person.username: secrets.read_blueprint_secret(by=actor(person), secret=secret)
        for person in (alice, manager, admin, bob, colleague, charlie)
    }
    assert readers == {"alice": VALUE, "mia": VALUE, "admin": VALUE, "bob": "", "carl": "", "charlie": ""}
    assert sorted(AuditEntry.objects.filter(action="secret.read").values_list("actor", flat=True)) == [
        "admin",
        "alice",
        "mia",
    ]


def test_a_creator_who_left_the_tenant_reads_no_more(alice, acme):
    secret = blueprint_secret(alice, acme)
    alice.memberships.all().delete()
    assert secrets.read_blueprint_secret(by=actor(alice), secret=secret) == ""


def test_a_credential_is_read_back_by_nobody(admin, acme):
    secret = secrets.create_secret(by=actor(admin), tenant=acme, name="k", value=VALUE)
    assert secrets.read_blueprint_secret(by=actor(admin), secret=secret) == ""


@pytest.mark.parametrize(
    ("more", "words"), [({"is_hidden_value": True}, "hidden"), ({"visibility": "private"}, "private")]
)
def test_hidden_and_private_secrets_are_changed_by_creator_and_managers_only(alice, acme, more, words):
    secret = blueprint_secret(alice, acme, **more)
    colleague, manager = factories.user("carl"), factories.user("mia")
    factories.member(colleague, acme, "user")
    factories.member(manager, acme, "manager")
    with pytest.raises(PermissionDenied, match=words):
        secrets.replace_secret(by=actor(colleague), secret=secret, value="x")
    with pytest.raises(PermissionDenied, match=words):
        secrets.delete_secret(by=actor(colleague), secret=secret)
    secrets.replace_secret(by=actor(manager), secret=secret, value="x")
    secrets.delete_secret(by=actor(alice), secret=secret)


def test_a_secret_in_use_is_not_deleted_and_nothing_is_audited(alice, acme):
    from inventory.models import Credential

    secret = factories.secret(acme)
    Credential.objects.create(tenant=acme, kind="token", token=secret)
    with pytest.raises(Conflict, match="in use by credential"):
        secrets.delete_secret(by=actor(alice), secret=secret)
    assert not AuditEntry.objects.filter(action="secret.delete").exists()


def test_a_value_is_found_in_no_reply_log_audit_entry_or_row(client, alice, acme, caplog):
    client.force_login(alice)
    with caplog.at_level(logging.DEBUG):
        made = client.post(
            "/api/v1/secrets/", {"name": "k", "value": VALUE, "purpose": "blueprint"}, content_type="application/json"
        )
        address = f"/api/v1/secrets/{made.json()['id']}/"
        replies = [
            made,
            client.get("/api/v1/secrets/"),
            client.get(address),
            client.patch(address, {"value": VALUE + "2"}, content_type="application/json"),
            client.post("/api/v1/secrets/", {"name": "k", "value": VALUE}, content_type="application/json"),
            client.post("/api/v1/secrets/", {"name": "1", "value": VALUE}, content_type="application/json"),
        ]
    assert [reply.status_code for reply in replies] == [201, 200, 200, 200, 409, 400]
    seen = "".join(reply.content.decode() for reply in replies) + caplog.text
    seen += json.dumps(list(AuditEntry.objects.values("before", "after", "object_name"))) + str(Secret.objects.values())
    assert VALUE not in seen
    assert replies[1].json()["results"][0]["has_value"] is True


def test_private_secrets_of_others_are_not_listed(client, alice, bob, acme):
    blueprint_secret(alice, acme, visibility="private")
    client.force_login(bob)
    assert client.get("/api/v1/secrets/").json()["count"] == 0
    client.force_login(alice)
    assert client.get("/api/v1/secrets/").json()["count"] == 1


def test_a_global_secret_is_seen_everywhere_and_changed_at_home_only(client, admin, charlie, other, acme):
    secret = blueprint_secret(admin, acme, visibility="global")
    client.force_login(charlie)
    assert client.get(f"/api/v1/secrets/{secret.pk}/").json()["tenant"] == "acme"
    assert client.delete(f"/api/v1/secrets/{secret.pk}/").status_code == 404
    assert (
        client.patch(f"/api/v1/secrets/{secret.pk}/", {"value": "x"}, content_type="application/json").status_code
        == 404
    )
