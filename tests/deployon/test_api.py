"""/api/v1 of services and rollouts, as a program uses it."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from deployon.models import Rollout
from runs.states import RunState
from tests import factories
from tests.deployon import factories as make
from tests.inventory import factories as inventory

pytestmark = pytest.mark.django_db


@pytest.fixture
def api(alice) -> APIClient:
    """Alice with a token."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {factories.token(alice)}")
    return client


def previewed(api, **body):
    return api.post("/api/v1/rollouts/preview/", {"service": "hello", "rules": []} | body)


def test_a_rollout_from_preview_to_its_targets(api, alice, acme, double, drive):
    make.environment(double, acme, "london", deployment={"site": inventory.site(acme, "London")})
    make.version(acme, inputs_schema={"port": {"type": "integer", "default": 1}})

    shown = previewed(api, inputs={"port": 2}).json()
    assert [row["name"] for row in shown["create"]] == ["london"]
    assert shown["inputs"] == {"port": 2}
    reply = api.post("/api/v1/rollouts/", {"digest": shown["digest"]})
    assert reply.status_code == 201, reply.content
    rollout = drive(Rollout.objects.get(pk=reply.json()["id"]))

    told = api.get(f"/api/v1/rollouts/{rollout.pk}/").json()
    assert told["state"] == "succeeded"
    assert told["counts"]["succeeded"] == told["counts"]["total"] == 1
    rows = api.get(told["targets"]).json()["results"]
    assert rows[0]["capabilities"] == {"answer": "hello"}
    assert rows[0]["site"] == "London"
    placed = api.get("/api/v1/placements/", {"state": "deployed"}).json()["results"]
    assert (placed[0]["service_name"], placed[0]["environment_name"], placed[0]["version"]) == ("hello", "london", 1)
    assert api.get("/api/v1/services/").json()["results"][0]["deployed"] == 1

    undone = api.post(f"/api/v1/rollouts/{rollout.pk}/uninstall/")
    assert undone.status_code == 201, undone.content
    drive(Rollout.objects.get(pk=undone.json()["id"]))
    assert api.get("/api/v1/placements/").json()["count"] == 0


def test_the_same_key_starts_once_and_another_request_with_it_is_refused(api, acme, double):
    make.environment(double, acme)
    make.environment(double, acme)
    make.version(acme)
    digest = previewed(api).json()["digest"]

    first = api.post("/api/v1/rollouts/", {"digest": digest}, HTTP_IDEMPOTENCY_KEY="one")
    again = api.post("/api/v1/rollouts/", {"digest": digest}, HTTP_IDEMPOTENCY_KEY="one")
    other = api.post("/api/v1/rollouts/", {"digest": digest, "max_parallel": 1}, HTTP_IDEMPOTENCY_KEY="one")

    assert first.json()["id"] == again.json()["id"]
    assert other.status_code == 409
    assert Rollout.objects.count() == 1


def test_retry_with_a_key_retries_once(api, acme, double, drive):
    make.environment(double, acme)
    double.script.install_error = "RuntimeError: no"
    make.version(acme)
    made = api.post("/api/v1/rollouts/", {"digest": previewed(api).json()["digest"]}).json()
    rollout = drive(Rollout.objects.get(pk=made["id"]))
    assert rollout.run.state == RunState.FAILED

    for _ in range(2):
        reply = api.post(f"/api/v1/rollouts/{rollout.pk}/retry/", HTTP_IDEMPOTENCY_KEY="again")
        assert reply.status_code == 200, reply.content
    assert rollout.targets.get().attempts == 2


def test_a_changed_world_is_a_409_with_what_changed(api, acme):
    inventory.environment(acme, "first", state="ready")
    make.version(acme)
    digest = previewed(api).json()["digest"]
    inventory.environment(acme, "second", state="ready")

    reply = api.post("/api/v1/rollouts/", {"digest": digest})

    assert reply.status_code == 409
    assert reply["Content-Type"] == "application/problem+json"
    assert "second is new" in reply.json()["detail"]


def test_wrong_inputs_are_a_400_with_the_name_of_each(api, acme):
    make.version(acme, inputs_schema={"port": {"type": "integer"}, "size": {"type": "integer", "default": 1}})
    reply = previewed(api, inputs={"size": "big"})
    assert reply.status_code == 400
    assert set(reply.json()["errors"]) == {"port", "size"}


def test_a_wrong_rule_a_missing_service_and_no_place_are_400(api, acme):
    make.version(acme)
    wrong = [
        previewed(api, rules=[{"type": "label", "key": "env", "operator": "like", "values": ["x"]}]),
        previewed(api, service="none"),
        api.post("/api/v1/rollouts/preview/", {"service": "hello"}),
        previewed(api, environments=[1]),
    ]
    assert [reply.status_code for reply in wrong] == [400] * 4


def test_a_viewer_sees_and_does_not_start(acme, alice, bob, double):
    make.environment(double, acme)
    make.version(acme)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {factories.token(bob)}")
    rollout = make.rollout(alice, make.version(acme, "other"))

    assert client.get(f"/api/v1/rollouts/{rollout.pk}/").status_code == 200
    assert client.get("/api/v1/services/").status_code == 200
    assert previewed(client).status_code == 403
    for act in ("cancel", "pause", "resume", "retry", "uninstall"):
        assert client.post(f"/api/v1/rollouts/{rollout.pk}/{act}/").status_code == 403
    assert client.post("/api/v1/services/", {"name": "x", "remote_blueprint": "y"}).status_code == 403


def test_another_tenant_finds_nothing(charlie, alice, acme, double):
    make.environment(double, acme)
    version = make.version(acme)
    rollout = make.rollout(alice, version)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {factories.token(charlie)}")

    for path in (
        f"rollouts/{rollout.pk}",
        f"rollouts/{rollout.pk}/targets",
        f"services/{version.service_id}",
        "placements/1",
    ):
        assert client.get(f"/api/v1/{path}/").status_code == 404, path
    assert client.post(f"/api/v1/rollouts/{rollout.pk}/cancel/").status_code == 404
    assert previewed(client).status_code == 400
    assert client.get("/api/v1/rollouts/").json()["count"] == 0


def test_a_present_blueprint_is_registered_and_gets_versions(api, acme):
    made = api.post("/api/v1/services/", {"name": "app", "remote_blueprint": "app-1"})
    assert made.status_code == 201, made.content
    path = f"/api/v1/services/{made.json()['id']}/versions/"

    assert api.post(path, {"remote_blueprint": "app-1"}).status_code == 200
    assert api.post(path, {"remote_blueprint": "app-2"}).status_code == 201
    assert [row["number"] for row in api.get(path).json()["results"]] == [2, 1]
    assert api.patch(f"/api/v1/services/{made.json()['id']}/", {"description": "New"}).json()["description"] == "New"
    assert api.delete(f"/api/v1/services/{made.json()['id']}/").status_code == 204


def test_cancel_pause_and_resume_answer_409_once_it_has_ended(api, alice, acme, double, drive):
    make.environment(double, acme)
    rollout = drive(make.rollout(alice, make.version(acme)))
    for act in ("cancel", "pause", "resume", "retry"):
        reply = api.post(f"/api/v1/rollouts/{rollout.pk}/{act}/")
        assert reply.status_code == 409, act


def test_a_list_of_rollouts_asks_a_fixed_number_of_queries(api, alice, acme, double, django_assert_max_num_queries):
    for number in range(6):
        make.environment(double, acme)
        make.rollout(alice, make.version(acme, f"app{number}"))
    with django_assert_max_num_queries(12):
        assert api.get("/api/v1/rollouts/").json()["count"] == 6
