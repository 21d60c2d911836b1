"""Lists of v3.1, in process: how cheap they are, how they are paged, sorted and filtered; without the engine."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.orchestration import factories as made

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


@pytest.mark.parametrize(
    "path",
    [
        "/deployments",
        "/blueprints",
        "/executions",
        "/events",
        "/nodes",
        "/node-instances",
        "/deployments?_include=id,labels,site_name",
        "/workflows",
    ],
)
def test_a_list_costs_the_same_number_of_queries_for_two_rows_and_for_twenty(call, acme, alice, path):
    def fill(count):
        for _ in range(count):
            row = made.local(acme, by=alice, instances=("started", "creating"), labels=(("env", "prod"), ("zone", "a")))
            made.event(made.execution(row))
            made.execution(row, "upload_blueprint", local=None)

    def queries():
        call(alice, "GET", path)
        with CaptureQueriesContext(connection) as captured:
            reply = call(alice, "GET", path)
        return len(captured), reply.json()["metadata"]["pagination"]["total"]

    fill(2)
    few, small = queries()
    fill(18)
    many, large = queries()
    assert many == few <= 21
    assert large > small or path == "/workflows"


def test_pages_do_not_overlap_whatever_they_are_sorted_by(call, acme, alice):
    for number in range(25):
        made.local(acme, f"d{number:02}", labels=(("zone", "ab"[number % 2]),))
    for order in ("blueprint_id", "-visibility", "label:zone", "-label:zone", "site_name"):
        pages = [
            [
                row["id"]
                for row in call(
                    alice, "GET", f"/deployments?_sort={order}&_size=10&_offset={offset}&_include=id"
                ).json()["items"]
            ]
            for offset in (0, 10, 20)
        ]
        assert len({found for page in pages for found in page}) == 25, order
    first = call(alice, "GET", "/deployments?_sort=label:zone&_include=id,labels&_size=1").json()["items"][0]
    assert {label["key"]: label["value"] for label in first["labels"]} == {"zone": "a"}


def test_labels_in_rules_and_the_number_of_hidden_rows(call, acme, alice):
    for name, env in (("one", "prod"), ("two", "dev"), ("three", "test")):
        made.local(acme, name, labels=(("env", env),))
    rules = [{"key": "env", "values": ["prod", "dev"], "operator": "any_of", "type": "label"}]
    found = call(alice, "POST", "/searches/deployments?_include=id&_sort=id", body={"filter_rules": rules}).json()
    assert [row["id"] for row in found["items"]] == ["one", "two"] and found["metadata"]["filtered"] == 1
    wrong = call(alice, "POST", "/searches/deployments", body={"filter_rules": [{"key": "env"}]}).json()
    assert (
        wrong["error_code"] == "invalid_filter_rule"
        and wrong["err_filter_rule"] == {"key": "env"}
        and wrong["err_reason"]
    )


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/deployments?_include=nosuch", "no_such_include_field_error"),
        ("/deployments?_sort=nosuch", "bad_parameters_error"),
        ("/deployments?nosuch=1", "bad_parameters_error"),
        ("/deployments?_size=x", "bad_parameters_error"),
        ("/deployments?created_at=x", "bad_parameters_error"),
        ("/executions?is_system_workflow=maybe", "bad_parameters_error"),
        ("/events?nosuch=1", "bad_parameters_error"),
        ("/events?type=nosuch", "bad_parameters_error"),
        ("/events?_range=timestamp,yesterday,", "bad_parameters_error"),
        ("/events?message=" + "%25x" * 20, "bad_parameters_error"),
        ("/summary/deployments?_target_field=nosuch", "bad_parameters_error"),
    ],
)
def test_a_wrong_query_is_a_400_with_a_code(call, alice, path, code):
    reply = call(alice, "GET", path)
    assert (reply.status_code, reply.json()["error_code"]) == (400, code)


def test_events_are_found_by_all_that_a_client_filters_by(call, acme, alice):
    run = made.execution(made.local(acme, "one"))
    made.event(
        run,
        "Creating node instance",
        event_type="workflow_node_event",
        node_name="app",
        node_instance_id="app_1",
        operation="x.create",
    )
    made.event(run, "line one\nline two", kind="cloudify_log", level="info", logger="ctx")
    made.event(made.execution(made.local(acme, "two")), "100% done", event_type="workflow_succeeded")

    def messages(query):
        return [item["message"] for item in call(alice, "GET", f"/events?{query}").json()["items"]]

    assert messages("deployment_id=one&type=cloudify_event") == ["Creating node instance"]
    assert (
        messages("level=info")
        == messages("type=cloudify_log")
        == messages("message=line%25two")
        == ["line one\nline two"]
    )
    assert (
        messages("message=%25NODE%25")
        == messages("operation=x.%25")
        == messages("node_id=app")
        == messages("node_instance_id=app_1")
        == ["Creating node instance"]
    )
    assert messages("message=100_ done") == messages("event_type=workflow_succeeded") == ["100% done"]
    assert messages(f"execution_id={run.pk}&_sort=-reported_timestamp&_size=1") == ["line one\nline two"]
    assert messages("execution_id=nosuch") == messages("_range=reported_timestamp,2100-01-01T00:00:00Z,") == []
    assert len(messages("_range=reported_timestamp,2020-01-01T00:00:00.000Z,2100-01-01")) == 3
