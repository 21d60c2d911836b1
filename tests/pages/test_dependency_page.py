"""The page and the call that say who uses a deployment and whom it uses."""

from __future__ import annotations

import json

import pytest

from inventory.models import Deployment
from orchestration.models import Dependency
from tests import factories
from tests.inventory.factories import environment
from tests.orchestration import factories as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(acme, alice):
    """A shop on an environment, which uses a database, has a component elsewhere, and is used itself."""
    plant = environment(acme, "plant").deployment
    rows = {
        name: make.local(acme, name, by=alice).deployment for name in ("shop", "database", "report", "cache", "till")
    }
    Deployment.objects.filter(pk=rows["shop"].pk).update(parent=plant)
    Deployment.objects.filter(pk=rows["till"].pk).update(parent=rows["report"])
    far = {"deployment": "far-app", "client_config": {"host": "edge.example.com", "tenant": "north"}}
    for source, target, creator, external in (
        ("shop", "database", "nodes.app.properties.url.get_capability", None),
        ("shop", "database", "capabilities.c.value.get_capability", None),
        ("shop", None, "component.comp_abc123", far),
        ("report", "shop", "sharedresource.shared_x1", None),
    ):
        Dependency.objects.create(
            source=rows[source], target=rows.get(target), creator=creator, external_target=external, created_by=alice
        )
    return rows["shop"]


@pytest.fixture
def ask(client):
    def make_call(user, path):
        headers = {"Authentication-Token": factories.token(user), "Tenant": "acme"}
        return client.get(f"/api/v3.1/deployments/{path}", headers=headers)

    return make_call


def test_the_page_tells_both_ways_with_what_makes_them(signed_in, alice, shop):
    client = signed_in(alice)
    address = f"/deployments/{shop.pk}/dependencies/"
    assert f'href="{address}"' in client.get(f"/deployments/{shop.pk}/").text
    page = client.get(address).text
    for words in ("Stands on", "plant", "Uses capabilities of", "database", "Has as a component", "far-app", "edge.example.com", "Share it", "report"):  # fmt: skip
        assert words in page, words
    assert "nodes.app.properties.url.get_capability, capabilities.c.value.get_capability" in page
    assert "2 deployments need it, directly or through others" in page  # report, and the till that stands on it
    assert ">cache<" not in page
    nothing = client.get(f"/deployments/{Deployment.objects.get(wire_id='cache').pk}/dependencies/").text
    assert "It uses no other deployment." in nothing and "Nothing needs it." in nothing


def test_the_call_says_the_same(ask, alice, shop):
    reply = ask(alice, "shop/dependencies").json()
    told = {(one["direction"], one["kind"], one["deployment_id"]) for one in reply["items"]}
    assert told == {
        ("uses", "parent", "plant"),
        ("uses", "capability", "database"),
        ("uses", "component", "far-app"),
        ("used_by", "shared_resource", "report"),
    }
    assert reply["metadata"]["needed_by"] == 2 and reply["metadata"]["hidden"] == 0
    (far,) = [one for one in reply["items"] if one["deployment_id"] == "far-app"]
    assert far["external"] == {"host": "edge.example.com", "tenant": "north"} and far["tenant_name"] is None
    one = ask(alice, "shop/dependencies?direction=used_by&_size=1").json()
    assert [row["deployment_id"] for row in one["items"]] == ["report"] and one["metadata"]["pagination"]["total"] == 1
    assert "write uses or used_by" in ask(alice, "shop/dependencies?direction=up").json()["message"]
    assert ask(alice, "nosuch/dependencies").status_code == 404


def test_what_somebody_may_not_see_is_a_number(signed_in, ask, alice, bob, charlie, shop):
    Deployment.objects.filter(wire_id__in=("report", "database")).update(visibility="private", created_by=alice)
    page = signed_in(bob).get(f"/deployments/{shop.pk}/dependencies/").text
    assert "2 more beside it that you may not see" in page and "report" not in page and ">database<" not in page
    reply = ask(bob, "shop/dependencies").json()
    assert "report" not in json.dumps(reply) and reply["metadata"]["hidden"] == 2
    assert signed_in(charlie).get(f"/deployments/{shop.pk}/dependencies/").status_code == 404


def test_many_are_told_with_as_many_queries_as_few(signed_in, alice, acme, shop, django_assert_max_num_queries):
    for number in range(150):
        child = make.local(acme, f"child{number}", by=alice).deployment
        Deployment.objects.filter(pk=child.pk).update(parent=shop)
    client = signed_in(alice)
    client.get(f"/deployments/{shop.pk}/dependencies/")
    with django_assert_max_num_queries(40):
        page = client.get(f"/deployments/{shop.pk}/dependencies/").text
    assert "and 50 more" in page and "152 deployments need it" in page
