"""Guessing passwords is slow, and tells nothing."""

import datetime

import pytest
from django.contrib.auth import authenticate
from django.test import RequestFactory
from django.utils import timezone

from accounts import passwords, services, throttle
from accounts.actors import SYSTEM
from accounts.models import LoginFailure
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def limit(settings):
    settings.LOGIN_FAILURE_LIMIT = 3


def sign_in(name, password, address="192.0.2.1"):
    return authenticate(RequestFactory().post("/login/", REMOTE_ADDR=address), username=name, password=password)


def basic(name, password, address="192.0.2.1"):
    """What came of it: the user's name, or the fault."""
    try:
        return passwords.user_of_password(name, password, address).username
    except passwords.LoginRefused as refused:
        return refused.fault


def test_after_the_limit_even_the_right_password_waits_and_is_told_how_long(alice):
    for _ in range(3):
        assert sign_in("alice", "wrong") is None
    with pytest.raises(throttle.LoginThrottled, match="Wait 15 minutes, then try again"):
        sign_in("alice", factories.PASSWORD)


def test_the_sign_in_page_shows_how_long(client, alice):
    for _ in range(3):
        client.post("/login/", {"username": "alice", "password": "wrong"})
    reply = client.post("/login/", {"username": "alice", "password": factories.PASSWORD})
    assert reply.status_code == 200
    assert "Wait 15 minutes" in reply.content.decode()


def test_the_admin_sign_in_is_throttled_too(client, admin):
    for _ in range(3):
        client.post("/admin/login/", {"username": "admin", "password": "wrong"})
    reply = client.post("/admin/login/", {"username": "admin", "password": factories.PASSWORD})
    assert "Wait 15 minutes" in reply.content.decode()


def test_the_wait_ends_when_the_failures_are_old(alice):
    for _ in range(3):
        sign_in("alice", "wrong")
    LoginFailure.objects.update(at=timezone.now() - datetime.timedelta(minutes=14, seconds=30))
    with pytest.raises(throttle.LoginThrottled, match="Wait 1 minute,"):
        sign_in("alice", factories.PASSWORD)
    LoginFailure.objects.update(at=timezone.now() - datetime.timedelta(minutes=15, seconds=1))
    assert sign_in("alice", factories.PASSWORD) == alice


def test_another_address_and_another_name_are_not_held_up(alice, bob):
    for _ in range(3):
        sign_in("alice", "wrong")
    assert sign_in("alice", factories.PASSWORD, "192.0.2.2") == alice
    assert sign_in("bob", factories.PASSWORD) == bob


def test_the_right_password_clears_the_count(alice):
    for _ in range(2):
        sign_in("alice", "wrong")
    assert sign_in("alice", factories.PASSWORD) == alice
    assert LoginFailure.objects.count() == 0


def test_an_unknown_name_is_answered_as_a_known_one(alice):
    def answers(name):
        told = [basic(name, "wrong") for _ in range(4)]
        return told

    assert answers("alice") == answers("nobody") == ["wrong", "wrong", "wrong", "throttled"]


def test_an_unknown_name_costs_a_hash_as_a_known_one_does(alice, monkeypatch):
    hashed = []
    monkeypatch.setattr(passwords, "make_password", lambda password: hashed.append("made"))
    monkeypatch.setattr(passwords, "check_password", lambda password, encoded: hashed.append("checked"))
    basic("nobody", "wrong")
    basic("alice", "wrong")
    assert hashed == ["made", "checked"]


def test_a_switched_off_user_is_answered_like_a_wrong_password(alice, admin):
    assert basic("alice", factories.PASSWORD) == "alice"
    services.change_user(by=SYSTEM, user=alice, is_active=False)
    assert basic("alice", factories.PASSWORD) == "wrong"


def test_old_failures_are_forgotten_so_that_the_table_stays_small(alice):
    LoginFailure.objects.create(username="x", address="y", at=timezone.now() - datetime.timedelta(hours=1))
    sign_in("alice", "wrong")
    assert [row.username for row in LoginFailure.objects.all()] == ["alice"]


def test_a_forwarded_address_counts_only_behind_a_named_proxy(settings):
    request = RequestFactory().get("/", REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR="6.6.6.6, 192.0.2.9")
    assert throttle.address_of(request) == "10.0.0.1"
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert throttle.address_of(request) == "192.0.2.9"


def test_a_success_is_remembered_so_that_basic_does_not_hash_each_time(alice, monkeypatch):
    assert basic("alice", factories.PASSWORD) == "alice"
    monkeypatch.setattr(passwords, "check_password", lambda *_: pytest.fail("hashed again"))
    assert basic("alice", factories.PASSWORD) == "alice"


def test_a_remembered_password_ends_with_the_password(alice):
    assert basic("alice", factories.PASSWORD) == "alice"
    services.set_password(by=SYSTEM, user=alice, password="another-long-password")
    assert basic("alice", factories.PASSWORD) == "wrong"
    assert basic("alice", "another-long-password") == "alice"


def test_a_remembered_password_is_forgotten_after_a_minute(alice, monkeypatch):
    assert passwords.check_password_cached(alice, factories.PASSWORD)
    proof = passwords._memory.proof(alice, factories.PASSWORD)
    now = passwords.time.monotonic()
    monkeypatch.setattr(passwords.time, "monotonic", lambda: now + 61)
    assert not passwords._memory.knows(proof)


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(passwords, "REMEMBERED_AT_MOST", 5)
    memory = passwords._Memory()
    for n in range(20):
        memory.keep(bytes([n]))
    assert [memory.knows(bytes([n])) for n in range(20)] == [False] * 15 + [True] * 5


def test_a_one_time_password_does_not_open_the_api_by_itself(alice):
    services.set_password(by=SYSTEM, user=alice, password="given-by-an-admin", must_change=True)
    assert basic("alice", "given-by-an-admin") == "must_change"


def test_a_name_with_a_nul_byte_is_a_wrong_name(alice):
    assert basic("ali\x00ce", "x") == "wrong"
    assert sign_in("\x00", "x") is None
