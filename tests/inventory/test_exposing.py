"""Exposing a remote manager's tenant: what the form takes, what is made, what the first look finds, changing and removing."""

from __future__ import annotations

import time

import pytest
from django.core.exceptions import ValidationError

from accounts import secrets
from accounts.errors import Conflict
from accounts.models import AuditEntry, Secret
from inventory import probing
from inventory.connections import read_target
from inventory.connectors.address import Timeouts
from inventory.connectors.rungs import RungState
from inventory.doubles import Account, Fault, FaultKind, ManagerDouble, refused_port
from inventory.doubles.server import default_authority
from inventory.exposing import client_for, expose, hide, probe, update_environment
from inventory.exposing import test_connection as try_connection
from inventory.models import Credential, Deployment, Environment, Probe, SubManager
from inventory.sites import create_site
from tests.factories import actor
from tests.inventory import factories

TOKEN = "ctok-alice-0123456789"
State = Environment.State


def form(double: ManagerDouble, **more):
    """What somebody enters for a double, with Alice's token there."""
    fields = {"endpoint": "127.0.0.1", "port": double.port, "protocol": "http", "remote_tenant": "acme", "token": TOKEN}
    if double.certificate:
        fields |= {"protocol": "https", "trust": "ca_bundle", "ca_bundle": default_authority().pem}
    return {name: value for name, value in (fields | more).items() if value is not None}


def exposed(user, tenant, double, name="plant", **more):
    return expose(by=actor(user), tenant=tenant, name=name, **form(double, **more))


def failed_rung(environment):
    return next(rung for rung in environment.probes.first().rungs if rung["state"] == "failed")


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


# --- bad days: each ends with a named cause, and never as good ---------------------------------------------------------


def assert_bad(environment, rung, words, state=State.UNREACHABLE):
    environment.refresh_from_db()
    assert environment.state == state
    assert words in environment.why
    assert failed_rung(environment)["key"] == rung
    assert failed_rung(environment)["remedy"]
    assert environment.deployment.deployment_status == Deployment.DeploymentStatus.REQUIRES_ATTENTION
    assert environment.state_since is not None and environment.last_probe_at is not None


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("entered", "rung", "words"),
    [
        (
            {"token": None, "username": "alice", "password": "wrong"},
            "credential",
            "does not accept this user and password",
        ),
        ({"token": "ctok-nobody-000"}, "credential", "does not know this token"),
        ({"token": "junk"}, "credential", "Copy the whole token again"),
        ({"remote_tenant": "nowhere"}, "tenant", "has no tenant nowhere"),
        ({"token": "ctok-bob-0123456789"}, "role", "too little to upload blueprints"),
        ({"endpoint": "nosuch.invalid"}, "name", "The name nosuch.invalid is not known"),
        ({"port": refused_port()}, "tcp", "no manager listens there"),
        ({"protocol": "https"}, "tls", ""),
    ],
)
def test_a_wrong_entry_is_saved_with_the_rung_where_it_stopped(acme, alice, double, impatient, entered, rung, words):
    environment = exposed(alice, acme, double, **entered)
    assert_bad(environment, rung, words)
    assert environment.probes.get().failed_rung == rung
    if rung in ("credential", "tenant", "role"):
        assert environment.credential.last_failure and environment.credential.last_failure_at


@pytest.mark.django_db
def test_an_expired_token_says_so(acme, alice, double, impatient):
    double.add_account(
        Account("old", "pw-of-old", {"acme": "user"}, token="ctok-old-0123456789", is_token_expired=True)
    )
    assert_bad(exposed(alice, acme, double, token="ctok-old-0123456789"), "credential", "has expired")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fault", "rung", "words", "state"),
    [
        (FaultKind.HTML, "version", "web page instead of JSON", State.UNREACHABLE),
        (FaultKind.BAD_GATEWAY, "version", "REST service behind it does not", State.UNREACHABLE),
        (FaultKind.MAINTENANCE, "version", "maintenance mode", State.MAINTENANCE),
        (FaultKind.HALF_REPLY, "version", "broke off in the middle of a reply", State.UNREACHABLE),
        (FaultKind.HANG, "version", "did not answer in time", State.UNREACHABLE),
        (FaultKind.DRIP, "version", "", State.UNREACHABLE),
        (FaultKind.RESET, "version", "closed the connection", State.UNREACHABLE),
        (FaultKind.WRONG_SHAPE, "version", "not as a manager does", State.UNREACHABLE),
        (FaultKind.REDIRECT, "version", "redirects are not followed", State.UNREACHABLE),
        (FaultKind.NOT_HTTP, "version", "not in HTTP", State.UNREACHABLE),
        (FaultKind.ERROR, "version", "failed inside (500)", State.UNREACHABLE),
    ],
)
def test_a_bad_day_has_a_named_cause(acme, alice, double, impatient, fault, rung, words, state):
    double.faults = [Fault(fault, path="/version")]
    assert_bad(exposed(alice, acme, double), rung, words, state)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("certificate", "trust", "words"),
    [
        (lambda: default_authority().issue(days=-1), {}, "expired"),
        (lambda: default_authority().issue(("other.example",)), {}, "another name"),
        (lambda: default_authority().issue(), {"trust": "system", "ca_bundle": None}, "CA bundle"),
        (lambda: default_authority().issue(), {"trust": "fingerprint", "fingerprint": "ab" * 32}, "not the pinned one"),
    ],
)
def test_a_wrong_certificate_says_what_is_wrong_with_it(acme, alice, loopback, impatient, certificate, trust, words):
    with ManagerDouble(certificate()) as double:
        assert_bad(exposed(alice, acme, double, **trust), "tls", words)


