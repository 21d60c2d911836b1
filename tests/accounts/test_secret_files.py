"""Secrets that move between managers in a file."""

from __future__ import annotations

import pytest

from accounts.actors import Actor
from accounts.models import AuditEntry, Secret
from accounts.secret_files import PassphraseLock, WrongPassphrase, export_secrets, import_secrets
from accounts.secrets import create_secret, reveal
from tests import factories

PASSPHRASE = "open-sesame-please"
# Made by the library of existing managers from "grüße".
THEIRS = "gAAAAABrAvb20JFA4JvrDkTLIigFLpeDhc4Dgkhl49ZUzvawcxLrD7ut73RxjGBtn730KtRCqZJfiezzJFSjtc-JLyK2MXQtig=="


def test_a_value_that_an_existing_manager_wrote_is_opened():
    assert PassphraseLock(PASSPHRASE).open(THEIRS) == "grüße"


def test_what_is_closed_opens_with_the_same_passphrase_alone():
    closed = PassphraseLock(PASSPHRASE).close("value")
    assert PassphraseLock(PASSPHRASE).open(closed) == "value" and "value" not in closed
    for text in (closed[:-4] + "AAA=", closed[:40], "", "§§", "gAAAAA=="):
        with pytest.raises(WrongPassphrase):
            PassphraseLock(PASSPHRASE).open(text)
    with pytest.raises(WrongPassphrase):
        PassphraseLock("another").open(closed)


@pytest.fixture
def bob(acme):
    user = factories.user("bob")
    factories.member(user, acme, "manager")
    return user


def entry(**more):
    return {
        "key": "k", "value": "v", "visibility": "tenant", "tenant_name": "acme", "is_hidden_value": False,
        "encrypted": False,
    } | more  # fmt: skip


@pytest.mark.django_db
def test_credentials_are_never_written_out_and_each_reading_is_audited(acme, bob):
    by = Actor(user=bob, via="test")
    for purpose in Secret.Purpose.values:
        create_secret(by=by, tenant=acme, name=f"of-{purpose}", value="v", purpose=purpose)
    written = export_secrets(by=by, secrets=Secret.objects.select_related("tenant"))
    assert [one["key"] for one in written] == ["of-blueprint"]
    assert AuditEntry.objects.filter(action="secret.read").count() == 1


@pytest.mark.django_db
def test_each_entry_is_taken_for_itself_and_its_faults_are_told(acme, other, bob):
    by = Actor(user=bob, via="test")
    entries = [
        entry(),
        entry(),
        entry(key=""),
        entry(key="bad name!"),
        entry(key="there", tenant_name="other"),
        entry(key="closed", encrypted=True),
        entry(key="wide", visibility="galaxy"),
        entry(key="text", encrypted="perhaps"),
        "no object",
    ]
    imported = import_secrets(by=by, user=bob, entries=entries)
    assert imported.colliding == {"acme": ["k"]}
    assert {place: sorted(faults) for place, faults in imported.errors.items()} == {
        2: ["missing secret fields"],
        3: ["secret"],
        4: ["tenant_name"],
        5: ["No passphrase"],
        6: ["visibility"],
        7: ["encrypted"],
        8: ["secret"],
    }
    assert list(Secret.objects.values_list("name", flat=True)) == ["k"]


@pytest.mark.django_db
def test_overriding_replaces_values_but_not_credentials(acme, bob):
    by = Actor(user=bob, via="test")
    create_secret(by=by, tenant=acme, name="k", value="old", purpose=Secret.Purpose.BLUEPRINT)
    create_secret(by=by, tenant=acme, name="c", value="old")
    imported = import_secrets(by=by, user=bob, entries=[entry(), entry(key="c")], overrides=True)
    assert list(imported.errors) == [1]
    assert {secret.name: reveal(secret) for secret in Secret.objects.all()} == {"k": "v", "c": "old"}
