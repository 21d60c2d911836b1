"""What the end of a workflow, a removal and a removal by force mean for a deployment that is an environment; without engine and runner."""

from __future__ import annotations

import copy

import pytest

from accounts.errors import Conflict
from accounts.models import AuditEntry
from deployon.models import Placement
from inventory.connections import credential_of
from inventory.doubles import ManagerDouble
from inventory.exposing import expose, update_environment
from inventory.hiding import hide
from inventory.labels import set_labels
from inventory.models import Deployment, Environment, Label, SubManager
from inventory.probing import probe
from orchestration import deployments, executions, exposed
from orchestration.capabilities import names_of
from orchestration.errors import Refused
from orchestration.gateway_functions import evaluated
from orchestration.models import Execution, ExecutionEvent, LocalDeployment
from orchestration.runner_types import BlueprintProblem
from tests import factories
from tests.orchestration import factories as made
from tests.samples import sample

pytestmark = pytest.mark.django_db
TOKEN = "ctok-alice-0123456789"
ENVIRONMENT = (("csys-obj-type", "environment"),)
State = Execution.State


@pytest.fixture
def double(settings):
    settings.ENDPOINT_NETWORKS = ["127.0.0.1/32"]
    with ManagerDouble() as double:
        yield double


@pytest.fixture
def secret(acme, alice):
    return factories.secret(acme, "admin_token", TOKEN, by=factories.actor(alice), purpose="blueprint")


def plan_of(**values):
    plan = copy.deepcopy(made.PLAN)
    plan["capabilities"] = {name: {"value": value} for name, value in values.items()}
    return plan


def described(acme, alice, port, name="plant", labels=ENVIRONMENT, **more):
    """A deployment whose blueprint says where a manager is, as it stands when its workflow has ended."""
    values = {
        "cloudify_manager_endpoint": "127.0.0.1", "cloudify_manager_tenant": "acme", "cloudify_manager_port": str(port),
        "cloudify_manager_protocol": "http",
    } | more  # fmt: skip
    local = made.local(acme, name, labels=labels, by=alice)
    local.plan = plan_of(**values)
    local.blueprint.plan = local.plan
    local.save()
    Deployment.objects.filter(pk=local.deployment_id).update(installation_status="active")
    return local


def end(local, workflow="install", by=None, status=State.TERMINATED):
    execution = made.execution(local, workflow, State.STARTED, created_by=by or local.deployment.created_by)
    told = exposed.conclude(execution, None, status, None)
    Execution.objects.filter(pk=execution.pk).update(state=told[0])
    return execution, told


def events(execution):
    return " ".join(ExecutionEvent.objects.filter(execution=execution).values_list("message", flat=True))


def environment(name="plant"):
    return Environment.objects.filter(deployment__wire_id=name).first()


# --- made ---------------------------------------------------------------------------------------------------------------


def test_the_end_of_an_install_makes_a_described_deployment_a_ready_environment(acme, alice, double, secret):
    execution, told = end(described(acme, alice, double.port))
    assert told == ("terminated", None)
    row = environment()
    assert (row.state, row.remote_tenant, row.sub_manager.port) == ("ready", "acme", double.port)
    assert (row.credential.token, row.deployment.deployment_status) == (secret, "good")
    assert "It is ready." in events(execution) and TOKEN not in events(execution)
    assert AuditEntry.objects.filter(action="environment.create", actor="alice").count() == 1


def test_it_is_the_same_as_one_made_by_page(acme, alice, double, secret):
    end(described(acme, alice, double.port))
    where = {"endpoint": "127.0.0.1", "port": double.port, "protocol": "http", "remote_tenant": "acme"}
    by_page = expose(by=factories.actor(alice), tenant=acme, name="by-page", token_secret="admin_token", **where)
    ours = environment()
    for field in ("state", "why", "remote_tenant", "sub_manager_id"):
        assert getattr(ours, field) == getattr(by_page, field)
    assert ours.credential.token_id == by_page.credential.token_id
    assert names_of(ours.deployment) == names_of(by_page.deployment)
    assert set(Environment.objects.visible_to(alice, acme)) == {ours, by_page}


@pytest.mark.parametrize(
    ("workflow", "status", "labels"),
    [
        ("uninstall", State.TERMINATED, ENVIRONMENT),
        ("install", State.FAILED, ENVIRONMENT),
        ("install", State.TERMINATED, ()),
        ("heal", State.TERMINATED, ENVIRONMENT),
    ],
)
def test_other_ends_and_other_deployments_make_none(acme, alice, double, secret, workflow, status, labels):
    _, told = end(described(acme, alice, double.port, labels=labels), workflow, status=status)
    assert told == (status, None) and environment() is None


