"""All tenants of a running portal, seen by people of different standing, exposed in another one."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from inventory.discovering import discover_tenants, expose_tenants
from inventory.exposing import expose, probe
from inventory.models import Credential, Environment
from tests.factories import actor
from tests.orchestration.running import PASSWORD

pytestmark = pytest.mark.django_db


@pytest.fixture
def where(settings, manager):
    settings.ENDPOINT_NETWORKS = ["127.0.0.1/32"]

    def as_(user):
        return {"endpoint": manager.url, "username": user, "password": PASSWORD}

    return as_


def test_an_administrator_sees_every_tenant_and_others_those_where_they_have_a_role(acme, alice, where):
    def seen(user):
        found = discover_tenants(by=actor(alice), tenant=acme, **where(user))
        return {each.name: (each.roles, each.is_free) for each in found.tenants}

    assert {"default_tenant", "t2", "empty"} <= set(seen("admin")) and all(free for _, free in seen("admin").values())
    bob = seen("bob")
    assert bob["default_tenant"] == (("user",), True) and bob["t2"] == (("manager",), True)
    assert seen("vera")["default_tenant"] == (("viewer",), False)
    assert not any(free for _, free in seen("nora").values())


def test_the_tenants_become_environments_that_are_ready_with_one_token_made_there(acme, alice, where):
    done = expose_tenants(
        by=actor(alice), tenant=acme, remote_tenants=["default_tenant", "t2"], name_template="hq-{tenant}",
        mint_token=True, **where("bob"),
    )  # fmt: skip
    assert [each.deployment.wire_id for each in done.made] == ["hq-default_tenant", "hq-t2"]
    assert Credential.objects.get().kind == Credential.Kind.TOKEN
    for row in Environment.objects.all():
        assert probe(row).is_ready, row.why
    again = expose_tenants(by=actor(alice), tenant=acme, remote_tenants=["t2"], **where("bob"))
    assert again.skipped == ("t2",) and Environment.objects.count() == 2
    with pytest.raises(ValidationError, match="too little to deploy"):
        expose_tenants(by=actor(alice), tenant=acme, remote_tenants=["default_tenant"], **where("vera") | {"endpoint": where("vera")["endpoint"].replace("127.0.0.1", "localhost")})  # fmt: skip


def test_until_when_a_token_made_there_holds_is_known_here(acme, alice, manager, where):
    made = manager.call("POST", "/tokens", user="bob", json={"expiration_date": "+2 days"}).json()
    environment = expose(
        by=actor(alice), tenant=acme, name="hq", endpoint=where("bob")["endpoint"], token=made["value"]
    )
    assert (environment.state, environment.credential.token_expires_at.isoformat()[:19]) == (
        "degraded",
        made["expiration_date"][:19],
    )
    assert "The token expires in 1 day." in environment.why
