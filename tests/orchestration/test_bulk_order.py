"""Uninstalling and deleting parents together with their children: who goes, in which order, and what a failure keeps."""

from __future__ import annotations

import pytest

from inventory.models import Deployment
from orchestration import bulk_removals, bulk_runs, dequeuing
from orchestration.models import Dependency, Execution, NodeInstance
from tests import factories
from tests.orchestration import archives
from tests.orchestration import factories as made

UNINSTALL = bulk_runs.Wish("uninstall", concurrency=10)


@pytest.fixture
def family(acme, alice):
    """A grandparent, two children of it, and a grandchild."""
    rows = {
        name: made.local(acme, name, instances=("started",), by=alice).deployment for name in ("top", "a", "b", "low")
    }
    for child, parent in (("a", "top"), ("b", "top"), ("low", "a")):
        Deployment.objects.filter(pk=rows[child].pk).update(parent=rows[parent])
    return rows


def look(acme, rows, wish=UNINSTALL):
    return bulk_runs.preview(rows=list(rows), tenant=acme, wish=wish)


def names(found):
    return [sorted(row.wire_id for row in wave) for wave in found.waves]


def left(found):
    return {one.deployment.wire_id: one.why for one in found.left_out}


@pytest.mark.django_db
def test_children_go_first_and_their_parents_in_the_same_operation(acme, alice, family):
    found = look(acme, family.values())
    assert names(found) == [["b", "low"], ["a"], ["top"]] and not found.left_out
    by = factories.actor(alice)
    group = bulk_runs.start(by=by, tenant=acme, rows=list(family.values()), wish=UNINSTALL, digest=found.digest)
    runs = {row.local.deployment.wire_id: row for row in group.executions.select_related("local__deployment", "run")}
    order = sorted(runs, key=lambda name: runs[name].run.position)
    assert order.index("low") < order.index("a") < order.index("top") > order.index("b")


@pytest.mark.django_db
def test_what_would_stay_keeps_all_that_it_stands_on(acme, family):
    found = look(acme, [family["top"], family["a"], family["b"]])
    assert names(found) == [["b"]]
    assert "Uninstall and remove what stands on it first: low." in left(found)["a"]
    assert "first: a." in left(found)["top"]


@pytest.mark.django_db
def test_a_child_that_is_uninstalled_already_is_in_nobodys_way_if_it_is_chosen_too(acme, family):
    NodeInstance.objects.filter(local__deployment=family["low"]).update(state="deleted")
    found = look(acme, family.values())
    assert names(found) == [["a", "b"], ["top"]] and "not available" in left(found)["low"]
    assert "first: low." in left(look(acme, [family["a"]]))["a"]  # not chosen: whoever asks may not know of it


@pytest.mark.django_db
def test_users_of_capabilities_go_first_and_a_circle_is_told(acme, alice, family):
    user = made.local(acme, "user", instances=("started",), by=alice).deployment
    Dependency.objects.create(source=user, target=family["low"], creator="nodes.app.properties.url")
    found = look(acme, [*family.values(), user])
    assert names(found) == [["b", "user"], ["low"], ["a"], ["top"]]
    Dependency.objects.create(source=family["top"], target=user, creator="nodes.app.properties.url")
    found = look(acme, [*family.values(), user])
    assert names(found) == [["b"]] and set(left(found)) == {"user", "low", "a", "top"}
    assert "in a circle" in left(found)["user"]


@pytest.mark.django_db
def test_a_deletion_says_its_order_as_well(acme, family):
    NodeInstance.objects.update(state="deleted")
    found = bulk_removals.preview(rows=list(family.values()), tenant=acme, force=False)
    assert names(found) == [["b", "low"], ["a"], ["top"]]
    forced = bulk_removals.preview(rows=list(family.values()), tenant=acme, force=True)
    assert names(forced) == names(found)


@pytest.mark.django_db
def test_one_that_has_its_turn_later_waits_and_fails_where_what_stands_on_it_was_not_uninstalled(acme, alice, family):
    by, rows = factories.actor(alice), [family["a"], family["low"]]
    digest = look(acme, rows).digest
    group = bulk_runs.start(by=by, tenant=acme, rows=rows, wish=UNINSTALL, digest=digest)
    low, above = (group.executions.get(local__deployment=family[name]) for name in ("low", "a"))
    assert dequeuing.waits_for(low) == "" and dequeuing.problem_of(low) == ""
    assert dequeuing.waits_for(above) == "Waits for the uninstall of what stands on it: low."
    low.move(Execution.State.FAILED, only_from={low.state})
    assert dequeuing.waits_for(above) == ""
    assert "What stands on it was not uninstalled: low." in dequeuing.problem_of(above)
    Execution.objects.filter(pk=low.pk).update(state=Execution.State.TERMINATED)
    assert dequeuing.problem_of(above) == ""


@pytest.fixture(scope="module")
def home(manager):
    running = manager.in_new_tenant("order")
    assert running.upload("script", archives.script()).status_code == 201
    return running


def grown(home, *named_and_parents):
    for name, parent, inputs in named_and_parents:
        labels = [{"csys-obj-parent": parent}] if parent else []
        body = {"blueprint_id": "script", "inputs": {"delay": 0, **inputs}, "labels": labels}
        assert home.call("PUT", f"/deployments/{name}", json=body).status_code == 201
        assert home.await_execution(home.start_workflow(name, "install"))["status"] == "terminated"


def chosen(home, workflow, *ids):
    body = {"deployment_ids": list(ids), "workflow_id": workflow}
    shown = home.call("POST", "/execution-groups/chosen", json={**body, "preview": True}).json()
    reply = home.call("POST", "/execution-groups/chosen", json={**body, "digest": shown["digest"]})
    assert reply.status_code == 201, reply.text
    return shown, reply.json()["id"]


def test_a_family_is_uninstalled_and_deleted_in_two_operations(home):
    grown(home, ("top", "", {}), ("mid", "top", {}), ("leaf", "mid", {}))
    shown, group = chosen(home, "uninstall", "top", "mid", "leaf")
    assert shown["order"] == [["leaf"], ["mid"], ["top"]]
    home.await_(f"/execution-groups/{group}", lambda row: row["status"] in ("terminated", "failed"), 120)
    rows = home.call("GET", f"/executions?_group_id={group}").json()["items"]
    ended = {row["deployment_id"]: row for row in rows}
    assert {row["status"] for row in rows} == {"terminated"}
    assert (
        ended["leaf"]["ended_at"]
        <= ended["mid"]["started_at"]
        <= ended["mid"]["ended_at"]
        <= ended["top"]["started_at"]
    )
    shown, _ = chosen(home, "delete_deployment_environment", "top", "mid", "leaf")
    assert shown["order"] == [["leaf"], ["mid"], ["top"]]
    for name in ("top", "mid", "leaf"):
        home.await_("/deployments", lambda found, name=name: name not in {row["id"] for row in found["items"]})
