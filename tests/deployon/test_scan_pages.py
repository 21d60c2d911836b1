"""Pages of orphans, drift and adoption, as user, viewer and outsider."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from deployon import scans
from deployon.models import Placement, Rollout, Scan
from inventory.models import Environment
from runs.models import Run
from tests.deployon import factories as make
from tests.deployon.test_scans import put_by_hand, world
from tests.inventory import factories as inventory
from tests.runs.drive import drive as drive_runs

pytestmark = pytest.mark.django_db
ADDRESSES = ("/services/orphans/", "/services/drift/")


@pytest.fixture
def fleet(double, acme, alice, drive):
    """hello on edge1 (changed by hand, with a foreign one beside it) and edge2 (gone there); both were asked."""
    version = make.version(acme, inputs_schema={"port": {"type": "integer", "default": 80}})
    rows = [make.environment(double, acme, name) for name in ("edge1", "edge2")]
    drive(make.rollout(alice, version, rows))
    world(double, rows[0]).deployments["hello"].inputs["port"] = 99
    put_by_hand(double, rows[0])
    world(double, rows[1]).deployments.clear()
    scans.scan(scans.for_asking(Environment.objects.all()))
    return version, rows


def test_a_viewer_sees_and_has_no_button_and_an_outsider_sees_nothing(signed_in, bob, charlie, fleet):
    for address in ADDRESSES:
        page = signed_in(bob).get(address).text
        assert "edge1" in page and "edge2" in page
        for act in ("Fix the chosen", "Adopt…", "Forget here", "Ask the managers now"):
            assert act not in page
        assert "edge1" not in signed_in(charlie).get(address).text
    for address in ("drift/fix/", "orphans/ask/", "orphans/forget/", "orphans/adopt/", "orphans/remove/"):
        assert signed_in(bob).post(f"/services/{address}").status_code == 403


def test_the_drifted_are_fixed_by_a_rollout_of_them_alone(signed_in, alice, fleet, double, drive):
    _, rows = fleet
    client = signed_in(alice)
    page = client.get("/services/drift/")
    assert "Other inputs there" in page.text and "Deleted there" in page.text and "port" in page.text
    keys = list(Placement.objects.order_by("pk").values_list("pk", flat=True))
    review = client.post("/services/drift/fix/", {"placement": keys[:1]}, follow=True)
    assert "Start: update 1" in review.text
    client.post("/rollouts/new/start/", {"digest": review.context["preview"].digest, "max_parallel": 1})
    drive(Rollout.objects.latest("pk"))
    assert world(double, rows[0]).deployments["hello"].inputs["port"] == 80
    client.post("/services/orphans/ask/", {"back": "drift"})
    assert "Other inputs there" not in client.get("/services/drift/").text


def test_a_foreign_deployment_is_adopted_under_a_chosen_name(signed_in, alice, fleet, double):
    _, rows = fleet
    client, stray = signed_in(alice), f"{fleet[1][0].pk}:foreign"
    page = client.get("/services/orphans/")
    assert f'value="{stray}"' in page.text and "of theirs" in page.text
    shown = client.post("/services/orphans/adopt/", {"stray": stray})
    assert "Adopt 1" in shown.text and "a new service" in shown.text
    form = {"stray": stray, "digest": shown.context["digest"], f"service:{stray}": "renamed"}
    changed = client.post("/services/orphans/adopt/", form | {"what": "adopt"})
    assert changed.status_code == 409 and "Nothing was adopted" in changed.text
    done = client.post("/services/orphans/adopt/", form | {"what": "adopt", "digest": changed.context["digest"]})
    assert "Adopted 1" in done.text
    assert Placement.objects.get(service__name="renamed").environment == rows[0]


def test_a_lost_one_is_removed_there_and_a_record_of_what_is_gone_is_forgotten(signed_in, alice, fleet, double):
    _, rows = fleet
    client, stray = signed_in(alice), f"{fleet[1][0].pk}:foreign"
    shown = client.post("/services/orphans/remove/", {"stray": [stray, f"{rows[0].pk}:hello"]})
    assert "Remove 1 there" in shown.text and "by a rollout instead" in shown.text
    form = {"stray": [stray, f"{rows[0].pk}:hello"], "digest": shown.context["digest"]}
    reply = client.post("/services/orphans/remove/", form)
    drive_runs(Run.objects.get(pk=int(reply["Location"].strip("/").split("/")[-1])), 20)
    assert world(double, rows[0]).deployment("foreign") is None

    ghost = Placement.objects.get(environment=rows[1])
    asked = client.post("/services/orphans/forget/", {"placement": ghost.pk})
    assert "hello@edge2" in asked.text and Placement.objects.filter(pk=ghost.pk).exists()
    client.post("/services/orphans/forget/", {"placement": ghost.pk, "sure": "1"})
    assert not Placement.objects.filter(pk=ghost.pk).exists()
    there = Placement.objects.get(environment=rows[0])
    refused = client.post("/services/orphans/forget/", {"placement": there.pk, "sure": "1"}, follow=True)
    assert "Uninstall it instead" in refused.text and Placement.objects.filter(pk=there.pk).exists()


def test_nothing_chosen_and_nothing_there_is_said(signed_in, alice, acme, fleet):
    client = signed_in(alice)
    assert "Choose" in client.post("/services/orphans/adopt/", follow=True).text
    assert "Choose" in client.post("/services/orphans/remove/", {"stray": "x:y"}, follow=True).text
    assert "Choose placements" in client.post("/services/drift/fix/", follow=True).text
    assert "No environment is so" in client.get("/services/orphans/?told=unreachable").text
    assert "No environment matches" in client.get("/services/orphans/?q=nosuch").text


def test_many_environments_ask_the_database_as_often_as_few(signed_in, alice, acme, fleet):
    client = signed_in(alice)
    client.get("/")

    def count(address):
        with CaptureQueriesContext(connection) as asked:
            assert client.get(address).status_code == 200
        return len(asked)

    few = [count(address) for address in ADDRESSES]
    manager = fleet[1][0].sub_manager
    rows = [
        inventory.environment(acme, f"more{number:03d}", state="ready", sub_manager=manager) for number in range(80)
    ]
    seen = {
        "id": "d",
        "name": "d",
        "blueprint": "b",
        "situation": "installed",
        "service": "",
        "owner": "",
        "parent": "",
        "kind": "",
    }
    Scan.objects.bulk_create(Scan(environment=row, deployments=[seen], seen_at=row.state_since) for row in rows)
    assert [count(address) for address in ADDRESSES] == few
