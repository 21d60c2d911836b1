"""Pages of saved filters, the builder, and labels of many."""

from __future__ import annotations

import pytest

from accounts.models import Visibility
from inventory.models import Environment, Filter
from tests.inventory import factories as inventory

pytestmark = pytest.mark.django_db
RULE = {"rule_type": "label", "rule_key": "env", "rule_operator": "any_of", "rule_values": "prod, stage"}


@pytest.fixture
def fleet(acme):
    return [inventory.environment(acme, f"edge-{n}", [("env", env)]) for n, env in enumerate(["prod", "stage", "lab"])]


def test_a_filter_is_built_saved_and_shown_at_once(signed_in, alice, fleet):
    reply = signed_in(alice).post("/filters/new/", RULE | {"name": "live", "visibility": "tenant"}, follow=True)
    assert "Filter live is saved" in reply.text
    assert "edge-0" in reply.text and "edge-1" in reply.text and "edge-2" not in reply.text
    assert Filter.objects.get(name="live").rules[0]["values"] == ["prod", "stage"]


def test_rules_can_be_looked_through_without_saving_and_are_chips_then(signed_in, alice, fleet):
    page = signed_in(alice).post("/filters/new/", RULE | {"what": "show"}, follow=True).text
    assert "edge-0" in page and "edge-2" not in page and "prod or stage" in page
    assert not Filter.objects.filter(is_system=False).exists()
    assert "csrfmiddlewaretoken=" not in page.split("fchip")[1].split("</a>")[0]


def test_the_choice_of_the_list_becomes_the_rules_of_a_new_filter(signed_in, alice, fleet):
    page = signed_in(alice).get("/filters/new/?label=env%3Dlab&site=London").text
    assert 'value="env"' in page and 'value="lab"' in page and 'value="site_name"' in page


def test_a_wrong_rule_is_marked_and_what_was_typed_stays(signed_in, alice):
    reply = signed_in(alice).post("/filters/new/", RULE | {"name": "live", "visibility": "tenant", "rule_values": ""})
    assert reply.status_code == 400
    assert "Values list must include at least one item" in reply.text and 'value="live"' in reply.text


def test_a_name_in_use_or_reserved_is_told_beside_it(signed_in, alice, acme):
    Filter.objects.create(tenant=acme, name="live", rules=[])
    reply = signed_in(alice).post("/filters/new/", RULE | {"name": "live", "visibility": "tenant"})
    assert reply.status_code == 400 and "exists already" in reply.text
    reply = signed_in(alice).post("/filters/new/", RULE | {"name": "csys-mine", "visibility": "tenant"})
    assert "reserved for filters of the system" in reply.text


def test_a_filter_is_changed_copied_and_deleted(signed_in, alice, acme):
    saved = Filter.objects.create(tenant=acme, name="live", rules=[])
    client = signed_in(alice)
    client.post(f"/filters/{saved.pk}/", RULE | {"name": "production", "visibility": "tenant"})
    saved.refresh_from_db()
    assert saved.name == "production" and saved.rules[0]["key"] == "env"
    assert 'value="prod, stage"' in client.get("/filters/new/?copy=production").text
    client.post(f"/filters/{saved.pk}/delete/")
    assert not Filter.objects.filter(pk=saved.pk).exists()


def test_only_system_administrators_are_offered_every_tenant(signed_in, alice, admin):
    assert "Every tenant" not in signed_in(alice).get("/filters/new/").text
    assert "Every tenant" in signed_in(admin).get("/filters/new/").text
    reply = signed_in(alice).post("/filters/new/", RULE | {"name": "all", "visibility": Visibility.GLOBAL})
    assert reply.status_code == 400 and not Filter.objects.filter(name="all").exists()


def test_a_viewer_sees_filters_and_changes_none(signed_in, bob, acme):
    saved = Filter.objects.create(tenant=acme, name="live", rules=[])
    page = signed_in(bob).get("/filters/").text
    assert "live" in page and "Delete filter" not in page and "New filter" not in page
    assert signed_in(bob).post(f"/filters/{saved.pk}/delete/").status_code == 403


def test_the_count_of_the_builder_says_how_many_match_and_what_is_wrong(signed_in, alice, fleet):
    client = signed_in(alice)
    assert '<b class="b ink">2</b> environments match' in client.get("/environments/count/", RULE).text
    assert "This rule does not work" in client.get("/environments/count/", RULE | {"rule_key": "csys-wrong"}).text


def test_labels_of_many_are_previewed_then_changed(signed_in, alice, fleet):
    client = signed_in(alice)
    picked = {"what": "label", "selected": [row.pk for row in fleet]}
    page = client.post("/environments/act/", picked, follow=True)
    assert "Label 3 environments" in page.text
    address = page.redirect_chain[0][0]
    asked = {"add": "team=blue", "remove": "env=lab"}
    preview = client.post(address, asked | {"what": "preview"}).text
    assert "3 get it" in preview and "1 loses it" in preview and "Change labels of 3" in preview
    shown = preview.split('name="shown" value="')[1].split('"')[0]
    assert (
        "Labels of 3 environments changed"
        in client.post(address, asked | {"what": "apply", "shown": shown}, follow=True).text
    )
    assert Environment.objects.filter(deployment__labels__key="team").count() == 3


def test_what_was_changed_after_the_preview_is_previewed_again(signed_in, alice, fleet):
    client = signed_in(alice)
    address = f"/environments/labels/?environments={fleet[0].pk}"
    preview = client.post(address, {"add": "team=blue", "what": "preview"}).text
    shown = preview.split('name="shown" value="')[1].split('"')[0]
    again = client.post(address, {"add": "team=red", "what": "apply", "shown": shown}).text
    assert "team=red" in again and "Change labels of 1" in again
    assert not Environment.objects.filter(deployment__labels__key="team").exists()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"add": "csys-obj-parent=x"}, "label of the system"),
        ({"add": "nonsense"}, "is not key=value"),
        ({"remove": "csys-obj-type"}, "label of the system"),
        ({}, "Nothing would change"),
    ],
)
def test_wrong_labels_are_told(signed_in, alice, fleet, asked, words):
    reply = signed_in(alice).post(f"/environments/labels/?environments={fleet[0].pk}", asked)
    assert reply.status_code == 400 and words in reply.text


def test_nothing_selected_leads_back_with_the_reason(signed_in, alice, fleet):
    reply = signed_in(alice).post("/environments/act/?q=edge", {"what": "label"}, follow=True)
    assert "select the environments first" in reply.text


def test_a_label_is_shown_as_a_column(signed_in, alice, fleet):
    page = signed_in(alice).get("/environments/?column=env&column=nosuch").text
    assert "Remove the column env" in page and "Remove the column nosuch" in page
