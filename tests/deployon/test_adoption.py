"""Adoption of what runs at a sub-manager already: previewed, recorded without running anything, then updated and removed by us."""

from __future__ import annotations

import pytest

from accounts.errors import Conflict
from accounts.models import AuditEntry
from deployon import adopting, adoption
from deployon.adoption import Wish
from deployon.models import Placement, Rollout, Service, ServiceVersion
from inventory.doubles import Fault, FaultKind
from tests import factories
from tests.deployon import factories as make
from tests.deployon.test_scans import look, put_by_hand, world

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
PLAN = {"inputs": {"port": {"type": "integer", "default": 80}}, "capabilities": {"answer": {}}}


@pytest.fixture
def edge(double, acme):
    """An environment where somebody runs `foreign` of the blueprint `theirs`."""
    environment = make.environment(double, acme, "edge")
    put_by_hand(double, environment)
    world(double, environment).blueprints["theirs"].plan = PLAN
    return environment


def adopt(alice, acme, *wishes):
    by = factories.actor(alice)
    found = adoption.prospects(by=by, tenant=acme, wishes=wishes)
    return adopting.adopt(by=by, tenant=acme, wishes=wishes, digest=adoption.digest_of(found))


def test_it_becomes_a_placement_with_service_and_version_and_nothing_is_run_there(alice, acme, double, edge):
    row = world(double, edge).deployments["foreign"]
    runs = len(row.runs)
    done = adopt(alice, acme, Wish(edge.pk, "foreign"))

    assert [each.verdict for each in done] == ["adopted"], done
    assert len(row.runs) == runs
    placement = Placement.objects.select_related("desired_version__service", "deployment").get()
    version = placement.desired_version
    assert (version.service.name, version.source, version.remote_blueprint) == ("foreign", "present", "theirs")
    assert version.inputs_schema == PLAN["inputs"]
    assert (placement.state, placement.desired_inputs, placement.remote_deployment) == (
        "deployed",
        {"port": 5},
        "foreign",
    )
    assert placement.capabilities == {"answer": "hello"}
    assert placement.deployment.labels.get(key="portal-service").value == "foreign"
    assert {label["key"] for label in row.labels} >= {
        "portal-service",
        "portal-env",
        "portal-inputs-hash",
        "csys-obj-type",
    }
    assert AuditEntry.objects.filter(action="placement.adopt").count() == 1
    found, drifted = look(acme, [edge])
    assert (found[0].state, drifted) == ("clear", {})


def test_adopting_once_more_changes_nothing(alice, acme, double, edge):
    by, wish = factories.actor(alice), Wish(edge.pk, "foreign")
    digest = adoption.digest_of(adoption.prospects(by=by, tenant=acme, wishes=[wish]))
    adopting.adopt(by=by, tenant=acme, wishes=[wish], digest=digest)
    again = adopting.adopt(by=by, tenant=acme, wishes=[wish], digest=digest)
    assert [each.verdict for each in again] == ["known"]
    assert (Placement.objects.count(), ServiceVersion.objects.count()) == (1, 1)
    assert AuditEntry.objects.filter(action="placement.adopt").count() == 1


def test_what_is_adopted_is_updated_and_uninstalled_by_rollouts(alice, acme, double, edge, drive):
    adopt(alice, acme, Wish(edge.pk, "foreign", "ours"))
    version = ServiceVersion.objects.select_related("service").get(service__name="ours")
    assert [
        row["name"] for row in make.preview(alice, version, [edge], inputs={"port": 5}, survey=True).content["stays"]
    ] == ["edge"]
    rollout = drive(make.rollout(alice, version, [edge], action="update", inputs={"port": 6}))
    assert rollout.run.state == "succeeded", rollout.run.children.get().why
    assert world(double, edge).deployments["foreign"].inputs == {"port": 6}
    newer = make.version(acme, "ours", "2", inputs_schema=PLAN["inputs"])
    rollout = drive(make.rollout(alice, newer, [edge], action="update"))
    assert rollout.run.state == "succeeded", rollout.run.children.get().why
    assert world(double, edge).deployments["foreign"].blueprint_id.startswith("ours-")
    rollout = drive(make.rollout(alice, newer, [edge], action="uninstall"))
    assert rollout.run.state == "succeeded", rollout.run.children.get().why
    assert world(double, edge).deployment("foreign") is None
    assert not Placement.objects.exists()


