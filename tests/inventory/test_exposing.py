"""Exposing a remote manager's tenant: what is made, and what the form takes."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from accounts import secrets
from accounts.errors import Conflict
from accounts.models import AuditEntry, Secret
from inventory.connections import read_target
from inventory.doubles import Account
from inventory.exposing import client_for, expose
from inventory.models import Credential, Deployment, Environment, SubManager
from inventory.sites import create_site
from tests.factories import actor
from tests.inventory.exposed import TOKEN, State, exposed

# --- the good day ----------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_one_form_makes_sub_manager_credential_secret_environment_and_deployment_and_looks_at_once(acme, alice, secure):
    create_site(by=actor(alice), tenant=acme, name="New York")
    environment = exposed(alice, acme, secure, site="New York", labels=[("Region", "US"), ("ring", "1")])
    assert (environment.state, environment.why) == (State.READY, "")
    assert environment.last_seen_at is not None
    manager = environment.sub_manager
    assert (str(manager), manager.trust, manager.version) == (
        f"https://127.0.0.1:{secure.port}",
        "ca_bundle",
        "7.1.0.dev1",
    )
    assert abs(manager.certificate_expires_at - secure.certificate.expires_at).total_seconds() < 1
    assert secrets.reveal(Secret.objects.get(name="plant-token")) == TOKEN
    assert environment.credential.last_success_at is not None
    row = environment.deployment
    row.refresh_from_db()
    assert (row.kind, row.site.name, row.deployment_status, row.installation_status) == (
        "environment",
        "New York",
        "good",
        "active",
    )
    assert sorted(row.labels.values_list("key", "value")) == [
        ("csys-obj-type", "environment"),
        ("region", "US"),
        ("ring", "1"),
    ]
    rungs = environment.probes.get().rungs
    assert [rung["state"] for rung in rungs] == ["passed"] * 8
    with client_for(environment) as client:
        assert client.whoami().username == "alice"


@pytest.mark.django_db
def test_a_user_and_a_password_become_two_secrets(acme, alice, double):
    environment = exposed(alice, acme, double, token=None, username="alice", password="alice-password")
    assert environment.state == State.READY
    credential = environment.credential
    assert credential.kind == Credential.Kind.PASSWORD
    assert (credential.username.name, credential.password.name) == ("plant-username", "plant-password")


@pytest.mark.django_db
def test_stored_secrets_are_used_as_they_are(acme, alice, double):
    stored = secrets.create_secret(by=actor(alice), tenant=acme, name="site-token", value=TOKEN)
    environment = exposed(alice, acme, double, token=None, token_secret="site-token")
    assert environment.state == State.READY
    assert environment.credential.token == stored
    assert Secret.objects.count() == 1


@pytest.mark.django_db
def test_two_tenants_of_one_manager_share_the_sub_manager(acme, alice, double):
    double.add_account(Account("eve", "eve-password", {"second": "manager"}))
    one = exposed(alice, acme, double)
    two = exposed(
        alice, acme, double, "plant2", remote_tenant="second", token=None, username="eve", password="eve-password"
    )
    assert one.sub_manager == two.sub_manager
    assert two.state == State.READY


@pytest.mark.django_db
def test_nothing_secret_is_in_the_audit_trail_or_in_what_a_probe_keeps(acme, alice, double):
    environment = exposed(alice, acme, double, token=None, username="alice", password="wrong-password")
    told = (
        str(list(AuditEntry.objects.values_list("before", "after")))
        + str(environment.probes.get().rungs)
        + environment.why
    )
    assert "wrong-password" not in told
    assert AuditEntry.objects.filter(action="environment.create", object_name="plant").exists()


# --- what is entered -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entered", "where"),
    [
        ({"endpoint": "manager.example.com"}, ("manager.example.com", "https", 443)),
        ({"endpoint": " Manager.Example.com ", "protocol": "http"}, ("manager.example.com", "http", 80)),
        ({"endpoint": "https://manager.example.com"}, ("manager.example.com", "https", 443)),
        ({"endpoint": "http://manager.example.com:8001/console/"}, ("manager.example.com", "http", 8001)),
        (
            {"endpoint": "http://manager.example.com", "protocol": "https", "port": 443},
            ("manager.example.com", "http", 80),
        ),
        ({"endpoint": "manager.example.com:8443", "port": 443}, ("manager.example.com", "https", 8443)),
        ({"endpoint": "192.0.2.7", "port": 8443}, ("192.0.2.7", "https", 8443)),
        ({"endpoint": "2001:db8::7"}, ("2001:db8::7", "https", 443)),
        ({"endpoint": "https://[2001:db8::7]:8443/api"}, ("2001:db8::7", "https", 8443)),
        ({"endpoint": "bücher.example"}, ("xn--bcher-kva.example", "https", 443)),
    ],
)
def test_an_endpoint_may_be_a_pasted_url(entered, where):
    target = read_target(entered)
    assert (target.endpoint, target.protocol, target.port) == where


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("wrong", "field", "words"),
    [
        ({"name": "Plant Lisbon"}, "name", "Use Plant-Lisbon, for example"),
        ({"name": ""}, "name", "is empty"),
        ({"name": "x" * 257}, "name", "too long"),
        ({"endpoint": ""}, "endpoint", "Enter the host name"),
        ({"endpoint": "https://"}, "endpoint", "host name"),
        ({"endpoint": "https://user:pw@host"}, "endpoint", "Leave user and password out"),
        ({"endpoint": "two words"}, "endpoint", "host name such as"),
        ({"endpoint": "host/path"}, "endpoint", "alone"),
        ({"endpoint": "host:99999"}, "endpoint", "host name such as"),
        ({"protocol": "ftp"}, "protocol", "http or https"),
        ({"port": 0}, "port", "from 1 to 65535"),
        ({"port": 65536}, "port", "from 1 to 65535"),
        ({"remote_tenant": "a\nb"}, "remote_tenant", "tenant name"),
        ({"trust": "blind"}, "trust", "Choose one of"),
        ({"trust": "ca_bundle", "ca_bundle": "hello"}, "ca_bundle", "no certificate"),
        (
            {"trust": "ca_bundle", "ca_bundle": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"},
            "ca_bundle",
            "cannot be read",
        ),
        ({"trust": "ca_bundle", "ca_bundle": "-----BEGIN PRIVATE KEY-----"}, "ca_bundle", "private key"),
        ({"trust": "fingerprint", "fingerprint": "AB:CD"}, "fingerprint", "64 hexadecimal"),
        ({"trust": "insecure"}, "insecure_reason", "Say why"),
        ({"token": ""}, "token", "Enter a token"),
        ({"token": "a\nb"}, "token", "Copy it again"),
        ({"username": "eve", "password": "pw"}, "token", "not both"),
        ({"token": "", "username": "eve"}, "password", "go together"),
        ({"token": "", "password": "pw"}, "username", "go together"),
        ({"token": "", "username": "e:ve", "password": "pw"}, "username", "no colon"),
        ({"token": "", "token_secret": "nowhere"}, "token_secret", "There is no secret nowhere here"),
        ({"labels": [("a b", "c")]}, "labels", "illegal characters"),
        ({"site": "Atlantis"}, "site", "There is no site Atlantis"),
    ],
)
def test_what_is_wrong_is_told_by_field_and_nothing_is_stored(acme, alice, wrong, field, words):
    given = {"name": "plant", "endpoint": "192.0.2.7", "protocol": "https", "token": TOKEN} | wrong
    with pytest.raises(ValidationError) as caught:
        expose(by=actor(alice), tenant=acme, **given)
    assert words in caught.value.message_dict[field][0]
    assert not (
        Environment.objects.exists()
        or Deployment.objects.exists()
        or Secret.objects.exists()
        or SubManager.objects.exists()
    )


@pytest.mark.django_db
def test_all_that_is_wrong_is_told_at_once(acme, alice):
    with pytest.raises(ValidationError) as caught:
        expose(by=actor(alice), tenant=acme, name="a b", endpoint="", port=0, token="", labels=[("ä", "x")])
    assert set(caught.value.message_dict) == {"name", "endpoint", "port", "token", "labels"}


@pytest.mark.django_db
def test_a_name_in_use_is_a_conflict_and_leaves_no_secret(acme, alice, double):
    exposed(alice, acme, double)
    with pytest.raises(Conflict, match=r"plant exists already in tenant acme\. Change that environment"):
        exposed(alice, acme, double)
    assert Secret.objects.count() == 1


@pytest.mark.django_db
def test_others_private_and_unreadable_secrets_are_not_lent(acme, alice, charlie, other, double):
    from tests.factories import member, user

    dora = user("dora")
    member(dora, acme, "user")
    secrets.create_secret(by=actor(dora), tenant=acme, name="hers", value=TOKEN, visibility="private")
    secrets.create_secret(by=actor(charlie), tenant=other, name="theirs", value=TOKEN)
    secrets.create_secret(
        by=actor(dora), tenant=acme, name="blueprint-secret", value=TOKEN, purpose="blueprint", is_hidden_value=True
    )
    for name in ("hers", "theirs", "blueprint-secret"):
        with pytest.raises(ValidationError, match=f"There is no secret {name} here that you may use"):
            exposed(alice, acme, double, token=None, token_secret=name)


@pytest.mark.django_db
def test_a_known_sub_manager_trusted_otherwise_is_a_conflict_that_names_its_environments(acme, alice, secure):
    exposed(alice, acme, secure)
    with pytest.raises(Conflict, match="is known here already, with trust “Own CA bundle”, as plant"):
        exposed(alice, acme, secure, "second", trust="insecure", insecure_reason="in a hurry")
    assert exposed(alice, acme, secure, "third", trust=None, ca_bundle=None).state == State.READY