@pytest.mark.django_db
def test_an_address_of_this_machine_is_not_called_unless_allowed(acme, alice, settings):
    settings.ENDPOINT_NETWORKS = []
    with ManagerDouble() as double:
        assert_bad(exposed(alice, acme, double), "name", "ENDPOINT_NETWORKS")
        assert not double.requests


@pytest.mark.django_db
def test_a_climb_that_takes_too_long_is_cut_off(acme, alice, double, monkeypatch):
    monkeypatch.setattr(probing, "_QUICK", Timeouts(connect=30.0, read=30.0))
    environment = factories.environment(acme)
    double.faults = [Fault(FaultKind.SLOW, path="/version", seconds=3)]
    environment = exposed_without_probe(alice, acme, double, monkeypatch)
    began = time.monotonic()
    probe(environment, cap_seconds=0.7)
    assert time.monotonic() - began < 2
    assert_bad(environment, "version", "took longer than 1 s")
    assert [rung["state"] for rung in environment.probes.first().rungs[:4]] == [
        "passed",
        "passed",
        "not_tried",
        "warned",
    ]
    assert environment.probes.first().rungs[5]["state"] == RungState.NOT_TRIED


def exposed_without_probe(user, tenant, double, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("inventory.exposing.probe", lambda environment: None)
        return exposed(user, tenant, double)


# --- states ----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_certificate_near_its_end_degrades_and_a_pinned_or_unverified_one_does_not(acme, alice, loopback):
    with ManagerDouble(default_authority().issue(days=5)) as double:
        environment = exposed(alice, acme, double)
        assert environment.state == State.DEGRADED
        assert "expires in 4 days" in environment.why
        assert environment.deployment.deployment_status == Deployment.DeploymentStatus.REQUIRES_ATTENTION
    with ManagerDouble.secure() as double:
        pinned = exposed(
            alice,
            acme,
            double,
            "pinned",
            trust="fingerprint",
            fingerprint=double.certificate.fingerprint,
            ca_bundle=None,
        )
        assert (pinned.state, len(pinned.sub_manager.fingerprint)) == (State.READY, 95)
        hide(by=actor(alice), environment=pinned)
        unverified = exposed(alice, acme, double, "unverified", trust="insecure", insecure_reason="lab", ca_bundle=None)
        assert (unverified.state, unverified.sub_manager.insecure_reason) == (State.READY, "lab")


@pytest.mark.django_db
def test_clocks_apart_degrade(acme, alice, loopback):
    with ManagerDouble(clock_skew=300) as double:
        environment = exposed(alice, acme, double)
    assert environment.state == State.DEGRADED
    assert "Set both clocks" in environment.why


@pytest.mark.django_db
def test_an_environment_that_goes_and_comes_back_tells_since_when(acme, alice, double, impatient):
    environment = exposed(alice, acme, double)
    since = environment.state_since
    probe(environment)
    assert environment.state_since == since
    double.faults = [Fault(FaultKind.HANG)]
    probe(environment)
    assert environment.state == State.UNREACHABLE and environment.state_since > since
    seen = environment.last_seen_at
    double.faults = []
    double.close_connections()
    probe(environment)
    environment.deployment.refresh_from_db()
    assert (environment.state, environment.why, environment.deployment.deployment_status) == (State.READY, "", "good")
    assert environment.last_seen_at > seen
    assert list(environment.probes.values_list("is_ready", flat=True)) == [True, False, True, True]


@pytest.mark.django_db
def test_only_the_last_probes_are_kept(acme, alice, double, monkeypatch):
    monkeypatch.setattr(probing, "KEPT", 3)
    environment = exposed(alice, acme, double)
    first = environment.probes.get().pk
    for _ in range(4):
        probe(environment)
    assert environment.probes.count() == 3
    assert not Probe.objects.filter(pk=first).exists()


@pytest.mark.django_db
def test_a_secret_that_does_not_open_fails_at_the_credential(acme, alice, double):
    environment = exposed(alice, acme, double)
    Secret.objects.update(ciphertext=b"spoiled")
    environment = Environment.objects.for_connecting().get(pk=environment.pk)
    probe(environment)
    assert environment.state == State.UNREACHABLE
    assert "The stored credential does not open" in environment.why


# --- trying, changing, removing --------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_connection_is_tried_without_saving_anything(acme, alice, secure, django_assert_max_num_queries):
    rungs = try_connection(by=actor(alice), tenant=acme, **form(secure))
    assert [rung["state"] for rung in rungs] == ["passed"] * 8
    rungs = try_connection(by=actor(alice), tenant=acme, **form(secure, trust="system"))
    assert rungs[2]["state"] == "failed"
    assert secure.certificate.fingerprint[:2].upper() + ":" in str(rungs) or rungs[2]["remedy"]
    assert not (Environment.objects.exists() or Secret.objects.exists() or SubManager.objects.exists())


@pytest.mark.django_db
def test_an_environment_is_given_another_password_in_its_own_secret(acme, alice, double, impatient):
    environment = exposed(alice, acme, double, token=None, username="alice", password="wrong")
    assert environment.state == State.UNREACHABLE
    update_environment(by=actor(alice), environment=environment, username="alice", password="alice-password")
    assert environment.state == State.READY
    assert Secret.objects.count() == 2
    update_environment(by=actor(alice), environment=environment, token=TOKEN)
    assert (environment.credential.kind, environment.state) == (Credential.Kind.TOKEN, State.READY)


@pytest.mark.django_db
def test_an_environment_moves_to_another_address_and_the_unused_sub_manager_goes(acme, alice, double, secure):
    environment = exposed(alice, acme, double)
    update_environment(
        by=actor(alice),
        environment=environment,
        endpoint=f"https://127.0.0.1:{secure.port}",
        trust="ca_bundle",
        ca_bundle=default_authority().pem,
    )
    assert (environment.state, str(environment.sub_manager)) == (State.READY, f"https://127.0.0.1:{secure.port}")
    assert SubManager.objects.count() == 1
    told = AuditEntry.objects.filter(action="environment.change").get()
    assert told.after["sub_manager"] == f"https://127.0.0.1:{secure.port}"


@pytest.mark.django_db
def test_what_is_not_named_in_a_change_stays(acme, alice, secure):
    create_site(by=actor(alice), tenant=acme, name="London")
    environment = exposed(alice, acme, secure, site="London", labels=[("env", "prod")])
    update_environment(by=actor(alice), environment=environment, display_name="The plant at the river")
    environment = Environment.objects.get(pk=environment.pk)
    assert (environment.state, environment.sub_manager.trust, environment.deployment.site.name) == (
        State.READY,
        "ca_bundle",
        "London",
    )
    assert str(environment) == "The plant at the river"
    update_environment(by=actor(alice), environment=environment, is_site_given=True, labels=[("env", "dev")])
    environment.deployment.refresh_from_db()
    assert environment.deployment.site is None
    assert environment.deployment.labels.filter(key="env").get().value == "dev"


@pytest.mark.django_db
def test_an_environment_is_forgotten_with_what_only_it_used(acme, alice, double):
    environment = exposed(alice, acme, double)
    requests = len(double.requests)
    hide(by=actor(alice), environment=environment)
    assert not (
        Environment.objects.exists()
        or Deployment.objects.exists()
        or SubManager.objects.exists()
        or Credential.objects.exists()
    )
    assert len(double.requests) == requests
    assert not Secret.objects.exists()
    assert AuditEntry.objects.filter(action="secret.delete").count() == 1
    again = exposed(alice, acme, double)
    assert again.credential.token.name == "plant-token"


@pytest.mark.django_db
def test_a_secret_that_was_chosen_or_that_something_else_uses_stays(acme, alice, double):
    kept = secrets.create_secret(by=actor(alice), tenant=acme, name="kept", value=TOKEN)
    chosen = exposed(alice, acme, double, "one", token=None, token_secret="kept")
    made = exposed(alice, acme, double, "two")
    user = exposed(alice, acme, double, "three", token=None, token_secret="two-token")

    hide(by=actor(alice), environment=chosen)
    hide(by=actor(alice), environment=made)

    assert set(Secret.objects.values_list("name", flat=True)) == {"kept", "two-token"}
    assert Secret.objects.get(name="kept").pk == kept.pk
    hide(by=actor(alice), environment=user)  # it was not made for this one
    assert Secret.objects.filter(name="two-token").exists()


@pytest.mark.django_db
def test_a_change_from_token_to_password_drops_the_token_that_was_made_for_it(acme, alice, double):
    environment = exposed(alice, acme, double)
    update_environment(by=actor(alice), environment=environment, username="alice", password="alice-password")
    assert set(Secret.objects.values_list("name", flat=True)) == {"plant-username", "plant-password"}
    update_environment(by=actor(alice), environment=environment, username="alice", password="another")
    assert secrets.reveal(Secret.objects.get(name="plant-password")) == "another"
    hide(by=actor(alice), environment=environment)
    assert not Secret.objects.exists()


@pytest.mark.django_db
def test_an_environment_with_something_below_it_is_not_forgotten(acme, alice, double):
    from inventory.deployments import create_deployment

    environment = exposed(alice, acme, double)
    create_deployment(
        by=actor(alice), tenant=acme, wire_id="shop", kind=Deployment.Kind.LOCAL, parent=environment.deployment
    )
    with pytest.raises(Conflict, match="plant has deployments below it: shop"):
        hide(by=actor(alice), environment=environment)
    assert Environment.objects.filter(pk=environment.pk).exists()
