"""Who gets in where: every address of the product, by every role, on own rows and on those of another tenant."""

from __future__ import annotations

from http.cookies import SimpleCookie

import pytest
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from channels.routing import URLRouter
from django.db import transaction
from django.test import Client
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
BROWSER = Client()
MEMBERS = ("manager", "user", "operations", "viewer")


class People:
    """One person of each kind, each with a token and, for pages, cookies of a session."""

    def __init__(self, acme, other) -> None:
        self.users: dict[str, User | None] = {"anonymous": None, "outsider": factories.user("outsider")}
        self.users["sys_admin"] = factories.user("root", SystemRole.SYS_ADMIN)
        for role in MEMBERS:
            self.users[role] = factories.user(f"{role}-of-acme")
            factories.member(self.users[role], acme, role)
        self.users["foreigner"] = factories.user("foreigner")
        factories.member(self.users["foreigner"], other, "manager")
        self._tokens: dict[str, str] = {}
        self._cookies: dict[str, SimpleCookie] = {}

    def may(self, who: str, action: str, tenant) -> bool:
        return action == "" or (self.users[who] is not None and may(self.users[who], action, tenant))

    def ask(self, who: str, route: Route, method: str, address: str, tenant: str = ""):
        """The reply to an empty request; whatever it changed is taken back."""
        client, headers = self.browser(who, signed_in=not route.is_api), {}
        if route.is_api and self.users[who] is not None:
            token = self._tokens.setdefault(who, "") or factories.token(self.users[who])
            self._tokens[who] = token
            headers = {"Authentication-Token": token} if route.is_wire else {"Authorization": f"Token {token}"}
        if route.is_api and tenant:
            headers["Tenant"] = tenant
        kind = "application/json" if route.is_api else "application/x-www-form-urlencoded"
        before = transaction.savepoint()
        try:
            return client.generic(
                method, address, "{}" if route.is_api and method != "GET" else "", content_type=kind, headers=headers
            )
        finally:
            transaction.savepoint_rollback(before)

    def browser(self, who: str, *, signed_in: bool) -> Client:
        """The one browser there is, with this person's cookies: a browser of one's own would load all middleware again."""
        BROWSER.cookies = SimpleCookie()
        if signed_in and self.users[who] is not None:
            if who not in self._cookies:
                BROWSER.force_login(self.users[who])
                self._cookies[who] = BROWSER.cookies
            BROWSER.cookies = self._cookies[who].copy()  # a request may end the session, which is then taken back
        return BROWSER


@pytest.fixture
def people(acme, other) -> People:
    return People(acme, other)


def is_sent_to_sign_in(reply) -> bool:
    return reply.status_code == 302 and reply["Location"].startswith("/login/?next=")


def is_refused(reply) -> bool:
    return reply.status_code in (401, 403) or is_sent_to_sign_in(reply)


@by_pattern
def test_every_address_says_what_it_needs(route):
    assert route.needs is not None, (
        f"{route.pattern}: decorate the page with @needs or @public, or give the API view `needs`"
    )
    for method in route.methods:
        action = route.action(method)
        assert action is None or action == "" or action in ACTIONS or action in OPEN_ACTIONS, (
            f"{method} {route.pattern}: no action {action!r} in accounts.roles"
        )


@by_pattern
@pytest.mark.django_db
def test_each_address_opens_to_those_who_may_and_to_nobody_else(route, people, acme):
    address, names_row = route.address(acme)
    assert resolve(address).func is route.view, f"{address} is served by another view than {route.pattern}"
    for method in route.methods:
        action = route.action(method)
        if action is not None:
            check_roles(people, route, method, address, action, acme)
            check_anonymous(people, route, method, address, action)
            check_foreigner(people, route, method, address, action, names_row)


