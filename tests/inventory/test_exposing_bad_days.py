"""The first look and those after it: every bad day has a named cause, and what has little margin is degraded."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Secret
from inventory import probing
from inventory.connectors.address import Timeouts
from inventory.connectors.rungs import RungState
from inventory.doubles import Account, Fault, FaultKind, ManagerDouble, refused_port
from inventory.doubles.server import default_authority
from inventory.ending import endings
from inventory.exposing import hide, probe, update_environment
from inventory.models import Deployment, Environment, Probe
from tests.factories import actor
from tests.inventory import factories
from tests.inventory.exposed import TOKEN, State, exposed, failed_rung

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


@pytest.mark.django_db
def test_a_token_near_its_end_degrades_until_another_one_is_entered(acme, alice, double):
    ends_at = timezone.now() + timedelta(days=2, hours=1)
    double.add_account(
        Account("till", "pw", {"acme": "user"}, token="ctok-till-0123456789", token_until=ends_at.isoformat())
    )
    environment = exposed(alice, acme, double, token="ctok-till-0123456789")
    assert environment.state == State.DEGRADED and "The token expires in 2 days" in environment.why
    assert environment.credential.token_expires_at == ends_at
    assert endings(environment) == {"certificate": "", "token": "warn"}
    update_environment(by=actor(alice), environment=environment, token=TOKEN)
    assert environment.state == State.READY and endings(environment)["token"] == ""
    environment.credential.token_expires_at = environment.sub_manager.certificate_expires_at = timezone.now()
    assert endings(environment) == {"certificate": "bad", "token": "bad"}
