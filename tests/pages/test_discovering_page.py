"""All tenants of one manager by page: looked for, ticked, exposed."""

from __future__ import annotations

import re

import pytest

from inventory.doubles import Account
from inventory.models import Environment
from tests.factories import secret as make_secret
from tests.inventory import factories as inventory

pytestmark = pytest.mark.django_db
ADDRESS = "/environments/discover/"
TOKEN = "ctok-eve-0123456789"


@pytest.fixture
def eve(double):
    double.add_account(Account("eve", "eve-password", {"east": "user", "west": "user", "look": "viewer"}, token=TOKEN))


def form(double, intent="look", **more):
    return {
        "protocol": "http", "endpoint": "127.0.0.1", "port": double.port, "trust": "system", "method": "token",
        "token": TOKEN, "name_template": "lis-{tenant}", "intent": intent,
    } | more  # fmt: skip


def ticks(text):
    return re.findall(r'name="selected" value="([^"]+)"', text)


def test_the_list_is_shown_with_what_can_be_exposed_ticked_and_the_token_is_not_sent_back(
    signed_in, alice, double, eve
):
    client = signed_in(alice)
    assert ADDRESS in client.get("/environments/add/").text
    shown = client.post(ADDRESS, form(double)).text
    assert set(ticks(shown)) == {"east", "west"} and "too little to deploy" in shown
    assert TOKEN not in shown and "never sent back" in shown and not Environment.objects.exists()
    fragment = client.post(ADDRESS, form(double, name_template=""), headers={"HX-Request": "true"}).text
    assert fragment.startswith('<div id="found">') and set(ticks(fragment)) == {"east", "west"}


def test_what_was_ticked_is_exposed_and_shown_as_exposed_the_next_time(signed_in, alice, double, eve):
    client = signed_in(alice)
    done = client.post(ADDRESS, form(double, "expose", selected=["east"], labels="env=prod"), follow=True).text
    assert "1 tenant exposed." in done
    row = Environment.objects.get()
    assert (row.deployment.wire_id, row.remote_tenant) == ("lis-east", "east")
    shown = client.post(ADDRESS, form(double)).text
    assert "Exposed already as lis-east" in shown and ticks(shown) == ["west"]
    client.post(ADDRESS, form(double, "expose", selected=["east", "west"]))
    assert Environment.objects.count() == 2
    assert "shared with" not in client.get(f"/environments/{row.pk}/").text


def test_a_stored_token_needs_no_second_typing_and_the_change_page_says_who_shares_it(
    signed_in, alice, acme, double, eve
):
    stored = make_secret(acme, "eve-token", TOKEN)
    client = signed_in(alice)
    client.post(ADDRESS, form(double, "expose", token="", token_secret=stored.pk, selected=["east", "west"]))
    row = Environment.objects.first()
    assert "shared with 1 more" in client.get(f"/environments/{row.pk}/").text
    assert "1 more environment signs in with it" in client.get(f"/environments/{row.pk}/change/").text


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"selected": []}, "Choose at least one tenant"),
        ({"selected": ["east"], "name_template": "plant"}, "Write {tenant} where"),
        ({"selected": ["east"], "token": ""}, "Paste a token"),
        ({"selected": ["nosuch"]}, "sees no tenant nosuch"),
        ({"selected": ["east"], "name_template": "taken-{tenant}"}, "taken-east exists already"),
    ],
)
def test_what_is_wrong_is_told_and_what_was_ticked_stays(signed_in, alice, acme, double, eve, more, words):
    inventory.deployment(acme, "taken-east")
    reply = signed_in(alice).post(ADDRESS, form(double, "expose", **more))
    assert reply.status_code == 400 and words in reply.text and not Environment.objects.exists()
    if "taken" in words:
        assert re.search(r'value="east" checked', reply.text) and not re.search(r'value="west" checked', reply.text)


def test_a_manager_that_refuses_is_told_beside_the_form(signed_in, alice, double):
    reply = signed_in(alice).post(ADDRESS, form(double, token="ctok-nosuch0000-0"))
    assert reply.status_code == 400 and "does not know this token" in reply.text
    told = signed_in(alice).post(ADDRESS, form(double, token="ctok-nosuch0000-0"), headers={"HX-Request": "true"})
    assert told.status_code == 200 and "No tenant was found" in told.text and "does not know this token" in told.text


def test_a_viewer_may_not_look_and_an_outsider_only_in_a_tenant_of_their_own(
    signed_in, acme, bob, charlie, double, eve
):
    assert signed_in(bob).get(ADDRESS).status_code == 403
    assert signed_in(bob).post(ADDRESS, form(double)).status_code == 403
    signed_in(charlie).post(ADDRESS, form(double, "expose", selected=["east"]))
    assert [row.deployment.tenant.name for row in Environment.objects.all()] == ["other"]
