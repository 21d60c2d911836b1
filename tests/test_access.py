"""Who gets in where: every address of the product, by every role, on own rows and on those of another tenant."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from channels.routing import URLRouter
from django.db import transaction
from django.urls import resolve

from accounts.models import SystemRole, User
from accounts.roles import ACTIONS, OPEN_ACTIONS, may
from accounts.websockets import PersonMiddleware
from runs.routing import websocket_urlpatterns
from tests import factories
from tests.access import ARGUMENT, Route, routes
from tests.samples import sample

ROUTES = routes()
OURS = [route for route in ROUTES if not route.is_admin]
by_pattern = pytest.mark.parametrize("route", OURS, ids=lambda route: route.pattern or "/")
MEMBERS = ("manager", "user", "operations", "viewer")


@pytest.fixture
def people(acme, other) -> dict[str, User]:
    """One of each kind."""
    found = {"sys_admin": factories.user("root", SystemRole.SYS_ADMIN), "outsider": factories.user("outsider")}
    for role in MEMBERS:
        found[role] = factories.user(f"{role}-of-acme")
        factories.member(found[role], acme, role)
    found["foreigner"] = factories.user("foreigner")
    factories.member(found["foreigner"], other, "manager")
    return found


def ask(client, route: Route, method: str, address: str, user: User | None, tenant: str = ""):
    """The reply; whatever the request changed is taken back."""
    client.logout()
    headers = {"Tenant": tenant} if tenant and route.is_api else {}
    if user is not None and route.is_api:
        headers["Authentication-Token" if route.is_wire else "Authorization"] = ("" if route.is_wire else "Token ") + factories.token(user)
    elif user is not None:
        client.force_login(user)
    body = {"content_type": "application/json", "data": "{}"} if route.is_api and method != "GET" else {}
    before = transaction.savepoint()
    try:
        return client.generic(method, address, body.get("data", ""), content_type=body.get("content_type", "application/x-www-form-urlencoded"), headers=headers)
    finally:
        transaction.savepoint_rollback(before)


def is_sent_to_sign_in(reply) -> bool:
    return reply.status_code == 302 and reply["Location"].startswith("/login/?next=")


def is_refused(reply) -> bool:
    return reply.status_code in (401, 403) or is_sent_to_sign_in(reply)


@by_pattern
def test_every_address_says_what_it_needs(route):
    assert route.needs is not None, f"{route.pattern}: decorate the page with @needs or @public, or give the API view `needs`"
    for method in route.methods:
        action = route.action(method)
        assert action is None or action == "" or action in ACTIONS or action in OPEN_ACTIONS, f"{method} {route.pattern}: no action {action!r} in accounts.roles"


@by_pattern
@pytest.mark.django_db
def test_each_role_gets_in_where_it_may_and_nowhere_else(client, route, people, acme):
    address, _ = route.address(acme)
    assert resolve(address).func is route.view, f"{address} is served by another view than {route.pattern}"
    for method in route.methods:
        action = route.action(method)
        if action is None:
            continue
        for who in ("sys_admin", *MEMBERS, "outsider"):
            reply = ask(client, route, method, address, people[who], "acme" if who != "outsider" else "")
            if reply.status_code == 405:
                continue
            expected = action == "" or may(people[who], action, acme)
            assert is_refused(reply) != expected, f"{method} {address} as {who}: {reply.status_code}, {action or 'public'} is {'allowed' if expected else 'not allowed'}"


@by_pattern
@pytest.mark.django_db
def test_nobody_gets_in_without_signing_in(client, route, acme):
    address, _ = route.address(acme)
    for method in route.methods:
        action = route.action(method)
        reply = ask(client, route, method, address, None, "acme")
        if action is None or reply.status_code == 405:
            continue
        if action == "":
            assert not is_refused(reply), f"{method} {address} is public"
        elif route.is_api:
            assert reply.status_code == 401, f"{method} {address} without a token: {reply.status_code}"
        else:
            assert is_sent_to_sign_in(reply), f"{method} {address} without a session: {reply.status_code}"


@by_pattern
@pytest.mark.django_db
def test_rows_of_another_tenant_are_not_there(client, route, people, acme):
    address, names_row = route.address(acme)
    if not names_row:
        return
    for method in route.methods:
        if not route.action(method):
            continue
        reply = ask(client, route, method, address, people["foreigner"], "other" if route.is_api else "")
        if reply.status_code == 405:
            continue
        wanted = (400, 403, 404, 409, 415) if method in ("PUT", "POST", "PATCH") else (403, 404)
        assert reply.status_code in wanted, f"{method} {address} of acme as a manager of another tenant: {reply.status_code}"


@by_pattern
@pytest.mark.django_db
def test_the_header_does_not_open_a_tenant_of_others(client, route, people, acme):
    if not route.is_api:
        return
    address, _ = route.address(acme)
    for method in route.methods:
        action = route.action(method)
        if not action or (route.is_wire and action in OPEN_ACTIONS):
            continue
        reply = ask(client, route, method, address, people["foreigner"], "acme")
        assert reply.status_code in (403, 405), f"{method} {address} with `Tenant: acme` as a manager of another tenant: {reply.status_code}"


@pytest.mark.django_db
def test_the_admin_is_for_system_administrators_alone(client, people):
    public = {"login", "logout", "jsi18n"}
    addresses = ["/" + route.pattern for route in ROUTES if route.is_admin and not ARGUMENT.search(route.pattern) and route.name not in public]
    addresses = [address for address in addresses if "(" not in address]
    assert len(addresses) > 10
    for who, user in [*people.items(), ("nobody", None)]:
        client.logout()
        if user is not None:
            client.force_login(user)
        replies = {address: client.get(address).status_code for address in addresses}
        if who == "sys_admin":
            assert [address for address, status in replies.items() if status == 302 and "password_change" not in address] == []
        else:
            assert set(replies.values()) == {302}, f"{who}: {replies}"


# --- websockets ------------------------------------------------------------------------------------------------------


def connects(address: str, user: User | None, tenant: str = "") -> bool:
    """Does the socket open and stay open?"""
    headers = [(b"authorization", f"Token {factories.token(user)}".encode())] if user else []
    headers += [(b"tenant", tenant.encode())] if tenant else []

    path, _, query = address.partition("?")
    scope = {"type": "websocket", "path": path, "query_string": query.encode(), "headers": headers, "subprotocols": [], "client": ("127.0.0.1", 1)}

    async def attempt() -> bool:
        socket = ApplicationCommunicator(PersonMiddleware(URLRouter(websocket_urlpatterns)), scope)
        await socket.send_input({"type": "websocket.connect"})
        is_open = (await socket.receive_output(5))["type"] == "websocket.accept"
        if is_open and not await socket.receive_nothing(0.1):
            is_open = (await socket.receive_output(1))["type"] != "websocket.close"
        await socket.send_input({"type": "websocket.disconnect", "code": 1000})
        await socket.wait(5)
        return is_open

    return async_to_sync(attempt)()


def test_every_websocket_says_what_it_needs():
    assert websocket_urlpatterns
    for pattern in websocket_urlpatterns:
        needed = getattr(getattr(pattern.callback, "consumer_class", None), "needs", None)
        assert needed in ACTIONS or needed in OPEN_ACTIONS, f"{pattern.pattern}: the consumer has no `needs`, an action of accounts.roles"


@pytest.mark.django_db(transaction=True)
def test_websockets_open_for_those_who_may_and_for_nobody_else():
    acme, other = factories.tenant("acme"), factories.tenant("other")
    for pattern in websocket_urlpatterns:
        route = Route(str(pattern.pattern).replace("ws/", "", 1), pattern.callback, "", "")
        address = "/ws" + route.address(acme)[0]
        needed = pattern.callback.consumer_class.needs
        for role in MEMBERS:
            person = factories.user()
            factories.member(person, acme, role)
            assert connects(address, person, "acme") == may(person, needed, acme), f"{address} as {role}"
        foreigner = factories.user()
        factories.member(foreigner, other, "manager")
        assert not connects(address, foreigner)
        assert not connects(address, foreigner, "acme")
        assert not connects(address, factories.user())
        assert not connects(address, None)
        assert connects(address, factories.admin(), "acme")


def test_an_unclassified_address_is_found():
    """The test of the test: a view without `needs` fails it, an argument that it cannot fill fails it."""
    bare = Route("nosuch/<int:thing_id>/", lambda request, thing_id: None, "", "")
    assert bare.needs is None
    with pytest.raises(AssertionError, match="NOUNS"):
        bare.address(None)


@pytest.mark.django_db
def test_a_sample_belongs_to_the_tenant_it_was_made_for(acme, other):
    from runs.models import Run

    assert sample(Run, acme).tenant == acme and sample(Run, other).tenant == other
