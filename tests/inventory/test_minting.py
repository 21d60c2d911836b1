"""From a user and a password to a token that is kept alone."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from accounts import secrets
from accounts.errors import Conflict
from accounts.models import AuditEntry, Secret
from inventory.doubles import Fault, FaultKind
from inventory.exposing import expose, update_environment
from inventory.models import Environment
from tests.factories import actor
from tests.factories import secret as make_secret

pytestmark = pytest.mark.django_db
LOGIN = {"username": "alice", "password": "alice-password", "mint_token": True}


def exposed(alice, acme, double, name="plant", **more):
    where = {"endpoint": "127.0.0.1", "port": double.port, "protocol": "http", "remote_tenant": "acme"}
    return expose(by=actor(alice), tenant=acme, name=name, **(where | more))


def test_the_token_is_kept_and_the_password_is_not(acme, alice, double):
    environment = exposed(alice, acme, double, **LOGIN)
    credential = environment.credential
    assert credential.kind == "token"
    assert (credential.username, credential.password) == (None, None)
    assert [row.name for row in Secret.objects.all()] == ["plant-token"]
    assert secrets.reveal(credential.token) != "alice-password"
    assert "alice-password" not in str(list(AuditEntry.objects.values()))


def test_stored_secrets_serve_too_and_that_they_were_sent_is_in_the_audit_trail(acme, alice, double):
    make_secret(acme, "pw", "alice-password", by=actor(alice))
    environment = exposed(alice, acme, double, username="alice", password_secret="pw", mint_token=True)
    assert environment.credential.kind == "token"
    assert AuditEntry.objects.filter(action="secret.send").count() == 1


def test_an_environment_is_changed_to_a_token_of_its_own(acme, alice, double):
    environment = exposed(alice, acme, double, username="alice", password="alice-password")
    update_environment(by=actor(alice), environment=environment, **LOGIN)
    environment.refresh_from_db()
    assert environment.credential.kind == "token"
    assert [row.name for row in Secret.objects.all()] == ["plant-token"]


@pytest.mark.parametrize(
    ("login", "field"),
    [
        ({"username": "alice", "password": "wrong", "mint_token": True}, "password"),
        ({"token": "ctok-alice-0123456789", "mint_token": True}, "mint_token"),
    ],
)
def test_where_no_token_can_be_made_nothing_is_saved_and_the_field_says_why(acme, alice, double, login, field):
    with pytest.raises(ValidationError) as caught:
        exposed(alice, acme, double, **login)
    assert list(caught.value.message_dict) == [field]
    assert not Environment.objects.exists() and not Secret.objects.exists()


def test_a_manager_that_makes_no_tokens_is_told_and_nothing_is_saved(acme, alice, double):
    double.faults.append(Fault(FaultKind.ERROR, "POST", "/tokens"))
    with pytest.raises(ValidationError, match="keep user and password"):
        exposed(alice, acme, double, **LOGIN)
    assert not Environment.objects.exists()


def test_the_token_is_revoked_where_exposing_fails_after_all(acme, alice, double):
    exposed(alice, acme, double, **LOGIN)
    with pytest.raises(Conflict):
        exposed(alice, acme, double, **LOGIN)
    assert double.count("POST", "/tokens") == 2 and double.count("DELETE", "/tokens") == 1
