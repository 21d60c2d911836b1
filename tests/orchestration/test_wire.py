"""What v3.1 answers, in process: who sees what, how cheap lists are, and what is refused; without the engine."""

from __future__ import annotations

import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import ApiToken, AuditEntry, Secret
from deployon.models import Placement
from inventory.models import Deployment, SubManager
from orchestration.gateway_functions import DeploymentStorage
from orchestration.models import Blueprint, Execution
from tests import factories
from tests.inventory.factories import environment
from tests.orchestration import archives
from tests.orchestration import factories as made
from tests.samples import sample

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


@pytest.fixture
def call(client, db):
    """`call(user, method, path, json=..., tenant=...)` by token."""
    tokens = {}

    def make(user, method, path, *, tenant="acme", body=None, **headers):
        if user is not None and user.pk not in tokens:
            tokens[user.pk] = factories.token(user)
        sent = {"Authentication-Token": tokens[user.pk]} if user is not None else {}
        if tenant:
            sent["Tenant"] = tenant
        data = "" if body is None else json.dumps(body)
        return client.generic(method, f"/api/v3.1{path}", data, content_type="application/json", headers=sent | headers)

    return make


# --- who sees what ----------------------------------------------------------------------------------------------------


def test_private_rows_are_for_their_creator_and_those_who_govern(call, acme, alice, bob, admin):
    mine = made.local(acme, "mine", by=alice, visibility="private")
    made.execution(mine)
    made.event(made.execution(mine, state="failed"))
    boss = factories.user("boss")
    factories.member(boss, acme, "manager")
    for path in ("/deployments", "/executions", "/events", "/nodes"):
        totals = [
            call(user, "GET", path).json()["metadata"]["pagination"]["total"] for user in (alice, boss, admin, bob)
        ]
        assert totals[0] == totals[1] == totals[2] > 0 and totals[3] == 0, path
    assert call(bob, "GET", "/deployments/mine").status_code == 404


def test_all_tenants_means_the_tenants_of_the_caller(call, acme, other, alice, charlie):
    made.local(acme, "here")
    made.local(other, "there")
    factories.member(alice, factories.tenant("second"), "viewer")
    made.local(factories.tenant("second"), "nearby")

    def ids(user, tenant):
        path = "/deployments?_all_tenants=true&_include=id&_sort=id"
        return [row["id"] for row in call(user, "GET", path, tenant=tenant).json()["items"]]

    assert ids(alice, "acme") == ["here", "nearby"]
    assert ids(charlie, "other") == ["there"]


def test_a_global_blueprint_is_seen_everywhere_and_changed_at_home_only(call, acme, other, charlie, admin):
    made.blueprint(acme, "shared", visibility="global")
    assert call(charlie, "GET", "/blueprints/shared?_include=id,tenant_name", tenant="other").json() == {
        "id": "shared",
        "tenant_name": "acme",
    }
    refused = call(charlie, "DELETE", "/blueprints/shared", tenant="other")
    assert refused.status_code == 403 and "Tenant: acme" in refused.json()["message"]


def test_a_viewer_may_look_and_nothing_else(call, acme, bob):
    made.local(acme, "one")
    assert call(bob, "GET", "/deployments/one").status_code == 200
    for method, path, action in (
        ("PUT", "/deployments/two", "deployment_create"),
        ("DELETE", "/deployments/one", "deployment_delete"),
        ("POST", "/executions", "execution_start"),
        ("PUT", "/blueprints/b", "blueprint_upload"),
        ("PUT", "/secrets/s", "secret_create"),
    ):
        reply = call(bob, method, path, body={})
        assert reply.status_code == 403, path
        assert (
            reply.json()["message"]
            == f"User `bob` is not permitted to perform the action {action} in the tenant `acme`"
        )


def test_a_token_of_somebody_else_is_neither_seen_nor_deleted(call, alice, bob, admin):
    token = ApiToken.objects.get(pk=factories.token(alice).split("-")[1])
    assert call(bob, "DELETE", f"/tokens/{token.pk}", tenant=None).status_code == 404
    assert {row["username"] for row in call(bob, "GET", "/tokens", tenant=None).json()["items"]} == {"bob"}
    assert call(admin, "GET", f"/tokens/{token.pk}", tenant=None).json()["value"] == f"ctok-{token.pk}-********"


