"""What v3.1 answers, in process: who sees what, what environments are, and who reads secrets; without the engine."""

from __future__ import annotations

import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import ApiToken, AuditEntry, Secret
from deployon.models import Placement
from inventory.models import Deployment, SubManager
from orchestration.gateway_functions import DeploymentStorage
from tests import factories
from tests.inventory.factories import environment
from tests.orchestration import factories as made
from tests.samples import sample

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


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
    assert queries() == few <= 23


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