def test_an_environment_of_another_kind_has_no_capabilities_of_a_manager_and_is_left_alone(acme, alice):
    local = made.local(acme, "k8s", labels=ENVIRONMENT, by=alice)
    assert end(local)[1] == ("terminated", None) and environment("k8s") is None


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"cloudify_manager_port": "abc"}, "The port is a number"),
        ({"cloudify_manager_port": 70000}, "from 1 to 65535"),
        ({"cloudify_manager_port": True}, "The port is a number"),
        ({"cloudify_manager_protocol": "ftp"}, "http or https"),
        ({"cloudify_manager_endpoint": ""}, "Enter the host name"),
        ({"cloudify_manager_endpoint": "user:secret@host"}, "Leave user and password out"),
    ],
)
def test_a_description_that_cannot_be_fails_the_install_and_before_that_the_creation(acme, alice, wrong, words):
    local = described(acme, alice, 80, **wrong)
    _execution, (status, why) = end(local)
    assert status == "failed" and words in why and environment() is None
    with pytest.raises(BlueprintProblem, match=words):
        exposed.check_description(local, {"capabilities": local.plan["capabilities"], "labels": {}})


def test_installing_again_changes_nothing_and_an_update_moves_it(acme, alice, double, secret):
    local = described(acme, alice, double.port)
    end(local)
    before = environment()
    end(local)
    assert environment().pk == before.pk and Environment.objects.count() == 1
    with ManagerDouble() as other:
        local.plan["capabilities"]["cloudify_manager_port"] = {"value": other.port}
        local.save()
        end(local, "update")
        assert environment().sub_manager.port == other.port and environment().pk == before.pk
    assert SubManager.objects.count() == 1


# --- its credential -----------------------------------------------------------------------------------------------------


def test_without_a_secret_it_is_there_and_says_what_it_lacks_until_there_is_one(acme, alice, double):
    local = described(acme, alice, double.port)
    execution, told = end(local)
    assert told[0] == "terminated" and environment().credential is None
    assert environment().state == "unreachable" and "admin_token" in environment().why
    assert "admin_token" in events(execution)
    factories.secret(acme, "admin_token", TOKEN, by=factories.actor(alice), purpose="blueprint")
    end(local)
    assert environment().state == "ready"


def test_a_user_and_a_password_of_the_usual_names_do(acme, alice, double):
    for name, value in (("cloudify_user", "alice"), ("cloudify_password", "alice-password")):
        factories.secret(acme, name, value, by=factories.actor(alice), purpose="blueprint")
    end(described(acme, alice, double.port))
    assert environment().credential.kind == "password"
    assert credential_of(environment()).username == "alice"


def test_secrets_that_the_blueprint_names_come_first_and_must_be_there(acme, alice, double, secret):
    mine = factories.secret(acme, "plant_token", TOKEN, by=factories.actor(alice), purpose="blueprint")
    end(described(acme, alice, double.port, cloudify_secret_token="plant_token"))
    assert environment().credential.token == mine
    local = described(acme, alice, double.port, "other", cloudify_secret_token="no_such")
    assert "There is no secret no_such" in end(local)[1][1]


def test_a_secret_that_its_starter_may_not_read_is_not_sent_anywhere(acme, alice, admin, double):
    factories.secret(acme, "admin_token", TOKEN, by=factories.actor(admin), purpose="blueprint")
    end(described(acme, alice, double.port))
    assert environment().credential is None
    end(LocalDeployment.objects.get(), by=admin)
    assert environment().credential.token.name == "admin_token"


def test_no_secret_is_sent_to_the_example_address_of_a_blueprint(acme, alice, double, secret):
    local = described(acme, alice, double.port)
    local.blueprint.plan["capabilities"]["cloudify_manager_endpoint"] = {"value": {"get_input": "ip"}}
    end(local)
    assert environment().credential is None
    local.given_inputs = {"ip": "127.0.0.1"}
    end(local)
    assert environment().credential is not None


# --- one row, two owners ------------------------------------------------------------------------------------------------


def test_its_connection_counts_for_its_state_and_so_does_its_last_workflow(acme, alice, double, secret):
    local = described(acme, alice, double.port)
    end(local)
    deployment = local.deployment
    Environment.objects.update(state="ready")
    Environment.objects.update(credential=None)
    probe(environment())
    deployment.refresh_from_db()
    assert deployment.deployment_status == "requires_attention"