def check_roles(people: People, route: Route, method: str, address: str, action: str, acme) -> None:
    """Each role gets in where it may."""
    for who in ("sys_admin", *MEMBERS, "outsider"):
        reply = people.ask(who, route, method, address, "acme" if who != "outsider" else "")
        expected = people.may(who, action, acme)
        told = f"{method} {address} as {who}: {reply.status_code}, but {action or 'public'} is {'allowed' if expected else 'not allowed'}"
        assert reply.status_code == 405 or is_refused(reply) != expected, told


def check_anonymous(people: People, route: Route, method: str, address: str, action: str) -> None:
    """Without signing in, only what is public on purpose."""
    reply = people.ask("anonymous", route, method, address, "acme")
    if reply.status_code == 405:
        return
    if action == "":
        assert not is_refused(reply), f"{method} {address} is public"
    elif route.is_api:
        assert reply.status_code == 401, f"{method} {address} without a token: {reply.status_code}"
    else:
        assert is_sent_to_sign_in(reply), f"{method} {address} without a session: {reply.status_code}"


def check_foreigner(people: People, route: Route, method: str, address: str, action: str, names_row: bool) -> None:
    """A manager of another tenant neither finds these rows at home nor gets in by naming this tenant."""
    makes_its_own = route.is_wire and method == "PUT"  # the name is in the address
    if names_row and action and not makes_its_own:
        reply = people.ask("foreigner", route, method, address, "other")
        wanted = (400, 403, 404, 405, 409, 415) if method in ("PUT", "POST", "PATCH") else (403, 404, 405)
        assert reply.status_code in wanted, (
            f"{method} {address} of acme as a manager of another tenant: {reply.status_code}"
        )
    if route.is_api and action and not (route.is_wire and action in OPEN_ACTIONS):
        reply = people.ask("foreigner", route, method, address, "acme")
        assert reply.status_code in (403, 405), (
            f"{method} {address} with `Tenant: acme` as a manager of another tenant: {reply.status_code}"
        )


@pytest.mark.django_db
def test_the_admin_is_for_system_administrators_alone(people):
    public = {"login", "logout", "jsi18n"}
    addresses = [
        "/" + route.pattern
        for route in ROUTES
        if route.is_admin and not ARGUMENT.search(route.pattern) and route.name not in public
    ]
    addresses = [address for address in addresses if "(" not in address]
    assert len(addresses) > 10
    for who in people.users:
        browser = people.browser(who, signed_in=True)
        replies = {address: browser.get(address).status_code for address in addresses}
        if who == "sys_admin":
            assert [
                address for address, status in replies.items() if status == 302 and "password_change" not in address
            ] == []
        else:
            assert set(replies.values()) == {302}, f"{who}: {replies}"


# --- websockets ------------------------------------------------------------------------------------------------------


def connects(address: str, user: User | None, tenant: str = "") -> bool:
    """Does the socket open and stay open?"""
    headers = [(b"authorization", f"Token {factories.token(user)}".encode())] if user else []
    headers += [(b"tenant", tenant.encode())] if tenant else []

    path, _, query = address.partition("?")
    scope = {
        "type": "websocket",
        "path": path,
        "query_string": query.encode(),
        "headers": headers,
        "subprotocols": [],
        "client": ("127.0.0.1", 1),
    }

    async def attempt() -> bool:
        socket = ApplicationCommunicator(PersonMiddleware(URLRouter(websocket_urlpatterns)), scope)
        await socket.send_input({"type": "websocket.connect"})
        is_open = (await socket.receive_output(5))["type"] == "websocket.accept"
        if is_open and not await socket.receive_nothing(2):
            is_open = (await socket.receive_output(1))["type"] != "websocket.close"
        await socket.send_input({"type": "websocket.disconnect", "code": 1000})
        await socket.wait(5)
        return is_open

    return async_to_sync(attempt)()


def test_every_websocket_says_what_it_needs():
    assert websocket_urlpatterns
    for pattern in websocket_urlpatterns:
        needed = getattr(getattr(pattern.callback, "consumer_class", None), "needs", None)
        assert needed in ACTIONS or needed in OPEN_ACTIONS, (
            f"{pattern.pattern}: the consumer has no `needs`, an action of accounts.roles"
        )


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