# --- lists ------------------------------------------------------------------------------------------------------------


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
    assert many == few <= 20
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


# --- environments and what is not run here ----------------------------------------------------------------------------


def test_environments_are_deployments_with_the_capabilities_of_a_manager(call, acme, alice):
    manager = SubManager.objects.create(tenant=acme, endpoint="london.example", port=8443)
    environment(acme, "london", sub_manager=manager, remote_tenant="edge")
    row = call(alice, "GET", "/deployments/london").json()
    assert {label["key"]: label["value"] for label in row["labels"]} == {"csys-obj-type": "environment"}
    assert row["inputs"] == {} and row["workflows"] == [] and row["latest_execution"] is None
    assert call(alice, "GET", "/deployments/london/capabilities").json()["capabilities"] == {
        "cloudify_manager_endpoint": "london.example",
        "cloudify_manager_tenant": "edge",
        "cloudify_manager_port": "8443",
        "cloudify_manager_protocol": "https",
    }
    refused = call(alice, "POST", "/executions", body={"deployment_id": "london", "workflow_id": "install"})
    assert refused.status_code == 400 and "exposed environment" in refused.json()["message"]
    assert call(alice, "DELETE", "/deployments/london").status_code == 204
    assert not Deployment.objects.filter(wire_id="london").exists()


def placed(acme, count):
    """So many services on environments, each with capabilities; their ids."""
    ids = []
    for _ in range(count):
        place = sample(Placement, acme)
        Placement.objects.filter(pk=place.pk).update(capabilities={"page": "http://there", "ports": [80, 443]})
        Deployment.objects.filter(pk=place.deployment_id).update(kind=Deployment.Kind.PLACEMENT)
        Deployment.objects.filter(pk=place.environment.deployment_id).update(kind=Deployment.Kind.ENVIRONMENT)
        ids.append(place.deployment.wire_id)
    return ids


def test_a_service_on_an_environment_tells_what_it_offered_there_last(call, acme, alice):
    wire_id = placed(acme, 1)[0]
    kept = {"page": "http://there", "ports": [80, 443]}
    assert call(alice, "GET", f"/deployments/{wire_id}/capabilities").json() == {
        "deployment_id": wire_id,
        "capabilities": kept,
    }
    shown = {name: {"value": value} for name, value in kept.items()}
    assert call(alice, "GET", f"/deployments/{wire_id}").json()["capabilities"] == shown
    row = call(alice, "GET", f"/deployments?id={wire_id}&_include=id,capabilities").json()["items"]
    assert row == [{"id": wire_id, "capabilities": shown}]
    assert call(alice, "GET", f"/deployments/{wire_id}/outputs").json()["outputs"] == {}


def test_capabilities_of_a_service_can_be_used_by_what_is_deployed_here(acme, alice):
    wire_id = placed(acme, 1)[0]
    storage = DeploymentStorage(made.local(acme), None, alice)
    assert storage.get_capability([wire_id, "ports", 1]) == 443
    with pytest.raises(LookupError, match="has no capability nothing"):
        storage.get_capability([wire_id, "nothing"])


def test_a_list_with_capabilities_of_many_services_costs_no_more_queries(call, acme, alice):
    def queries():
        call(alice, "GET", "/deployments")
        with CaptureQueriesContext(connection) as captured:
            call(alice, "GET", "/deployments")
        return len(captured)

    placed(acme, 2)
    few = queries()
    placed(acme, 5)
    assert queries() == few <= 22


# --- bodies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", ["hello", "[1]", "{", '"x"'])
def test_a_body_that_is_no_json_object_is_a_400(client, call, acme, alice, body):
    headers = {"Authentication-Token": factories.token(alice), "Tenant": "acme"}
    reply = client.generic("PUT", "/api/v3.1/deployments/x", body, content_type="application/json", headers=headers)
    assert (reply.status_code, reply.json()["error_code"]) == (400, "bad_parameters_error")
    reply = client.generic("PUT", "/api/v3.1/deployments/x", "{}", content_type="text/plain", headers=headers)
    assert (reply.status_code, reply.json()["error_code"]) == (415, "unsupported_content_type_error")


@pytest.mark.parametrize("value", ["yes", 1, []])
def test_a_flag_is_a_boolean_or_its_word(call, acme, alice, value):
    made.local(acme, "one", instances=("uninitialized",))
    reply = call(alice, "POST", "/executions", body={"deployment_id": "one", "workflow_id": "install", "force": value})
    assert (reply.status_code, reply.json()["error_code"]) == (400, "bad_parameters_error")


