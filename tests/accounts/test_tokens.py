"""Tokens, at /api/v1 and by themselves."""

import datetime

import pytest
from django.utils import timezone

from accounts import services, tokens
from accounts.actors import SYSTEM
from accounts.models import ApiToken, AuditEntry, LoginFailure
from tests import factories

pytestmark = pytest.mark.django_db


def call(client, value, tenant="", path="/api/v1/me/"):
    headers = {"Authorization": f"Token {value}"} | ({"Tenant": tenant} if tenant else {})
    return client.get(path, headers=headers)


def test_a_token_has_the_shape_of_the_genuine_one_and_is_kept_as_a_hash(alice):
    token, value = tokens.mint_token(by=factories.actor(alice), user=alice, description="for the nightly job")
    prefix, token_id, secret = value.split("-")
    assert (prefix, token_id, len(token_id), len(secret)) == ("ctok", token.pk, 10, 43)
    assert secret not in str(ApiToken.objects.filter(pk=token.pk).values().get())
    assert secret not in str(list(AuditEntry.objects.values()))


def test_a_token_opens_the_api_as_its_user(client, alice, acme):
    reply = call(client, factories.token(alice)).json()
    assert (reply["username"], reply["tenant"]) == ("alice", "acme")
    assert "environment.change" in reply["actions"] and "user.manage" not in reply["actions"]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda value: value[:-1] + ("a" if value[-1] != "a" else "b"), "unknown or revoked"),
        (lambda value: "ctok-aaaaaaaaaa-" + "b" * 43, "unknown or revoked"),
        (lambda value: "nonsense", "structure"),
        (lambda value: value + "-x", "unknown or revoked"),
    ],
)
def test_a_wrong_token_is_refused_in_words(client, alice, spoil, words):
    reply = call(client, spoil(factories.token(alice)))
    assert reply.status_code == 401
    assert words in reply.json()["detail"]


def test_an_expired_token_says_so(client, alice):
    value = factories.token(alice, expires_at=timezone.now() + datetime.timedelta(hours=1))
    ApiToken.objects.update(expires_at=timezone.now())
    reply = call(client, value)
    assert reply.status_code == 401 and "expired" in reply.json()["detail"]


def test_a_token_of_a_user_who_was_switched_off_is_refused(client, alice, admin):
    value = factories.token(alice)
    services.change_user(by=SYSTEM, user=alice, is_active=False)
    reply = call(client, value)
    assert reply.status_code == 401 and "switched off" in reply.json()["detail"]


def test_a_revoked_token_is_refused_from_the_next_request_on(client, alice):
    value = factories.token(alice)
    assert call(client, value).status_code == 200
    tokens.revoke_token(by=factories.actor(alice), token=ApiToken.objects.get())
    assert call(client, value).status_code == 401
    assert AuditEntry.objects.filter(action="token.revoke", actor="alice").count() == 1


def test_the_last_use_is_written_once_a_minute_and_not_with_each_request(client, alice, django_assert_num_queries):
    value = factories.token(alice)
    call(client, value)
    first = ApiToken.objects.get().last_used_at
    with django_assert_num_queries(1):
        tokens.check_token(value)
    assert ApiToken.objects.get().last_used_at == first
    ApiToken.objects.update(last_used_at=timezone.now() - datetime.timedelta(minutes=2))
    call(client, value)
    assert ApiToken.objects.get().last_used_at > first


def test_wrong_secrets_for_one_token_are_counted_but_never_lock_its_owner_out(client, alice, settings):
    settings.LOGIN_FAILURE_LIMIT = 3
    value = factories.token(alice)
    wrong = value[:-4] + "0000"
    words = [call(client, wrong).json()["detail"] for _ in range(5)]
    assert ["too often" in word for word in words] == [False] * 3 + [True] * 2
    assert LoginFailure.objects.count() == 3
    assert call(client, value).status_code == 200


def test_expiry_in_the_past_is_refused(client, alice):
    client.force_login(alice)
    reply = client.post("/api/v1/tokens/", {"expires_at": "2020-01-01T00:00:00Z"}, content_type="application/json")
    assert reply.status_code == 400 and "time has passed" in reply.json()["detail"]


def test_the_value_is_in_the_reply_that_makes_the_token_and_in_no_other(client, alice):
    client.force_login(alice)
    made = client.post("/api/v1/tokens/", {"description": "cli"}, content_type="application/json")
    assert made.status_code == 201
    value = made.json()["value"]
    assert call(client, value).status_code == 200
    assert value.split("-")[2] not in client.get("/api/v1/tokens/").content.decode()


def test_tokens_of_others_are_seen_and_revoked_by_system_administrators_only(client, alice, bob, admin):
    token_id = factories.token(alice).split("-")[1]
    client.force_login(bob)
    assert client.get("/api/v1/tokens/").json()["count"] == 0
    assert client.delete(f"/api/v1/tokens/{token_id}/").status_code == 404
    client.force_login(admin)
    assert client.get("/api/v1/tokens/?user=alice").json()["count"] == 1
    assert client.delete(f"/api/v1/tokens/{token_id}/").status_code == 204


def test_the_tenant_header_chooses_among_ones_own(client, alice, other):
    factories.member(alice, other, "viewer")
    value = factories.token(alice)
    assert call(client, value).json()["tenant"] == "acme"
    assert call(client, value, "other").json()["tenant"] == "other"


def test_an_unknown_tenant_and_one_of_others_are_refused_in_the_same_words(client, alice, other):
    value = factories.token(alice)
    unknown, foreign = call(client, value, "nosuch"), call(client, value, "other")
    assert unknown.status_code == foreign.status_code == 403
    assert unknown.json()["detail"].replace("nosuch", "other") == foreign.json()["detail"]
    assert "Yours: acme" in foreign.json()["detail"]
