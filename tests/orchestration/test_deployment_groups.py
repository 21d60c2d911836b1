"""Deployment groups in process: who is in them, what labels they give, what is refused, and what it costs; without the engine."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts import audit
from accounts.models import AuditEntry
from inventory.models import Deployment, Label, Site
from orchestration.models import DeploymentGroup, Execution, ExecutionGroup
from runs.models import Run
from tests import factories
from tests.inventory.factories import environment
from tests.orchestration import factories as made

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def labels(wire_id):
    return set(Label.objects.filter(deployment__wire_id=wire_id).values_list("key", "value"))


def test_a_group_is_made_filled_shrunk_and_removed(call, acme, alice):
    for name in ("a", "b", "c"):
        made.local(acme, name, by=alice, labels=(("env", "prod" if name != "c" else "dev"),))
    reply = call(alice, "PUT", "/deployment-groups/g", {"deployment_ids": ["a"], "description": "some"})
    assert (reply.status_code, reply.json()["deployment_ids"], reply.json()["description"]) == (200, ["a"], "some")
    rule = {"type": "label", "key": "env", "operator": "any_of", "values": ["prod"]}
    assert call(alice, "PATCH", "/deployment-groups/g", {"add": {"filter_rules": [rule]}}).json()["deployment_ids"] == [
        "a",
        "b",
    ]
    # deployment_ids of a PUT replace, filter_rules of a PUT add.
    assert call(alice, "PUT", "/deployment-groups/g", {"deployment_ids": ["c"]}).json()["deployment_ids"] == ["c"]
    assert call(alice, "PUT", "/deployment-groups/g", {"filter_rules": [rule]}).json()["deployment_ids"] == [
        "a",
        "b",
        "c",
    ]
    call(alice, "PUT", "/deployment-groups/h", {"deployments_from_group": "g"})
    reply = call(alice, "PATCH", "/deployment-groups/h", {"remove": {"filter_rules": [rule]}})
    assert reply.json()["deployment_ids"] == ["c"]
    listed = call(alice, "GET", "/deployments?_group_id=g&_include=id,deployment_groups").json()["items"]
    assert [(row["id"], row["deployment_groups"]) for row in listed] == [
        ("a", ["g"]),
        ("b", ["g"]),
        ("c", ["g", "h"]),
    ]
    assert call(alice, "DELETE", "/deployment-groups/g").status_code == 204
    assert call(alice, "GET", "/deployment-groups/g").status_code == 404
    assert Deployment.objects.filter(wire_id__in="abc").count() == 3
    assert audit.verify("acme") == []


def test_a_saved_filter_fills_a_group(call, acme, alice):
    made.local(acme, "a", by=alice, labels=(("env", "prod"),))
    made.local(acme, "b", by=alice)
    rule = {"type": "label", "key": "env", "operator": "is_null", "values": []}
    call(alice, "PUT", "/filters/deployments/plain", {"filter_rules": [rule]})
    assert call(alice, "PUT", "/deployment-groups/g", {"filter_id": "plain"}).json()["deployment_ids"] == ["b"]
    assert call(alice, "PUT", "/deployment-groups/g", {"filter_id": "nosuch"}).status_code == 404


def test_an_empty_list_of_rules_names_nobody(call, acme, alice):
    for name in ("a", "b"):
        made.local(acme, name, by=alice)
    # as cfy sends it where its user gave ids alone
    one = {"deployment_ids": ["a"], "filter_rules": []}
    assert call(alice, "PUT", "/deployment-groups/g", one).json()["deployment_ids"] == ["a"]
    call(alice, "PUT", "/deployment-groups/g", {"deployment_ids": ["a", "b"]})
    assert call(alice, "PATCH", "/deployment-groups/g", {"remove": one}).json()["deployment_ids"] == ["b"]
    call(alice, "PATCH", "/deployment-groups/g", {"remove": {"deployment_ids": ["b"]}})
    assert call(alice, "PATCH", "/deployment-groups/g", {"add": one}).json()["deployment_ids"] == ["a"]


def test_labels_of_a_group_are_given_to_members_and_taken_with_them(call, acme, alice):
    made.local(acme, "a", by=alice, labels=(("team", "blue"),))
    made.local(acme, "b", by=alice)
    call(alice, "PUT", "/deployment-groups/g", {"deployment_ids": ["a"], "labels": [{"Grp": "one"}, {"team": "blue"}]})
    assert labels("a") == {("team", "blue"), ("grp", "one")}
    call(alice, "PATCH", "/deployment-groups/g", {"add": {"deployment_ids": ["b"]}})
    assert labels("b") == {("grp", "one"), ("team", "blue")}
    reply = call(alice, "PUT", "/deployment-groups/g", {"labels": [{"key": "grp", "value": "two"}]})
    assert [(label["key"], label["value"]) for label in reply.json()["labels"]] == [("grp", "two")]
    assert labels("a") == labels("b") == {("grp", "two")}
    call(alice, "PATCH", "/deployment-groups/g", {"remove": {"deployment_ids": ["b"]}})
    assert labels("b") == {("grp", "two")}  # who leaves keeps what he got
    # cfy sends all keys, those that it does not mean as null
    call(alice, "PUT", "/deployment-groups/g", {"visibility": "tenant", "description": "d", "labels": None})
    assert labels("a") == {("grp", "two")}


def test_a_group_may_put_its_members_below_a_parent(call, acme, alice):
    made.local(acme, "top", by=alice)
    made.local(acme, "a", by=alice)
    call(alice, "PUT", "/deployment-groups/g", {"deployment_ids": ["a"], "labels": [{"csys-obj-parent": "top"}]})
    assert Deployment.objects.get(wire_id="a").parent.wire_id == "top"
    assert Deployment.objects.get(wire_id="top").sub_services_count == 1
    call(alice, "PUT", "/deployment-groups/g", {"labels": []})
    assert Deployment.objects.get(wire_id="a").parent is None


def test_new_deployments_get_ids_names_inputs_labels_and_sites(call, acme, alice):
    made.blueprint(acme, "bp", created_by=alice)
    made.local(acme, "env1", by=alice, labels=(("csys-obj-type", "environment"),))
    Site.objects.create(tenant=acme, name="s1")
    reply = call(
        alice,
        "PUT",
        "/deployment-groups/g",
        {
            "blueprint_id": "bp",
            "default_inputs": {"size": 5},
            "labels": [{"grp": "one"}],
            "new_deployments": [
                {"id": "x", "inputs": {"size": 9}, "labels": [{"k": "v"}], "display_name": "Mr X"},
                {"id": "n{count}-{site_name}", "site_name": "s1"},
                {"display_name": "{blueprint_id}-{uuid}", "labels": [{"csys-obj-parent": "env1"}]},
            ],
        },
    )
    assert reply.status_code == 200, reply.json()
    found = reply.json()
    assert found["creation_counter"] == 3 and len(found["deployment_ids"]) == 3
    assert {"x", "n2-s1"} < set(found["deployment_ids"])
    rows = {
        row.wire_id: row for row in Deployment.objects.filter(deployment_groups__wire_id="g").select_related("local")
    }
    assert rows["x"].display_name == "Mr X" and rows["x"].local.given_inputs == {"size": 9}
    assert rows["n2-s1"].site.name == "s1" and rows["n2-s1"].local.given_inputs == {"size": 5}
    last = next(row for name, row in rows.items() if name.startswith("g-"))
    assert last.display_name == f"bp-{last.wire_id.removeprefix('g-')}" and last.parent.wire_id == "env1"
    assert labels("x") == {("grp", "one"), ("k", "v")}
    assert Deployment.objects.get(wire_id="env1").sub_services_count == 1
    group = ExecutionGroup.objects.get()
    assert (group.workflow, group.concurrency) == ("create_deployment_environment", 10)
    assert Run.objects.filter(parent=group.run).count() == group.executions.count() == 3
    assert {str(one.pk) for one in group.executions.all()} == {row.latest_execution for row in rows.values()}
    assert AuditEntry.objects.filter(action="deployment.create").count() == 3
    assert audit.verify("acme") == []


@pytest.mark.parametrize(
    ("body", "status", "code", "word"),
    [
        ({"new_deployments": [{}]}, 409, "conflict_error", "default blueprint"),
        ({"blueprint_id": "nosuch", "new_deployments": [{}]}, 404, "not_found_error", "nosuch"),
        ({"blueprint_id": "bp", "new_deployments": [{"inputs": {"x": 1}}]}, 400, "unknown_deployment_input_error", "x"),
        ({"blueprint_id": "bp", "new_deployments": [{"id": "taken"}]}, 409, "conflict_error", "taken"),
        (
            {"blueprint_id": "bp", "new_deployments": [{"id": "a"}, {"id": "a"}]},
            400,
            "bad_parameters_error",
            "more than",
        ),
        ({"blueprint_id": "bp", "new_deployments": [{"id": "a b"}]}, 400, "bad_parameters_error", "illegal"),
        ({"blueprint_id": "bp", "new_deployments": [{"id": "{nosuch}"}]}, 400, "bad_parameters_error", "{nosuch}"),
        ({"blueprint_id": "bp", "new_deployments": [{"id": "{uuid"}]}, 400, "bad_parameters_error", "braces"),
        ({"blueprint_id": "bp", "new_deployments": [{"id": "{uuid.hex}"}]}, 400, "bad_parameters_error", "unknown"),
        ({"blueprint_id": "bp", "new_deployments": [{"site_name": "nosuch"}]}, 404, "not_found_error", "nosuch"),
        ({"blueprint_id": "bp", "new_deployments": [{"sites": "s"}]}, 400, "bad_parameters_error", "sites"),
        ({"blueprint_id": "bp", "new_deployments": ["x"]}, 400, "bad_parameters_error", "dict"),
        (
            {"blueprint_id": "bp", "new_deployments": [{"labels": [{"csys-obj-parent": "nosuch"}]}]},
            404,
            "deployment_parent_not_found_error",
            "nosuch",
        ),
        ({"deployment_ids": ["taken", "nosuch"]}, 404, "not_found_error", "nosuch"),
        ({"deployment_ids": "taken"}, 400, "bad_parameters_error", "list"),
        ({"deployments_from_group": "nosuch"}, 404, "not_found_error", "DeploymentGroup"),
        ({"filter_rules": [{"key": "env"}]}, 400, "invalid_filter_rule", "missing"),
        ({"labels": [{"csys-own": "x"}]}, 400, "bad_parameters_error", "csys-"),
        ({"labels": [{"a": "b"}, {"A": "b"}]}, 400, "bad_parameters_error", "twice"),
        ({"visibility": "all"}, 400, "bad_parameters_error", "visibility"),
        ({"visibility": "global"}, 403, "forbidden_error", "global"),
        ({"default_inputs": "x"}, 400, "bad_parameters_error", "dict"),
    ],
)
def test_what_is_refused_leaves_nothing(call, acme, alice, body, status, code, word):
    made.blueprint(acme, "bp", created_by=alice)
    made.local(acme, "taken", by=alice)
    reply = call(alice, "PUT", "/deployment-groups/g", body)
    assert (reply.status_code, reply.json()["error_code"]) == (status, code), reply.json()
    assert word in reply.json()["message"]
    assert not DeploymentGroup.objects.exists() and not ExecutionGroup.objects.exists()
    assert Deployment.objects.count() == 1


def test_what_a_caller_does_not_see_is_in_no_group_for_him(call, acme, other, alice, bob, charlie):
    made.local(acme, "mine", by=alice, visibility="private")
    made.local(other, "theirs", by=charlie)
    dora = factories.user("dora")
    factories.member(dora, acme, "user")
    call(alice, "PUT", "/deployment-groups/g", {"deployment_ids": ["mine"]})
    assert call(alice, "PUT", "/deployment-groups/g", {"deployment_ids": ["theirs"]}).status_code == 404
    assert call(dora, "PATCH", "/deployment-groups/g", {"add": {"deployment_ids": ["mine"]}}).status_code == 404
    assert call(dora, "GET", "/deployment-groups/g").json()["deployment_ids"] == []
    assert call(dora, "GET", "/deployment-groups").json()["items"][0]["deployment_ids"] == []
    started = call(dora, "POST", "/execution-groups", {"deployment_group_id": "g", "workflow_id": "install"})
    assert started.json()["execution_ids"] == []
    assert call(charlie, "GET", "/deployment-groups/g", tenant="other").status_code == 404
    assert call(bob, "PUT", "/deployment-groups/g", {}).status_code == 403
    assert call(bob, "DELETE", "/deployment-groups/g").status_code == 403
    assert call(bob, "POST", "/execution-groups", {"deployment_group_id": "g", "workflow_id": "w"}).status_code == 403


def test_environments_may_be_grouped_but_not_run_here(call, acme, alice):
    row = environment(acme, "env1")
    made.local(acme, "a", by=alice)
    body = {"deployment_ids": [row.deployment.wire_id, "a"]}
    assert len(call(alice, "PUT", "/deployment-groups/g", body).json()["deployment_ids"]) == 2
    reply = call(alice, "POST", "/execution-groups", {"deployment_group_id": "g", "workflow_id": "install"})
    assert reply.status_code == 400 and row.deployment.wire_id in reply.json()["message"]
    assert not ExecutionGroup.objects.exists()
    reply = call(alice, "DELETE", "/deployment-groups/g?delete_deployments=true")
    assert reply.status_code == 400 and DeploymentGroup.objects.exists()


def test_execution_groups_queue_what_is_beyond_their_concurrency(call, acme, alice):
    for number in range(4):
        made.local(acme, f"d{number}", by=alice)
    call(alice, "PUT", "/deployment-groups/g", {"deployment_ids": [f"d{n}" for n in range(4)]})
    body = {
        "deployment_group_id": "g",
        "workflow_id": "greet",
        "default_parameters": {"name": "all"},
        "parameters": {"d1": {"name": "one", "times": "3"}},
        "concurrency": 2,
    }
    reply = call(alice, "POST", "/execution-groups", body)
    assert reply.status_code == 200 and reply.json()["status"] == "queued", reply.json()
    found = call(alice, "GET", f"/executions?_group_id={reply.json()['id']}").json()["items"]
    assert sorted(row["status"] for row in found) == ["pending", "pending", "queued", "queued"]
    assert {row["deployment_id"]: row["parameters"] for row in found}["d1"] == {"name": "one", "times": 3}
    assert {row["deployment_id"]: row["parameters"] for row in found}["d0"] == {"name": "all", "times": 1}
    parent = ExecutionGroup.objects.get().run
    assert sorted(parent.children.values_list("state", flat=True)) == ["held", "held", "pending", "pending"]
    call(alice, "PATCH", f"/execution-groups/{reply.json()['id']}", {"concurrency": 3})
    assert sorted(parent.children.values_list("state", flat=True)) == ["held", "pending", "pending", "pending"]
    call(alice, "PATCH", f"/execution-groups/{reply.json()['id']}", {"concurrency": 0})
    parent.refresh_from_db()
    assert parent.is_pause_requested
    call(alice, "PATCH", f"/execution-groups/{reply.json()['id']}", {"concurrency": 9})
    assert set(parent.children.values_list("state", flat=True)) == {"pending"}
    assert call(alice, "GET", "/summary/executions?_target_field=status&execution_group_id=" + reply.json()["id"])
    listed = call(alice, "GET", "/execution-groups").json()["items"][0]
    assert "status" not in listed and listed["concurrency"] == 9
    assert "status" in call(alice, "GET", "/execution-groups?_get_data=true").json()["items"][0]


def test_a_group_that_starts_with_no_concurrency_is_paused(call, acme, alice):
    made.local(acme, "a", by=alice)
    call(alice, "PUT", "/deployment-groups/g", {"deployment_ids": ["a"]})
    body = {"deployment_group_id": "g", "workflow_id": "install", "concurrency": 0}
    reply = call(alice, "POST", "/execution-groups", body).json()
    group = ExecutionGroup.objects.get()
    assert (reply["status"], group.run.state) == ("queued", "paused")
    assert [run.state for run in group.run.children.all()] == ["held"]


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"workflow_id": "install"}, 400, "deployment_group_id"),
        ({"deployment_group_id": "g"}, 400, "workflow_id"),
        ({"deployment_group_id": "nosuch", "workflow_id": "install"}, 404, "DeploymentGroup"),
        ({"deployment_group_id": "g", "workflow_id": "install", "concurrency": -1}, 400, "concurrency"),
        ({"deployment_group_id": "g", "workflow_id": "install", "concurrency": 1001}, 400, "concurrency"),
        ({"deployment_group_id": "g", "workflow_id": "install", "concurrency": True}, 400, "concurrency"),
        ({"deployment_group_id": "g", "workflow_id": "install", "parameters": {"x": {}}}, 400, "not in the group"),
        ({"deployment_group_id": "g", "workflow_id": "install", "parameters": {"a": 1}}, 400, "parameters of a"),
        ({"deployment_group_id": "g", "workflow_id": "greet"}, 400, "a: Workflow"),
        ({"deployment_group_id": "g", "workflow_id": "install", "default_parameters": {"x": 1}}, 400, "a: Workflow"),
        ({"deployment_group_id": "g", "workflow_id": "install", "force": "yes"}, 400, "force"),
    ],
)
def test_execution_groups_refuse_what_they_cannot_do(call, acme, alice, body, status, word):
    made.local(acme, "a", by=alice)
    call(alice, "PUT", "/deployment-groups/g", {"deployment_ids": ["a"]})
    reply = call(alice, "POST", "/execution-groups", body)
    assert reply.status_code == status and word in reply.json()["message"], reply.json()
    assert not ExecutionGroup.objects.exists() and not Execution.objects.exists()


def test_a_deployment_without_the_workflow_is_left_out_and_the_log_says_so(call, acme, alice):
    made.local(acme, "a", by=alice)
    bare = made.local(acme, "bare", by=alice)
    bare.plan = {"workflows": {}}
    bare.save()
    bare.blueprint.plan = {"workflows": {}}
    bare.blueprint.save()
    call(alice, "PUT", "/deployment-groups/g", {"deployment_ids": ["a", "bare"]})
    reply = call(alice, "POST", "/execution-groups", {"deployment_group_id": "g", "workflow_id": "install"}).json()
    assert len(reply["execution_ids"]) == 1
    events = call(alice, "GET", f"/events?execution_group_id={reply['id']}").json()["items"]
    assert [(event["type"], event["level"], event["execution_id"]) for event in events] == [
        ("cloudify_log", "warning", None)
    ]
    assert "bare" in events[0]["message"]


def test_cancelling_and_resuming_a_group(call, acme, alice):
    for name in ("a", "b"):
        made.local(acme, name, by=alice)
    call(alice, "PUT", "/deployment-groups/g", {"deployment_ids": ["a", "b"]})
    body = {"deployment_group_id": "g", "workflow_id": "install", "concurrency": 1}
    group = call(alice, "POST", "/execution-groups", body).json()
    path = f"/execution-groups/{group['id']}"
    assert call(alice, "POST", path, {"action": "resume"}).status_code == 400
    assert call(alice, "POST", path, {"action": "fly"}).status_code == 400
    cancelled = call(alice, "POST", path, {"action": "cancel"})
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "terminated")
    assert set(Execution.objects.values_list("state", flat=True)) == {"cancelled"}
    assert call(alice, "POST", path, {"action": "kill"}).status_code == 404
    assert len(call(alice, "GET", f"/events?execution_group_id={group['id']}").json()["items"]) == 2
    resumed = call(alice, "POST", path, {"action": "resume"}).json()
    assert resumed["status"] == "queued" and resumed["execution_ids"] == group["execution_ids"]
    assert set(Execution.objects.values_list("state", flat=True)) == {"pending", "queued"}


def test_members_are_deleted_with_their_group_children_first(call, acme, alice):
    made.local(acme, "top", by=alice)
    below = made.local(acme, "below", by=alice)
    Deployment.objects.filter(wire_id="below").update(parent=Deployment.objects.get(wire_id="top"))
    call(alice, "PUT", "/deployment-groups/g", {"deployment_ids": ["top"]})
    path = "/deployment-groups/g?delete_deployments=true"
    refused = call(alice, "DELETE", path)
    assert refused.status_code == 400 and "below" in refused.json()["message"]
    busy = made.execution(below, state="started")
    refused = call(alice, "DELETE", path + "&recursive=true")
    assert refused.status_code == 400 and "running" in refused.json()["message"]
    busy.delete()
    reply = call(alice, "DELETE", path + "&recursive=true")
    assert reply.status_code == 200 and not DeploymentGroup.objects.exists()
    group = ExecutionGroup.objects.get(pk=reply.json()["execution_group_id"])
    order = [one.executions.get().local.deployment.wire_id for one in group.run.children.order_by("position")]
    assert order == ["below", "top"] and group.run.max_parallel == 1


def test_lists_of_groups_take_as_many_queries_for_one_as_for_many(call, acme, alice):
    def count(path):
        with CaptureQueriesContext(
            connection,
        ) as found:
            assert call(alice, "GET", path).status_code == 200
        return len(found)

    paths = ["/deployment-groups", "/execution-groups", "/execution-groups?_get_data=true", "/deployments"]

    def fill(number):
        for _ in range(number):
            one = made.local(acme, by=alice)
            name = f"g{one.pk}"
            call(alice, "PUT", f"/deployment-groups/{name}", {"deployment_ids": [one.deployment.wire_id]})
            call(alice, "POST", "/execution-groups", {"deployment_group_id": name, "workflow_id": "install"})

    fill(1)
    for path in paths:
        count(path)  # a process reads each of the prepared plans once
    before = [count(path) for path in paths]
    fill(3)
    assert [count(path) for path in paths] == before


def test_creating_many_takes_a_number_of_queries_that_does_not_grow(call, acme, alice):
    made.blueprint(acme, "bp", created_by=alice)

    def count(name, number):
        body = {"blueprint_id": "bp", "new_deployments": [{} for _ in range(number)]}
        with CaptureQueriesContext(connection) as found:
            assert call(alice, "PUT", f"/deployment-groups/{name}", body).status_code == 200
        return len([query for query in found if "executemany" not in query["sql"]])

    count("warm", 11)
    assert abs(count("few", 20) - count("many", 60)) <= 10  # SQLite takes more rows in more statements
