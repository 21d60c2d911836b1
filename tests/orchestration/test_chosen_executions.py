"""POST /execution-groups/chosen in process: what the bulk pages do, for programs; without the engine."""

from __future__ import annotations

import json

import pytest

from accounts.models import AuditEntry
from inventory.models import Deployment
from orchestration.models import Execution, ExecutionGroup, NodeInstance
from tests import factories
from tests.inventory.factories import environment
from tests.orchestration import factories as made

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
CHOSEN = "/api/v3.1/execution-groups/chosen"


@pytest.fixture
def call(client, db):
    tokens = {}

    def make(user, body):
        if user.pk not in tokens:
            tokens[user.pk] = factories.token(user)
        headers = {"Authentication-Token": tokens[user.pk], "Tenant": "acme"}
        return client.post(CHOSEN, json.dumps(body), content_type="application/json", headers=headers)

    return make


@pytest.fixture
def three(acme, alice):
    return [
        made.local(acme, name, instances=("started",), by=alice, labels=(("env", "prod"),)) for name in ("a", "b", "c")
    ]


RULES = [{"type": "label", "key": "env", "operator": "any_of", "values": ["prod"]}]
GREET = {"workflow_id": "greet", "parameters": {"name": "Ada"}, "filter_rules": RULES}


def test_a_preview_names_who_and_why_not_and_starts_nothing(call, acme, alice, three):
    made.execution(three[0], "install", Execution.State.STARTED)
    environment(acme, "edge", [("env", "prod")])
    reply = call(alice, {**GREET, "preview": True})
    assert reply.status_code == 200
    assert reply.json()["deployment_ids"] == ["b", "c"]
    assert {one["deployment_id"] for one in reply.json()["excluded"]} == {"a", "edge"}
    assert not ExecutionGroup.objects.exists()


def test_it_starts_what_was_previewed_and_nothing_else(call, alice, three):
    digest = call(alice, {**GREET, "preview": True}).json()["digest"]
    made.execution(three[0], "install", Execution.State.STARTED)
    reply = call(alice, {**GREET, "digest": digest})
    assert reply.status_code == 409 and "it is not what was previewed" in reply.json()["message"]
    assert not ExecutionGroup.objects.exists()
    reply = call(alice, {**GREET, "concurrency": 1})
    assert reply.status_code == 201 and len(reply.json()["execution_ids"]) == 2
    assert reply.json()["deployment_group_id"] is None and reply.json()["excluded"][0]["deployment_id"] == "a"
    entry = AuditEntry.objects.get(action="execution_group.start")
    assert entry.after["executions"] == 2
    reply = call(alice, GREET)
    assert reply.status_code == 409 and "Nothing would begin." in reply.json()["message"]


def test_only_the_drifted_are_chosen(call, alice, three):
    NodeInstance.objects.filter(local=three[1]).update(has_drift=True)
    reply = call(alice, {**GREET, "drifted_only": True, "preview": True})
    assert reply.json()["deployment_ids"] == ["b"]


def test_many_are_deleted_with_what_stands_on_them_said(call, alice, acme, three):
    gone = made.local(acme, "old", by=alice)
    Deployment.objects.filter(pk=three[0].deployment_id).update(parent=gone.deployment)
    body = {"workflow_id": "delete_deployment_environment", "deployment_ids": ["old"]}
    assert "and would stay: a" in call(alice, {**body, "preview": True}).json()["excluded"][0]["reason"]
    forced = call(alice, {**body, "preview": True, "force": True}).json()
    assert forced["deployment_ids"] == ["old"] and forced["dependents"] == {"old": ["a"]}
    assert call(alice, {**body, "force": True, "digest": forced["digest"]}).status_code == 201


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"workflow_id": "greet"}, 400, "Name the deployments"),
        ({"deployment_ids": ["a"]}, 400, "Missing workflow_id"),
        ({**GREET, "concurrency": -1}, 400, "0 is a pause"),
        ({**GREET, "deployment_ids": ["nosuch"]}, 404, "nosuch"),
        ({**GREET, "colour": "red"}, 400, "There is no colour"),
    ],
)
def test_what_is_asked_wrongly_is_said(call, alice, three, body, status, words):
    reply = call(alice, body)
    assert reply.status_code == status and words in reply.json()["message"]


def test_a_viewer_and_an_outsider_start_nothing(call, bob, charlie, three):
    for user in (bob, charlie):
        assert call(user, {**GREET, "preview": True}).status_code == 403
