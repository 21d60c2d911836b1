"""Pages of deployment groups: made from a choice, their members, a workflow on all of them."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from accounts.models import AuditEntry
from inventory.models import Deployment, Label
from orchestration.models import DeploymentGroup, ExecutionGroup
from tests.orchestration import factories as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def three(acme, alice):
    return [make.local(acme, name, instances=("started",), by=alice) for name in ("web1", "web2", "web3")]


@pytest.fixture
def group(acme, alice, three):
    made = DeploymentGroup.objects.create(
        tenant=acme, wire_id="webs", created_by=alice, labels=[{"key": "team", "value": "blue"}]
    )
    made.members.set([row.deployment for row in three[:2]])
    return made


def test_what_was_ticked_becomes_a_group(signed_in, alice, three):
    client = signed_in(alice)
    assert "No groups yet" in client.get("/deployment-groups/").text
    keys = f"{three[0].deployment_id},{three[2].deployment_id}"
    reply = client.post("/deployments/act/", {"what": "group", "selected": keys.split(",")})
    assert reply["Location"] == f"/deployments/group/?deployments={keys}"
    assert "Put 2 deployments into a group" in client.get(reply["Location"]).text
    page = client.post(reply["Location"], {"name": "webs"}, follow=True).text
    made = DeploymentGroup.objects.get()
    assert (made.wire_id, made.created_by, made.members.count()) == ("webs", alice, 2)
    assert "2 deployments in group webs." in page and ">web1<" in page and ">web2<" not in page
    assert AuditEntry.objects.filter(action="deployment_group.add").exists()
    assert ">webs<" in client.get("/deployment-groups/").text


def test_more_come_into_a_group_that_is_there_and_get_its_labels(signed_in, alice, three, group):
    address = f"/deployments/group/?deployments={three[2].deployment_id}"
    signed_in(alice).post(address, {"name": "webs"})
    assert group.members.count() == 3
    assert Label.objects.filter(deployment=three[2].deployment, key="team", value="blue").exists()


def test_an_id_that_cannot_be_is_said(signed_in, alice, three):
    address = f"/deployments/group/?deployments={three[2].deployment_id}"
    for name in ("", "not an id/"):
        reply = signed_in(alice).post(address, {"name": name})
        assert reply.status_code == 400
    assert not DeploymentGroup.objects.exists()


def test_a_workflow_runs_on_all_members_in_the_name_of_the_group(signed_in, alice, group):
    client = signed_in(alice)
    page = client.get(f"/deployment-groups/{group.pk}/").text
    assert f'href="/deployments/workflow/?group={group.pk}"' in page and "Run a workflow on 2" in page
    address, asked = f"/deployments/workflow/?group={group.pk}&workflow=greet", {"concurrency": 5, "value:name": "Ada"}
    shown = re.search(r'name="shown" value="(\w*)"', client.post(address, asked).text)[1]
    client.post(address, {**asked, "what": "start", "shown": shown})
    made = ExecutionGroup.objects.get()
    assert made.deployment_group == group and made.executions.count() == 2
    page = client.get(f"/deployment-groups/{group.pk}/").text
    assert reverse("execution-group", args=[made.pk]) in page and "0 of 2" in page


def test_members_are_taken_out_and_the_group_is_removed_and_deployments_stay(signed_in, alice, three, group):
    client = signed_in(alice)
    address = f"/deployment-groups/{group.pk}/shrink/"
    assert "tick the members first" in client.post(address, {"selected": [three[2].deployment_id]}, follow=True).text
    assert "1 taken out of webs" in client.post(address, {"selected": [three[0].deployment_id]}, follow=True).text
    assert [row.wire_id for row in group.members.all()] == ["web2"]
    page = client.post(f"/deployment-groups/{group.pk}/delete/", follow=True).text
    assert "Group webs is removed" in page and Deployment.objects.count() == 3
    assert client.post(f"/deployment-groups/{group.pk}/explode/").status_code == 404


def test_a_viewer_looks_and_an_outsider_finds_nothing(signed_in, bob, charlie, three, group):
    client, address = signed_in(bob), f"/deployment-groups/{group.pk}/"
    page = client.get(address).text
    assert ">web1<" in page and "Run a workflow" not in page and "Remove group" not in page
    assert client.post(f"{address}delete/").status_code == 403
    assert client.get(f"/deployments/group/?deployments={three[0].deployment_id}").status_code == 403
    client = signed_in(charlie)
    assert client.get(address).status_code == 404 and client.post(f"{address}delete/").status_code == 404
    assert ">webs<" not in client.get("/deployment-groups/").text
    assert "there is no such deployment" in client.get(f"/deployments/workflow/?group={group.pk}", follow=True).text


def test_members_that_one_may_not_see_are_not_there(signed_in, alice, three, group):
    Deployment.objects.filter(pk=three[0].deployment_id).update(visibility="private", created_by=None)
    page = signed_in(alice).get(f"/deployment-groups/{group.pk}/").text
    assert ">web1<" not in page and ">web2<" in page and "1 member" in page
