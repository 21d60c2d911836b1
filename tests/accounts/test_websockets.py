"""Who is behind a websocket, and for how long."""

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as product

from accounts import tokens
from accounts.actors import SYSTEM
from accounts.models import ApiToken
from accounts.websockets import OriginOrToken, PersonMiddleware, still_may
from tests import factories

# Channels closes a connection that it finds inside of a transaction.
pytestmark = pytest.mark.django_db(transaction=True)


def behind(query="", **headers):
    """The scope that a consumer would get."""
    seen = {}

    async def consumer(scope, receive, send):
        seen.update(scope)

    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "websocket",
        "path": "/ws/",
        "query_string": query.encode(),
        "headers": sent,
        "client": ["127.0.0.1", 5],
    }
    async_to_sync(PersonMiddleware(consumer))(scope, None, None)
    return seen


def cookie_of(client):
    return f"{product.SESSION_COOKIE_NAME}={client.cookies[product.SESSION_COOKIE_NAME].value}"


def test_a_socket_with_a_token_is_the_tokens_user_in_the_named_tenant(alice, other):
    factories.member(alice, other, "viewer")
    value = f"Token {factories.token(alice)}"
    assert behind(authorization=value)["tenant"].name == "acme"
    assert behind(authorization=value, tenant="other")["tenant"].name == "other"
    assert behind("after=3&tenant=other", authorization=value)["tenant"].name == "other"
    assert behind(authorization=value, tenant="nosuch")["tenant"] is None


def test_a_socket_with_a_session_is_the_sessions_user_in_the_chosen_tenant(client, alice, other):
    factories.member(alice, other, "viewer")
    client.force_login(alice)
    client.post("/switch-tenant/", {"tenant": "other"})
    scope = behind(cookie=cookie_of(client))
    assert (scope["user"].username, scope["tenant"].name) == ("alice", "other")


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Token nonsense"}, {"authorization": "Basic YTpi"}, {"cookie": "deployon_session=x"}],
)
def test_a_socket_without_proof_is_nobodys(headers):
    scope = behind(**headers)
    assert not scope["user"].is_authenticated and scope["tenant"] is None


def test_a_one_time_password_opens_no_socket(client, acme):
    novice = factories.user("nina", must_change_password=True)
    client.force_login(novice)
    assert not behind(cookie=cookie_of(client))["user"].is_authenticated


def test_a_socket_is_asked_again_and_notices_what_ended(client, alice, acme):
    by_token = behind(authorization=f"Token {factories.token(alice)}")
    client.force_login(alice)
    by_session = behind(cookie=cookie_of(client))
    may = async_to_sync(still_may)
    assert may(by_token, "run.view") and may(by_session, "run.view")
    tokens.revoke_token(by=SYSTEM, token=ApiToken.objects.get())
    assert not may(by_token, "run.view") and may(by_session, "run.view")
    alice.memberships.all().delete()
    assert not may(by_session, "run.view")
    factories.member(alice, acme, "viewer")
    assert may(by_session, "run.view") and not may(by_session, "run.control")
    client.logout()
    assert not may(by_session, "run.view")


@pytest.mark.parametrize(
    ("headers", "gets_in"),
    [
        ([(b"origin", b"http://testserver")], True),
        ([(b"origin", b"https://evil.example")], False),
        ([], False),
        ([(b"authorization", b"Token ctok-x")], True),
    ],
)
def test_pages_of_other_sites_open_no_socket_but_programs_with_a_token_do(headers, gets_in, settings):
    settings.ALLOWED_HOSTS = ["testserver"]
    reached, said = [], []

    async def consumer(scope, receive, send):
        reached.append(scope)

    coming = [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1006}]

    async def receive():
        return coming.pop(0)

    async def send(message):
        said.append(message)

    async_to_sync(OriginOrToken(consumer))({"type": "websocket", "path": "/ws/", "headers": headers}, receive, send)
    assert bool(reached) is gets_in
    assert gets_in or said[0]["type"] == "websocket.close"
