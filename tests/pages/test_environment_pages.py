"""Pages of environments and sites."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import AuditEntry, Secret
from inventory.doubles import ManagerDouble
from inventory.models import Credential, Environment, Label, Site, SubManager
from runs.models import Run
from tests.inventory import factories as inventory

pytestmark = pytest.mark.django_db


def form(double, **more):
    """What the add page sends."""
    return {
        "name": "edge-1", "protocol": "http", "endpoint": "127.0.0.1", "port": double.port, "remote_tenant": "acme",
        "trust": "system", "method": "token", "token": "ctok-alice-0123456789", "labels": "env=prod",
    } | more  # fmt: skip


def test_an_environment_is_added_and_checked_at_once(signed_in, alice, double):
    reply = signed_in(alice).post("/environments/add/", form(double), follow=True)
    assert "edge-1 is ready" in reply.text
    assert Environment.objects.get().state == Environment.State.READY


def test_wrong_input_keeps_what_was_typed_but_not_the_secret(signed_in, alice, double):
    reply = signed_in(alice).post("/environments/add/", form(double, port="99999", labels="nonsense"))
    assert reply.status_code == 400
    assert "“nonsense” is not key=value" in reply.text and 'value="edge-1"' in reply.text
    assert "ctok-alice" not in reply.text and "never sent back" in reply.text
    assert not Environment.objects.exists()


def test_a_name_in_use_is_told_in_the_form(signed_in, alice, double, acme):
    inventory.environment(acme, "edge-1")
    reply = signed_in(alice).post("/environments/add/", form(double))
    assert reply.status_code == 400 and "exists already in tenant acme" in reply.text


def test_an_environment_that_cannot_be_reached_is_saved_with_its_cause(signed_in, alice, double):
    reply = signed_in(alice).post("/environments/add/", form(double, port="9"), follow=True)
    assert "edge-1 is unreachable" in reply.text and "What to do:" in reply.text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "user in acme"),
        ({"name": ""}, "user in acme"),
        ({"port": "9"}, "refuses connections"),
        ({"token": "ctok-nosuch0000-0"}, "does not know this token"),
        ({"remote_tenant": "nosuch"}, "What to do:"),
        ({"method": "password", "username": "bob", "password": "bob-password"}, "What to do:"),
        ({"endpoint": "no-such-host.invalid"}, "What to do:"),
        ({"token": ""}, "Paste a token of that manager"),
        ({"endpoint": "169.254.169.254", "port": "80"}, "What to do:"),
    ],
)
def test_check_shows_the_ladder_for_what_the_form_holds(signed_in, alice, double, change, words):
    reply = signed_in(alice).post("/environments/check/", form(double, **change))
    assert reply.status_code == 200 and words in reply.text
    assert not Environment.objects.exists()


def test_check_offers_the_certificate_that_was_shown(signed_in, alice, settings):
    settings.ENDPOINT_NETWORKS = ["127.0.0.1/32"]
    with ManagerDouble.secure() as secure:
        client = signed_in(alice)
        reply = client.post("/environments/check/", form(secure, protocol="https")).text
        pin = reply.split('data-pin="')[1].split('"')[0]
        assert len(pin) == 95
        pinned = form(secure, protocol="https", trust="fingerprint", fingerprint=pin)
        assert "user in acme" in client.post("/environments/check/", pinned).text


def test_change_keeps_the_credential_that_is_not_entered_again(signed_in, alice, double):
    client = signed_in(alice)
    client.post("/environments/add/", form(double))
    environment = Environment.objects.get()
    assert "ctok-alice" not in client.get(f"/environments/{environment.pk}/change/").text
    changed = form(double, name="edge-one", token="", environment=environment.pk)
    assert "user in acme" in client.post("/environments/check/", changed).text
    reply = client.post(f"/environments/{environment.pk}/change/", changed, follow=True)
    assert "edge-one is ready" in reply.text


def test_a_stored_secret_goes_to_another_manager_only_when_that_is_said(signed_in, alice, double):
    client = signed_in(alice)
    client.post("/environments/add/", form(double))
    stored = Secret.objects.get()
    with ManagerDouble() as another:
        chosen = form(another, name="edge-2", token="", token_secret=stored.pk)
        for address in ("/environments/check/", "/environments/add/"):
            words = client.post(address, chosen).text
            assert f"{stored.name} is in use at http://127.0.0.1:{double.port}" in words
        moved = form(another, name="edge-1", token="", environment=Environment.objects.get().pk)
        for address in ("/environments/check/", f"/environments/{moved['environment']}/change/"):
            assert "tick that it may be sent there" in client.post(address, moved).text
        assert not another.requests

        reply = client.post("/environments/add/", chosen | {"may_reuse": "1"}, follow=True)
        assert "edge-2 is" in reply.text and another.requests
        assert not AuditEntry.objects.filter(action="secret.send").exists()
        client.post("/environments/check/", chosen | {"may_reuse": "1"})
        assert AuditEntry.objects.get(action="secret.send").after == {"to": f"http://127.0.0.1:{another.port}"}
    again = form(double, name="edge-3", token="", token_secret=stored.pk)
    assert "edge-3 is ready" in client.post("/environments/add/", again, follow=True).text


def test_labels_are_replaced_and_a_wrong_line_stays_in_the_field(signed_in, alice, acme):
    environment = inventory.environment(acme, labels=[("env", "lab")])
    client, address = signed_in(alice), f"/environments/{environment.pk}/labels/"
    assert client.post(address, {"labels": "env=prod\nring=1"}).status_code == 302
    shown = set(Label.objects.filter(deployment=environment.deployment).values_list("key", "value"))
    assert {("env", "prod"), ("ring", "1"), ("csys-obj-type", "environment")} == shown
    reply = client.post(address, {"labels": "what is this"})
    assert reply.status_code == 400 and "what is this</textarea>" in reply.text


def test_an_environment_with_a_service_is_removed_only_with_its_name_typed_once_more(signed_in, alice, acme):
    from deployon.models import Placement
    from tests.samples import sample

    placement = sample(Placement, acme)
    Placement.objects.update(state=Placement.State.DEPLOYED)
    environment, service = placement.environment, placement.service.name
    client, address = signed_in(alice), f"/environments/{environment.pk}/remove/"
    assert f"{environment} carries {service}. Uninstall first" in client.post(address, follow=True).text
    reply = client.post(address, {"confirm": "another"}, follow=True)
    assert f"type its name exactly as it is written: {environment}" in reply.text
    assert Environment.objects.filter(pk=environment.pk).exists()

    reply = client.post(address, {"confirm": str(environment)}, follow=True)
    assert f"{environment} is removed from here" in reply.text
    assert not Placement.objects.exists()


def test_an_environment_is_removed(signed_in, alice, acme):
    environment = inventory.environment(acme, "gone")
    reply = signed_in(alice).post(f"/environments/{environment.pk}/remove/", follow=True)
    assert "gone is removed from here. Nothing was changed at the manager." in reply.text


def test_another_tenants_environment_is_not_there(signed_in, charlie, acme):
    environment = inventory.environment(acme)
    client = signed_in(charlie)
    for path in ("", "change/"):
        assert client.get(f"/environments/{environment.pk}/{path}").status_code == 404
    for path in ("probe/", "labels/", "remove/"):
        assert client.post(f"/environments/{environment.pk}/{path}").status_code == 404


def test_a_viewer_has_no_buttons_that_act(signed_in, bob, acme):
    environment = inventory.environment(acme)
    page = signed_in(bob).get(f"/environments/{environment.pk}/").text
    for word in ("Check now", "Remove", "Save labels", "/change/"):
        assert word not in page
    listing = signed_in(bob).get("/environments/").text
    for word in ("Add environment", "Deploy to", 'name="selected"'):
        assert word not in listing


def test_the_list_filters_and_says_which_kind_of_empty_it_is(signed_in, alice, acme):
    client = signed_in(alice)
    assert "No environments yet" in client.get("/environments/").text
    inventory.environment(
        acme, "alpha", [("env", "prod")], state="ready", deployment={"site": inventory.site(acme, "London")}
    )
    inventory.environment(acme, "beta", [("env", "lab")], state="unreachable")
    assert names(client, "label=env%3Dprod") == {"alpha"}
    assert names(client, "label=env") == {"alpha", "beta"}
    assert names(client, "site=London") == {"alpha"}
    assert names(client, "q=BET") == {"beta"}
    assert names(client, "state=unreachable") == {"beta"}
    page = client.get("/environments/?label=env%3Dnosuch").text
    assert "No environment matches" in page and "Remove filter env=nosuch" in page
    assert "There is no saved filter nosuch" in client.get("/environments/?filter=nosuch").text


def names(client, query):
    return {str(row) for row in client.get(f"/environments/?{query}").context["page"]}


def test_the_worst_come_first_and_a_thousand_are_paged(signed_in, alice, acme):
    from inventory.models import SubManager

    manager, credential = SubManager.objects.create(tenant=acme, endpoint="10.0.0.1"), inventory.credential(acme)
    for number in range(120):
        inventory.environment(acme, f"e{number:04d}", state="ready", sub_manager=manager, credential=credential)
    inventory.environment(acme, "z-last", state="unreachable")
    page = signed_in(alice).get("/environments/")
    assert str(page.context["page"][0]) == "z-last" and "1–50 of 121" in page.text


def test_bulk_check_takes_the_selected_or_all_that_match(signed_in, alice, acme):
    first, second = inventory.environment(acme, "one"), inventory.environment(acme, "two")
    client = signed_in(alice)

    def going_on(body, query=""):
        return client.post(f"/environments/act/{query}", body | {"what": "probe"})["Location"]

    picked = going_on({"selected": [first.pk]})
    assert picked == f"/environments/probe/?environments={first.pk}"
    shown = client.get(picked).text
    assert "Check 1 environment" in shown and "1 was never looked at" in shown and not Run.objects.exists()
    reply = client.post(picked, follow=True)
    assert "Checking 1 environment." in reply.text and "Check one" in reply.text
    reply = client.post(going_on({"all": "1"}, "?q=t"), follow=True)
    assert "Check two" in reply.text and "Check one" not in reply.text
    for nothing in (going_on({}), "/environments/probe/?environments=0"):
        assert "select the environments first" in client.get(nothing, follow=True).text
    assert "select the environments first" in client.post("/environments/probe/?q=nosuch", follow=True).text
    reply = client.post("/environments/act/", {"selected": [first.pk, second.pk], "what": "rollout"})
    assert reply["Location"] == f"/rollouts/new/?environments={first.pk},{second.pk}"


def test_a_site_is_made_changed_and_deleted(signed_in, alice, acme):
    client = signed_in(alice)
    place = {"name": "London", "latitude": "51.5", "longitude": "-0.1", "time_zone": "Europe/London"}
    client.post("/sites/", place)
    site = Site.objects.get(tenant=acme)
    client.post(f"/sites/{site.pk}/", place | {"name": "London-2"})
    assert "London-2" in client.get("/sites/").text
    wrong = client.post("/sites/", place | {"latitude": "91"})
    assert wrong.status_code == 400 and 'value="91"' in wrong.text
    client.post(f"/sites/{site.pk}/delete/")
    assert "No sites yet" in client.get("/sites/").text


def test_a_site_shows_its_environments_by_state_and_leads_to_them(signed_in, bob, acme, other):
    site = inventory.site(acme, "Lis & Porto")
    for state in ("ready", "ready", "unreachable"):
        inventory.environment(acme, state=state, deployment={"site": site})
    inventory.site(acme, "Empty")
    shown = signed_in(bob).get("/sites/")
    assert shown.context["counts"] == {"Lis & Porto": [("unreachable", 1), ("ready", 2)]}
    assert "/environments/?site=Lis%20%26%20Porto&amp;state=ready" in shown.text
    found = signed_in(bob).get("/environments/?site=Lis%20%26%20Porto&state=ready")
    assert len(found.context["page"]) == 2


def test_sites_of_others_are_not_there(signed_in, charlie, acme):
    site = inventory.site(acme)
    assert signed_in(charlie).get(f"/sites/{site.pk}/").status_code == 404
    assert signed_in(charlie).post(f"/sites/{site.pk}/delete/").status_code == 404


def test_what_ends_soon_or_has_ended_is_said_with_what_to_do(signed_in, alice, acme):
    environment = inventory.environment(acme, "edge")
    address = f"/environments/{environment.pk}/"
    assert "Token until" not in signed_in(alice).get(address).text
    for days, words in ((3, "by Change before then"), (-1, "enter a new one by Change<"), (300, "Token until")):
        until = timezone.now() + timedelta(days=days)
        Credential.objects.update(token_expires_at=until)
        SubManager.objects.update(certificate_expires_at=until)
        shown = signed_in(alice).get(address).text
        assert words in shown and f"{until:%b %Y}" in shown
        assert ("renew it at the manager" in shown) is (days < 30) is ("enter a new one" in shown)
