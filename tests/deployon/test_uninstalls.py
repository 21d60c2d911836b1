"""Uninstall of many environments' services at once: what rollouts placed and what was made here, by page and by API."""

from __future__ import annotations

import re

import pytest

from accounts.models import AuditEntry, RolePermission
from deployon.models import Placement, Rollout
from inventory.models import Deployment
from orchestration.models import ExecutionGroup
from runs.states import RunState
from tests.deployon import factories as make
from tests.orchestration import factories as local

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def placed(double, acme, alice, drive):
    """Two environments; service hello on both, service db on the first."""
    first, second = make.environment(double, acme, "lisbon"), make.environment(double, acme, "porto")
    drive(make.rollout(alice, make.version(acme, "hello"), [first, second]))
    drive(make.rollout(alice, make.version(acme, "db"), [first]))
    assert Placement.objects.filter(state=Placement.State.DEPLOYED).count() == 3
    return first, second


def address(environments):
    return f"/deployments/uninstall/?environments={','.join(str(each.pk) for each in environments)}"


def shown_in(page):
    return re.search(r'name="shown" value="(\w+)"', page)[1]


def test_the_page_says_what_stands_where_and_who_placed_it_and_starts_nothing(signed_in, alice, placed):
    client, before = signed_in(alice), Rollout.objects.count()
    reply = client.post(
        "/environments/act/", {"what": "uninstall", "selected": [each.pk for each in placed]}, follow=True
    )
    page = reply.text
    assert "Uninstall 3 of 3 deployments" in page and ">Uninstall 3</button>" in page
    assert 'service <b class="b">hello</b>' in page and 'service <b class="b">db</b>' in page
    assert page.count(">hello@lisbon<") >= 1 and ">lisbon</a>" in page and ">porto</a>" in page
    assert page.count(f"{alice.username}, <a") == 3 and f'href="/rollouts/{Rollout.objects.last().pk}/"' in page
    assert Rollout.objects.count() == before


def test_it_starts_a_rollout_for_each_service_and_they_are_gone(signed_in, alice, placed, drive):
    client = signed_in(alice)
    shown = shown_in(client.get(address(placed)).text)
    reply = client.post(address(placed), {"what": "start", "shown": shown, "max_parallel": 3, "concurrency": 5})
    assert reply["Location"] == "/rollouts/"
    begun = list(Rollout.objects.filter(action=Rollout.Action.UNINSTALL).order_by("version__service__name"))
    assert [(row.version.service.name, row.targets.count(), row.max_parallel) for row in begun] == [
        ("db", 1, 3),
        ("hello", 2, 3),
    ]
    again = client.get(address(placed)).text
    assert "It is being uninstalled already, by a rollout." in again and ">Uninstall 3</button>" not in again
    for rollout in begun:
        drive(rollout)
    assert {rollout.run.state for rollout in begun} == {RunState.SUCCEEDED}
    assert not Placement.objects.exclude(state=Placement.State.ABSENT).exists()
    assert AuditEntry.objects.filter(action="rollout.start", actor=alice).count() == 4


def test_nothing_starts_that_is_not_what_was_looked_at(signed_in, alice, acme, placed, drive):
    client = signed_in(alice)
    shown = shown_in(client.get(address(placed)).text)
    drive(make.rollout(alice, make.version(acme, "late"), [placed[1]]))
    page = client.post(address(placed), {"what": "start", "shown": shown, "concurrency": 5}).text
    assert "not what you looked at any more" in page and "Uninstall 4 of 4" in page
    assert not Rollout.objects.filter(action=Rollout.Action.UNINSTALL).exists()


def test_what_was_made_here_goes_by_its_workflow_in_the_same_act(signed_in, alice, acme, placed):
    row = local.local(acme, "web", instances=("started",), by=alice)
    Deployment.objects.filter(pk=row.deployment_id).update(parent=placed[0].deployment)
    workflows = {**local.PLAN["workflows"], "uninstall": {"operation": "x", "plugin": "x", "parameters": {}}}
    row.plan = {**local.PLAN, "workflows": workflows}
    row.save()
    client = signed_in(alice)
    page = client.get(address(placed)).text
    assert "Uninstall 4 of 4" in page and "would be uninstalled by the workflow" in page
    reply = client.post(address(placed), {"what": "start", "shown": shown_in(page), "concurrency": 2})
    group = ExecutionGroup.objects.get()
    assert reply["Location"] == f"/execution-groups/{group.pk}/"
    assert (group.workflow, group.concurrency) == ("uninstall", 2)
    assert [each.local for each in group.executions.all()] == [row]
    assert Rollout.objects.filter(action=Rollout.Action.UNINSTALL).count() == 2


def test_a_service_on_which_something_made_here_stands_is_left_alone(signed_in, alice, acme, placed):
    row = local.local(acme, "web", instances=("started",), by=alice)
    on = Placement.objects.get(service__name="db").deployment
    Deployment.objects.filter(pk=row.deployment_id).update(parent=on)
    page = signed_in(alice).get(address(placed)).text
    assert "Uninstall and remove what stands on it first: web." in page
    assert 'service <b class="b">hello</b>' in page and 'service <b class="b">db</b>' not in page


def test_who_may_start_no_rollouts_is_told_so(signed_in, alice, placed):
    RolePermission.objects.create(role="user", action="rollout.start", is_allowed=False)
    page = signed_in(alice).get(address(placed)).text
    assert "you may not start rollouts in this tenant" in page and "Uninstall 0 of 3" in page


def test_the_api_previews_starts_by_digest_and_refuses_what_has_changed(api_of, alice, acme, placed, drive):
    client = api_of(alice)
    asked = {"environments": [each.pk for each in placed], "survey": True}
    seen = client.post("/api/v1/uninstalls/", asked, format="json").json()
    assert [(row["service"], row["name"], row["placed_by"]) for row in seen["services"]] == [
        ("db", "lisbon", "alice"),
        ("hello", "lisbon", "alice"),
        ("hello", "porto", "alice"),
    ]
    assert seen["rollouts"] == [] and seen["execution_group"] is None and seen["excluded"] == []
    wrong = client.post("/api/v1/uninstalls/", {**asked, "digest": "0" * 64}, format="json")
    assert wrong.status_code == 409 and "Preview again." in wrong.text
    assert client.post("/api/v1/uninstalls/", {}, format="json").status_code == 400
    begun = client.post("/api/v1/uninstalls/", {**asked, "digest": seen["digest"]}, format="json")
    assert begun.status_code == 201 and len(begun.json()["rollouts"]) == 2
    for pk in begun.json()["rollouts"]:
        drive(Rollout.objects.get(pk=pk))
    left = client.post("/api/v1/uninstalls/", {"rules": []}, format="json").json()
    assert left["services"] == []


def test_on_the_list_of_deployments_a_placement_goes_by_its_rollout(api_of, signed_in, alice, placed):
    one = Placement.objects.get(service__name="db").deployment
    reply = signed_in(alice).post("/deployments/act/", {"what": "uninstall", "selected": [one.pk]})
    assert reply["Location"] == f"/deployments/uninstall/?deployments={one.pk}"
    assert "Uninstall 1 of 1 deployment" in signed_in(alice).get(reply["Location"]).text
    seen = api_of(alice).post("/api/v1/uninstalls/", {"deployments": [one.wire_id]}, format="json").json()
    assert [row["deployment"] for row in seen["services"]] == [one.wire_id] and seen["deployments"] == []
