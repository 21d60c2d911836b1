"""Trying a connection, changing an environment, removing it."""

from __future__ import annotations

import pytest

from accounts import secrets
from accounts.errors import Conflict
from accounts.models import AuditEntry, Secret
from inventory.doubles.server import default_authority
from inventory.exposing import hide, update_environment
from inventory.exposing import test_connection as try_connection
from inventory.models import Credential, Deployment, Environment, SubManager
from inventory.sites import create_site
from tests.factories import actor
from tests.inventory.exposed import TOKEN, State, exposed, form

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