def test_a_version_that_is_known_is_found_and_a_lost_record_comes_back(alice, acme, double, drive):
    version = make.version(acme)
    edge = make.environment(double, acme, "edge")
    drive(make.rollout(alice, version, [edge]))
    placement = Placement.objects.get()
    placement.delete()
    placement.deployment.delete()
    assert look(acme, [edge])[0][0].strays[0].is_ours
    done = adopt(alice, acme, Wish(edge.pk, "hello"))
    assert done[0].version == version.pk and Placement.objects.get().desired_version == version
    assert ServiceVersion.objects.count() == 1
    assert [row["name"] for row in make.preview(alice, version, [edge], survey=True).content["stays"]] == ["edge"]


def test_what_cannot_be_adopted_says_why(alice, acme, double, edge):
    put_by_hand(double, edge, "claimed", portal_service="x", portal_env="of-another-portal")
    put_by_hand(double, edge, "twin")
    double.script.install = 60
    put_by_hand(double, edge, "busy")
    double.script.install = 0
    wishes = [
        Wish(edge.pk, "claimed"), Wish(edge.pk, "busy"), Wish(edge.pk, "gone"), Wish(10**6, "x"), Wish(edge.pk, "foreign", "same"),
        Wish(edge.pk, "twin", "same"), Wish(edge.pk, "twin", "no name!"),
    ]  # fmt: skip
    found = adoption.prospects(by=factories.actor(alice), tenant=acme, wishes=wishes)
    words = (
        "another portal",
        "at work",
        "not there",
        "no such environment",
        "",
        "Another one of this list",
        "A service name",
    )
    assert [each.verdict for each in found] == [*["excluded"] * 4, "adopt", "excluded", "excluded"]
    for each, word in zip(found, words, strict=True):
        assert word in each.why


def test_a_world_that_changed_after_the_preview_is_told_and_a_refused_label_records_nothing(alice, acme, double, edge):
    by, wish = factories.actor(alice), Wish(edge.pk, "foreign")
    digest = adoption.digest_of(adoption.prospects(by=by, tenant=acme, wishes=[wish]))
    world(double, edge).deployments["foreign"].inputs["port"] = 7
    with pytest.raises(Conflict, match="changed"):
        adopting.adopt(by=by, tenant=acme, wishes=[wish], digest=digest)
    double.faults.append(Fault(FaultKind.FORBIDDEN, method="PATCH"))
    done = adopt(alice, acme, wish)
    assert done[0].verdict == "failed" and not Placement.objects.exists()


def test_over_the_api_it_is_previewed_adopted_and_seen_in_the_matrix(api_of, alice, bob, charlie, acme, double, edge):
    world(double, edge).deployments["foreign"].inputs["password"] = "hunter2"
    body = {"deployments": [{"environment": edge.pk, "deployment": "foreign"}]}
    assert api_of(bob).post("/api/v1/adoptions/", body, format="json").status_code == 403
    outside = api_of(charlie).post("/api/v1/adoptions/", body, format="json").json()["deployments"][0]
    assert outside["verdict"] == "excluded" and "foreign" not in str(outside["inputs"])
    api = api_of(alice)
    shown = api.post("/api/v1/adoptions/", body, format="json")
    assert "hunter2" not in shown.text
    assert shown.json()["deployments"][0]["is_new_service"] is True
    assert not Service.objects.exists()
    done = api.post("/api/v1/adoptions/", body | {"digest": shown.json()["digest"]}, format="json").json()
    assert done["deployments"][0]["verdict"] == "adopted"
    assert api.get("/api/v1/matrix/").json()["results"][0]["services"]["foreign"]["version"] == 1
    assert not Rollout.objects.exists()
