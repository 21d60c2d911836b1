"""All tenants of one manager: found with one credential, exposed together, nothing twice."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from accounts import secrets
from accounts.errors import Conflict
from accounts.models import AuditEntry, Secret
from inventory.connections import credential_of
from inventory.discovering import discover_tenants, expose_tenants
from inventory.doubles import Account, refused_port
from inventory.exposing import expose, hide, update_environment
from inventory.models import Credential, Deployment, Environment, SubManager
from inventory.sites import create_site
from tests.factories import actor, token
from tests.inventory import factories

pytestmark = pytest.mark.django_db
TOKEN = "ctok-eve-0123456789"


@pytest.fixture
def eve(double):
    """Somebody with a role in three tenants of the double; one of them too little."""
    double.add_account(
        Account("eve", "eve-password", {"east": "user", "west": "manager", "look": "viewer"}, token=TOKEN)
    )


def where(double, **more):
    fields = {"endpoint": "127.0.0.1", "port": double.port, "protocol": "http", "token": TOKEN} | more
    return {name: value for name, value in fields.items() if value is not None}


def look(alice, acme, double, **more):
    return discover_tenants(by=actor(alice), tenant=acme, **where(double, **more))


def make(alice, acme, double, *tenants, **more):
    return expose_tenants(by=actor(alice), tenant=acme, remote_tenants=tenants, **where(double, **more))


def test_every_tenant_is_told_with_our_role_what_is_exposed_and_what_cannot_be(acme, other, alice, double, eve):
    expose(by=actor(alice), tenant=acme, name="old", remote_tenant="west", **where(double))
    found = look(alice, acme, double)
    told = {each.name: each for each in found.tenants}
    assert found.username == "eve" and set(told) >= {"east", "west", "look"}
    assert (told["east"].roles, told["east"].is_free) == (("user",), True)
    assert (told["west"].environments, told["west"].is_free) == (("old",), False)
    assert "role user or manager" in told["look"].fault
    elsewhere = discover_tenants(by=actor(alice), tenant=other, **where(double))
    assert not any(each.environments for each in elsewhere.tenants), "what another tenant exposed is not told"


def test_those_that_are_wanted_become_environments_with_one_credential_and_are_looked_at(acme, alice, double, eve):
    create_site(by=actor(alice), tenant=acme, name="Lisbon")
    done = make(
        alice, acme, double, "east", "west", name_template="lis-{tenant}", site="Lisbon", labels=[("env", "prod")]
    )
    assert [each.deployment.wire_id for each in done.made] == ["lis-east", "lis-west"] and not done.skipped
    assert done.run.children.count() == 2
    assert (Secret.objects.count(), Credential.objects.count(), SubManager.objects.count()) == (1, 1, 1)
    for row in Environment.objects.all():
        assert credential_of(row).token == TOKEN and row.deployment.site.name == "Lisbon"
        assert row.deployment.labels.filter(key="env", value="prod").exists()


def test_once_more_makes_nothing_and_one_more_only_that_one(acme, alice, double, eve):
    make(alice, acme, double, "east")
    before = AuditEntry.objects.filter(action="environment.create").count(), Secret.objects.count()
    again = make(alice, acme, double, "east", "east")
    assert (again.made, again.skipped, again.run) == ((), ("east",), None)
    assert (AuditEntry.objects.filter(action="environment.create").count(), Secret.objects.count()) == before
    more = make(alice, acme, double, "east", "west")
    assert [each.remote_tenant for each in more.made] == ["west"] and more.skipped == ("east",)


def test_a_secret_that_all_share_goes_with_the_last_of_them_and_is_replaced_for_all(acme, alice, double, eve):
    first, second = make(alice, acme, double, "east", "west").made
    double.add_account(Account("eva", "eva-password", {"east": "user", "west": "user"}, token="ctok-eva-0123456789"))
    update_environment(by=actor(alice), environment=first, token="ctok-eva-0123456789")
    assert credential_of(Environment.objects.get(pk=second.pk)).token == "ctok-eva-0123456789"
    hide(by=actor(alice), environment=first)
    assert secrets.reveal(Secret.objects.get()) == "ctok-eva-0123456789"
    hide(by=actor(alice), environment=Environment.objects.get(pk=second.pk))
    assert not Secret.objects.exists() and not SubManager.objects.exists()


def test_a_token_is_minted_once_for_all_and_the_password_not_kept(acme, alice, double, eve):
    made = make(
        alice, acme, double, "east", "west", token=None, username="eve", password="eve-password", mint_token=True
    )
    assert double.count("POST", "/tokens") == 1
    kept = {credential_of(each).token for each in made.made}
    assert len(kept) == 1 and None not in kept
    assert "eve-password" not in {secrets.reveal(row) for row in Secret.objects.all()}


@pytest.mark.parametrize(
    ("tenants", "more", "field", "words"),
    [
        ([], {}, "tenants", "at least one"),
        (["nosuch"], {}, "tenants", "sees no tenant nosuch"),
        (["look"], {}, "tenants", "too little to deploy"),
        (["east"], {"name_template": "plant"}, "name_template", "{tenant}"),
        (["east"], {"name_template": "a b{tenant}"}, "name_template", "illegal characters"),
        (["east"], {"site": "Nowhere"}, "site", "There is no site Nowhere"),
        (["east"], {"token": "ctok-nosuch0000-0"}, "token", "does not know this token"),
        (["east"], {"token": None}, "token", "Enter a token"),
        (["east"], {"endpoint": "user@host"}, "endpoint", "Leave user and password out"),
    ],
)
def test_what_cannot_be_done_is_said_at_its_field_and_nothing_is_made(
    acme, alice, double, eve, tenants, more, field, words
):
    with pytest.raises(ValidationError) as told:
        make(alice, acme, double, *tenants, **more)
    assert words in " ".join(told.value.message_dict[field])
    assert not Environment.objects.exists() and not Secret.objects.exists() and not SubManager.objects.exists()


def test_a_manager_that_does_not_answer_is_told_at_the_endpoint(acme, alice, double):
    with pytest.raises(ValidationError) as told:
        look(alice, acme, double, port=refused_port())
    assert "endpoint" in told.value.message_dict


def test_a_name_that_is_taken_stops_all_of_them(acme, alice, double, eve):
    factories.deployment(acme, "x-west")
    with pytest.raises(Conflict, match="x-west exists already"):
        make(alice, acme, double, "east", "west", name_template="x-{tenant}")
    assert not Environment.objects.exists() and not Secret.objects.exists()


def test_a_tenant_with_a_hostile_name_gets_a_usable_one_or_is_refused(acme, alice, double):
    double.add_account(
        Account("eve", "x", {"o'brien%20": "user", "a" * 250: "user", "two\nlines": "user"}, token=TOKEN)
    )
    faults = {each.name: each.fault for each in look(alice, acme, double).tenants}
    assert faults["two\nlines"] and not faults["o'brien%20"]
    (made,) = make(alice, acme, double, "o'brien%20", name_template="{tenant}").made
    assert (made.deployment.wire_id, made.remote_tenant) == ("o-brien-20", "o'brien%20")
    with pytest.raises(ValidationError, match="too long"):
        make(alice, acme, double, "a" * 250, name_template="plant-{tenant}-{endpoint}")
    assert Deployment.objects.count() == 1


def test_over_the_api_by_those_who_may(client, acme, alice, bob, charlie, double, eve):
    def call(user, path, **body):
        sent = {"Authorization": f"Token {token(user)}", "Tenant": "acme"}
        at = {"endpoint": "127.0.0.1", "port": double.port, "protocol": "http", "credential": {"token": TOKEN}}
        return client.post(f"/api/v1/environments/{path}/", at | body, content_type="application/json", headers=sent)

    for user, code in ((bob, 403), (charlie, 403)):
        assert call(user, "discover").status_code == code
        assert call(user, "expose-tenants", tenants=["east"]).status_code == code
    told = call(alice, "discover").json()
    assert told["username"] == "eve" and "east" in {each["name"] for each in told["tenants"]}
    made = call(alice, "expose-tenants", tenants=["east", "west"])
    assert made.status_code == 201 and made.json()["environments"] == ["127.0.0.1-east", "127.0.0.1-west"]
    again = call(alice, "expose-tenants", tenants=["east"]).json()
    assert (again["environments"], again["skipped"], again["run"]) == ([], ["east"], None)
    wrong = call(alice, "expose-tenants", tenants=["nosuch"])
    assert wrong.status_code == 400 and TOKEN not in wrong.text
