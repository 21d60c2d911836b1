"""Which deployment depends on which: where it is read from, who sees it, and what it stands in the way of."""

from __future__ import annotations

import pytest

from inventory.models import Deployment
from orchestration import bulk_removals, dependencies
from orchestration.models import BlueprintNode, Dependency, Execution, LocalDeployment
from tests.orchestration import factories as made

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
PATH = "/deployments/inter-deployment-dependencies"


def uses(*names: str):
    """A plan with a capability for each."""
    return {
        **made.PLAN,
        "capabilities": {f"c{n}": {"value": {"get_capability": [name, "url"]}} for n, name in enumerate(names)},
    }


@pytest.fixture
def pair(acme, alice) -> tuple[LocalDeployment, LocalDeployment]:
    """A shop that uses a capability of a database."""
    database, shop = made.local(acme, "database", by=alice), made.local(acme, "shop", by=alice)
    LocalDeployment.objects.filter(pk=shop.pk).update(plan=uses("database"))
    shop.refresh_from_db()
    dependencies.store_capabilities(shop, alice)
    return shop, database


def edges(**more):
    return set(Dependency.objects.filter(**more).values_list("source__wire_id", "creator", "target__wire_id"))


def test_they_are_found_in_properties_inputs_and_capabilities(acme, alice):
    for name in ("a", "b", "c", "d"):
        made.local(acme, name)
    shop = made.local(acme, "shop", blueprint=made.blueprint(acme, plan=uses("a", "nosuch", "shop")))
    body = {
        "properties": {
            "url": [{"get_capability": ["b", "url"]}],
            "other": {"get_capability": [{"get_input": "of"}, "x"]},
        }
    }
    BlueprintNode.objects.filter(local=shop).update(body=body)
    LocalDeployment.objects.filter(pk=shop.pk).update(
        plan=uses("a", "nosuch", "shop"), inputs={"of": "c"}, given_inputs={"of": "c", "to": {"get_capability": ["d"]}}
    )
    shop.refresh_from_db()
    dependencies.store_capabilities(shop, alice)
    dependencies.store_capabilities(shop, alice)  # once more changes nothing
    assert edges() == {
        ("shop", "capabilities.c0.value.get_capability", "a"),
        ("shop", "nodes.app.properties.url[0].get_capability", "b"),
        ("shop", "nodes.app.properties.other.get_capability", "c"),
        ("shop", "inputs.to.get_capability", "d"),
    }


def test_what_is_used_is_neither_uninstalled_nor_deleted_first(call, alice, pair):
    refused = call(alice, "DELETE", "/deployments/database")
    assert (refused.status_code, refused.json()["error_code"]) == (400, "dependent_exists_error")
    assert "depend on it: shop" in refused.json()["message"]
    body = {"deployment_id": "database", "workflow_id": "uninstall"}
    assert "depend on it: shop" in call(alice, "POST", "/executions", body).json()["message"]
    Deployment.objects.get(wire_id="shop").delete()
    assert call(alice, "DELETE", "/deployments/database").status_code == 204


def test_force_is_not_stopped(call, alice, pair):
    assert call(alice, "DELETE", "/deployments/database?force=true").status_code == 204


def test_a_group_with_both_goes_and_one_without_the_user_does_not(call, alice, pair):
    call(alice, "PUT", "/deployment-groups/one", {"deployment_ids": ["database"]})
    refused = call(alice, "DELETE", "/deployment-groups/one?delete_deployments=true")
    assert refused.status_code == 400 and "depend on them" in refused.json()["message"]
    call(alice, "PUT", "/deployment-groups/both", {"deployment_ids": ["database", "shop"]})
    assert call(alice, "DELETE", "/deployment-groups/both?delete_deployments=true").status_code in (200, 204)


def test_chosen_ones_are_left_out_while_who_uses_them_stays(acme, pair):
    shop, database = (one.deployment for one in pair)
    found = bulk_removals.preview(rows=[database], tenant=acme, force=False)
    assert found.acting == [] and "would stay: shop" in found.left_out[0].why
    assert set(bulk_removals.preview(rows=[database, shop], tenant=acme, force=False).acting) == {database, shop}


def test_they_are_listed_to_who_sees_the_deployment(call, alice, bob, charlie, pair):
    (row,) = call(bob, "GET", PATH).json()["items"]
    assert (row["source_deployment_id"], row["target_deployment_id"]) == ("shop", "database")
    assert row["dependency_creator"] == "capabilities.c0.value.get_capability"
    assert call(bob, "GET", f"{PATH}?source_deployment_id=nosuch").json()["items"] == []
    assert call(charlie, "GET", PATH, tenant="other").json()["items"] == []
    Deployment.objects.filter(wire_id="shop").update(visibility="private")
    assert call(bob, "GET", PATH).json()["items"] == []


def test_they_are_not_written_by_clients(call, alice, pair):
    for method in ("PUT", "POST", "DELETE"):
        refused = call(alice, method, PATH, {})
        assert refused.status_code == 400 and "kept by this manager" in refused.json()["message"]


def test_a_component_is_noted_and_forgotten_and_its_login_is_nowhere(acme, alice):
    wrapper = made.local(acme, "wrapper", by=alice)
    made.local(acme, "inner", by=alice)
    run = made.execution(wrapper, "install", Execution.State.STARTED, created_by=alice)
    dependencies.note_component(run, "component", "app_1", "inner", {})
    client = {"host": "far.example", "tenant": "plant", "token": "ctok-secret-1", "password": "hidden"}
    dependencies.note_component(run, "component", "app_2", "away", client)
    dependencies.note_component(run, "component", "app_2", "away", client)
    assert edges() == {("wrapper", "component.app_1", "inner"), ("wrapper", "component.app_2", None)}
    told = str(list(Dependency.objects.values()))
    assert "far.example" in told and "ctok" not in told and "hidden" not in told
    dependencies.store_capabilities(wrapper, alice)  # looks after its own alone
    assert dependencies.users_of([Deployment.objects.get(wire_id="inner")]) == ["wrapper"]
    dependencies.forget_component(run, "component", "app_1")
    assert dependencies.users_of([Deployment.objects.get(wire_id="inner")]) == []