def test_what_the_page_changes_is_what_services_read(acme, alice, double, secret):
    local = described(acme, alice, double.port)
    end(local)
    update_environment(by=factories.actor(alice), environment=environment(), endpoint="localhost", port=double.port)
    values = evaluated(local.deployment, "capabilities", None, alice)
    assert values["cloudify_manager_endpoint"] == "localhost"


def test_that_it_is_an_environment_stays_whatever_labels_it_is_given(acme, alice, double, secret):
    local = described(acme, alice, double.port)
    end(local)
    set_labels(by=factories.actor(alice), deployment=local.deployment, labels=[("ring", "1")])
    assert set(local.deployment.labels.values_list("key", flat=True)) == {"csys-obj-type", "ring"}


# --- taken away ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def plant(acme, alice, double, secret):
    local = described(acme, alice, double.port)
    end(local)
    return local


@pytest.fixture
def child(acme, alice, plant):
    """A wrapper deployed on it."""
    child = made.local(acme, "app-on-plant", by=alice, labels=(("csys-obj-parent", "plant"),))
    Deployment.objects.filter(pk=child.deployment_id).update(parent=plant.deployment)
    return child


@pytest.fixture
def placement(acme, plant):
    placed = sample(Placement, acme)
    Placement.objects.filter(pk=placed.pk).update(environment=environment(), state=Placement.State.DEPLOYED)
    return placed


def test_uninstall_makes_it_an_ordinary_deployment_again(plant, secret):
    _execution, told = end(plant, "uninstall")
    assert told == ("terminated", None) and environment() is None and SubManager.objects.count() == 0
    assert LocalDeployment.objects.filter(pk=plant.pk).exists()
    secret.refresh_from_db()  # it was not made for the environment


def test_it_goes_with_its_deployment(acme, plant, alice):
    exposed_before = environment()
    assert exposed_before is not None
    deployments.remove_rows(by=factories.actor(alice), local=plant)
    assert Environment.objects.count() == Deployment.objects.count() == SubManager.objects.count() == 0


@pytest.mark.parametrize("workflow", ["delete", "uninstall"])
def test_while_something_stands_on_it_it_is_neither_deleted_nor_uninstalled(alice, plant, child, workflow):
    by = factories.actor(alice)
    with pytest.raises(Refused, match="app-on-plant") as caught:
        if workflow == "delete":
            deployments.delete(by=by, local=plant)
        else:
            executions.start(by=by, local=plant, workflow="uninstall")
    assert (caught.value.status, caught.value.code) == (400, "dependent_exists_error")


def test_force_detaches_what_stands_on_it(alice, plant, child):
    with pytest.raises(Conflict, match="app-on-plant"):
        deployments.remove_rows(by=factories.actor(alice), local=plant)
    assert environment() is not None
    deployments.remove_rows(by=factories.actor(alice), local=plant, force=True)
    child.deployment.refresh_from_db()
    assert child.deployment.parent is None
    assert not Label.objects.filter(deployment=child.deployment, key="csys-obj-parent").exists()


def test_by_page_it_goes_whole_and_not_while_something_stands_on_it(alice, plant, child):
    by = factories.actor(alice)
    with pytest.raises(Conflict, match="app-on-plant"):
        hide(by=by, environment=environment())
    assert environment() is not None
    hide(by=by, environment=environment(), force=True)
    assert environment() is None and not Deployment.objects.filter(wire_id="plant").exists()


def test_what_came_to_stand_on_it_during_its_uninstall_keeps_it(plant, placement):
    execution, told = end(plant, "uninstall")
    assert told[0] == "terminated" and environment() is not None
    assert "carries" in events(execution)


def test_one_made_by_page_is_deleted_through_v31_by_those_who_may(acme, alice, double, secret, client):
    where = {"endpoint": "127.0.0.1", "port": double.port, "protocol": "http", "remote_tenant": "acme"}
    row = expose(by=factories.actor(alice), tenant=acme, name="by-page", token_secret="admin_token", **where)
    child = made.local(acme, "app", by=alice, labels=(("csys-obj-parent", "by-page"),))
    Deployment.objects.filter(pk=child.deployment_id).update(parent=row.deployment)
    operator = factories.user("olga")
    factories.member(operator, acme, "operations")

    def delete(user, path="by-page"):
        sent = {"Authentication-Token": factories.token(user), "Tenant": "acme"}
        return client.delete(f"/api/v3.1/deployments/{path}", headers=sent)

    assert delete(operator).status_code == 403
    refused = delete(alice)
    assert (refused.status_code, refused.json()["error_code"]) == (400, "dependent_exists_error")
    assert delete(alice, "by-page?force=true").status_code == 204
    assert not Environment.objects.exists()