def test_unknown_addresses_and_methods_are_answered_in_json(call, alice):
    assert call(alice, "GET", "/nosuch").json()["error_code"] == "not_found_error"
    reply = call(alice, "DELETE", "/version")
    assert (reply.status_code, reply.json()["error_code"]) == (405, "method_not_allowed_error")


def test_the_reply_says_who_asked_in_which_tenant(call, alice):
    reply = call(alice, "GET", "/deployments")
    assert (
        reply["X-Cloudify-Audit-Username"],
        reply["X-Cloudify-Audit-Tenant"],
        reply["X-Cloudify-Audit-Auth-Method"],
    ) == ("alice", "acme", "token")


def test_a_long_list_is_compressed_when_the_client_takes_it(call, acme, alice):
    for _ in range(10):
        made.local(acme)
    reply = call(alice, "GET", "/deployments", **{"Accept-Encoding": "gzip"})
    assert reply["Content-Encoding"] == "gzip"


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_a_secret_made_on_the_wire_is_for_blueprints_and_its_value_for_few(call, acme, alice, bob, admin):
    assert call(alice, "PUT", "/secrets/key", body={"value": "topsecret"}).json()["value"] == ""
    assert [call(user, "GET", "/secrets/key").json()["value"] for user in (alice, admin, bob)] == [
        "topsecret",
        "topsecret",
        "",
    ]
    assert AuditEntry.objects.filter(action="secret.read", object_name="key").count() == 2
    assert "topsecret" not in json.dumps(list(AuditEntry.objects.values("before", "after")))
    assert "value" not in call(alice, "GET", "/secrets").json()["items"][0]


def test_a_credential_is_listed_and_never_read_or_changed_on_the_wire(call, acme, alice, admin):
    factories.secret(acme, "login", value="topsecret", purpose=Secret.Purpose.CREDENTIAL)
    assert call(admin, "GET", "/secrets/login").json()["value"] == ""
    for method, body in (("PATCH", {"value": "x"}), ("PUT", {"value": "x", "update_if_exists": True})):
        assert call(alice, method, "/secrets/login", body=body).status_code == 403


# --- uploads that are refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"junk", "unrecognized format"),
        (b"", "Missing application archive"),
        (archives.packed({"../../etc/passwd": "x"}, top=""), "not allowed"),
        (archives.packed({"a.yaml": "x", "b.yaml": "x"}, top=""), "exactly one top folder"),
        (archives.zipped({"x" * 300: "x"}), "too long"),
    ],
    ids=["junk", "nothing", "traversal", "no top folder", "long name"],
)
def test_a_hostile_archive_is_a_400_in_words(client, acme, alice, content, words, settings, tmp_path):
    settings.DATA_DIR = tmp_path
    headers = {"Authentication-Token": factories.token(alice), "Tenant": "acme"}
    reply = client.generic(
        "PUT",
        "/api/v3.1/blueprints/bad?async_upload=true",
        content,
        content_type="application/octet-stream",
        headers=headers,
    )
    assert reply.status_code == 400 and words in reply.json()["message"], reply.content
    assert set(Execution.objects.values_list("state", flat=True)) <= {Execution.State.FAILED}
    assert list(Blueprint.objects.values_list("state", flat=True)) == (
        [Blueprint.State.FAILED_UPLOADING] if content else []
    )


def test_an_archive_that_is_too_large_is_a_413(client, acme, alice, settings, tmp_path):
    settings.DATA_DIR, settings.ARCHIVE_MAX_BYTES = tmp_path, 100
    headers = {"Authentication-Token": factories.token(alice), "Tenant": "acme"}
    reply = client.generic(
        "PUT",
        "/api/v3.1/blueprints/big?async_upload=true",
        b"x" * 101,
        content_type="application/octet-stream",
        headers=headers,
    )
    assert reply.status_code == 413 and "ARCHIVE_MAX_BYTES" in reply.json()["message"]


def test_a_blueprint_by_url_of_this_machine_is_refused_in_words(call, alice):
    reply = call(alice, "PUT", "/blueprints/b?blueprint_archive_url=http://127.0.0.1/x.zip")
    assert reply.status_code == 400 and "must not call" in reply.json()["message"]
