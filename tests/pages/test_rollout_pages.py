"""Pages of services, rollouts and runs."""

from __future__ import annotations

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from deployon.models import Placement, Preview, Rollout, Service
from inventory.models import Environment
from runs.models import Run
from tests.deployon import factories as make
from tests.inventory import factories as inventory
from tests.samples import sample

pytestmark = pytest.mark.django_db

SCHEMA = {
    "greeting": {"type": "string", "default": "Hello", "constraints": [{"max_length": 10}]},
    "colour": {"type": "string", "default": "teal", "constraints": [{"valid_values": ["teal", "brown"]}]},
    "is_public": {"type": "boolean"},
    "ports": {"type": "list", "default": [80, 443]},
    "count": {"type": "integer", "constraints": [{"in_range": [1, 9]}]},
}
TYPED = {
    "input:greeting": "Hi",
    "input:colour": "brown",
    "input:is_public": "true",
    "input:ports": "[8080]",
    "input:count": "3",
}
PROD = {"rule_type": "label", "rule_key": "env", "rule_operator": "any_of", "rule_values": "prod"}


@pytest.fixture
def version(acme):
    return make.version(acme, inputs_schema=SCHEMA)


@pytest.fixture
def edges(acme):
    """Two that are ready, one that is not."""
    ready = [inventory.environment(acme, name, [("env", "prod")], state="ready") for name in ("edge1", "edge2")]
    return [*ready, inventory.environment(acme, "edge3", [("env", "prod")], state="unreachable", why="TCP: refused.")]


def planned(client, version, **more):
    return client.post("/rollouts/new/", {"version": version.pk, "max_parallel": "5", **PROD, **TYPED} | more)


def test_a_service_is_registered_from_an_archive_and_gets_a_second_version(signed_in, alice, acme, monkeypatch):
    from inventory.blueprints import BlueprintFacts

    monkeypatch.setattr("deployon.catalogue.read_blueprint", lambda content, main_file: BlueprintFacts(inputs=SCHEMA))
    client = signed_in(alice)
    form = {"name": "hello", "source": "pushed", "main_file": "blueprint.yaml"}
    reply = client.post(
        "/services/add/", form | {"archive": SimpleUploadedFile("app.zip", make.archive("1"))}, follow=True
    )
    assert "Service hello is registered" in reply.text and "greeting" in reply.text
    address = f"/services/{Service.objects.get().pk}/versions/add/"
    reply = client.post(address, form | {"archive": SimpleUploadedFile("app.zip", make.archive("2"))}, follow=True)
    assert "Version 2 is new." in reply.text
    reply = client.post(address, form | {"archive": SimpleUploadedFile("app.zip", make.archive("2"))}, follow=True)
    assert "has exactly this content already" in reply.text


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"name": "hello", "source": "pushed"}, "Choose the archive of the blueprint."),
        ({"name": "hello", "source": "present"}, "Name the blueprint as the managers know it."),
        ({"name": "1 bad name", "source": "present", "remote_blueprint": "hello"}, "begins with a letter"),
        ({"name": "taken", "source": "present", "remote_blueprint": "hello"}, "There is a service"),
    ],
)
def test_a_service_that_cannot_be_registered_says_why_beside_the_field(signed_in, alice, acme, form, words):
    make.version(acme, "taken")
    reply = signed_in(alice).post("/services/add/", form)
    assert reply.status_code == 400 and words in reply.text and f'value="{form["name"]}"' in reply.text
    assert Service.objects.count() == 1


def test_a_blueprint_that_is_there_already_is_registered_by_its_name(signed_in, alice, acme):
    form = {"name": "cache", "source": "present", "remote_blueprint": "cache-2"}
    assert "cache-2" in signed_in(alice).post("/services/add/", form, follow=True).text


def test_the_form_has_a_field_for_each_input_of_the_version(signed_in, alice, version, edges):
    page = signed_in(alice).get("/rollouts/new/").text
    assert '<option value="brown">brown</option>' in page and ">Choose one</option>" in page
    assert "[80, 443]</textarea>" in page and "From 1 to 9." in page


def test_what_is_wrong_stands_beside_its_field_and_nothing_typed_is_lost(signed_in, alice, version, edges):
    wrong = {"input:greeting": "far too long a greeting", "input:ports": "80", "input:count": "12", "max_parallel": "0"}
    reply = planned(signed_in(alice), version, **wrong)
    assert reply.status_code == 400 and not Preview.objects.exists()
    errors = reply.context["inputs_form"].errors
    assert set(errors) == {"input:greeting", "input:ports", "input:count"}
    assert "from 1 to 9" in errors["input:count"][0] and reply.context["pace_form"].errors
    for typed in ("far too long a greeting", 'value="12"', 'value="0"', 'value="prod"'):
        assert typed in reply.text


def test_a_rule_that_does_not_work_is_marked(signed_in, alice, version, edges):
    reply = planned(signed_in(alice), version, rule_type="attribute", rule_key="nosuch")
    assert reply.status_code == 400
    assert "Allowed attributes" in reply.context["rules"][0]["error"] and 'value="nosuch"' in reply.text


def test_the_count_follows_the_rules(signed_in, alice, version, edges):
    client = signed_in(alice)
    text = re.sub(r"<[^>]+>|\s+", " ", client.get("/environments/count/", PROD).text)
    assert re.sub(" +", " ", text).strip().startswith("3 environments match: 1 unreachable")
    assert "does not work" in client.get("/environments/count/", PROD | {"rule_values": ""}).text


def test_the_fields_of_another_version_keep_what_was_typed(signed_in, alice, version, acme):
    second = make.version(acme, content="2", inputs_schema={"greeting": {"type": "string", "default": "Servus"}})
    query = {"version": second.pk, "inputs_of": version.pk, **TYPED}
    page = signed_in(alice).get("/rollouts/new/inputs/", query).text
    assert 'value="Hi"' in page and "colour" not in page


def test_review_counts_and_gives_reasons_then_start_does_it(signed_in, alice, version, edges):
    client = signed_in(alice)
    review = planned(client, version, failure_budget="1")
    page = client.get(review["Location"])
    assert [len(part["rows"]) for part in page.context["parts"]] == [2, 0, 0, 1]
    assert "Start: create 2" in page.text and "TCP: refused" in page.text and "failure 2 stops new starts" in page.text
    digest = page.context["preview"].digest
    reply = client.post(
        "/rollouts/new/start/", {"digest": digest, "max_parallel": "5", "failure_budget": "1", "key": "k1"}
    )
    rollout = Rollout.objects.get()
    assert reply["Location"] == f"/rollouts/{rollout.pk}/"
    assert (rollout.max_parallel, rollout.failure_budget) == (5, 1)
    assert rollout.inputs == {"greeting": "Hi", "colour": "brown", "is_public": True, "ports": [8080], "count": 3}
    again = client.post(
        "/rollouts/new/start/", {"digest": digest, "max_parallel": "5", "failure_budget": "1", "key": "k1"}
    )
    assert again["Location"] == reply["Location"] and Rollout.objects.count() == 1


def test_a_start_after_the_world_changed_shows_the_new_plan(signed_in, alice, version, edges):
    client = signed_in(alice)
    digest = client.get(planned(client, version)["Location"]).context["preview"].digest
    Environment.objects.filter(pk=edges[1].pk).update(state="maintenance", why="Until 18:00.")
    reply = client.post("/rollouts/new/start/", {"digest": digest, "max_parallel": "5"})
    assert reply.status_code == 409 and not Rollout.objects.exists()
    assert (
        "Nothing was started" in reply.text
        and "edge2 now is excluded" in reply.text
        and "Start: create 1" in reply.text
    )
    assert reply.context["preview"].digest != digest


def test_change_brings_back_the_form_as_it_was(signed_in, alice, version, edges):
    client = signed_in(alice)
    review = client.get(planned(client, version, failure_budget="7")["Location"])
    page = client.get(review.context["back"]).text
    for typed in ('value="Hi"', 'value="7"', 'value="env"', 'value="prod"', "[8080]</textarea>"):
        assert typed in page


def test_a_search_is_carried_over_as_the_environments_it_found(signed_in, alice, version, edges):
    client = signed_in(alice)
    page = client.get("/rollouts/new/?q=edge1")
    assert [str(row) for row in page.context["chosen"]] == ["edge1"]
    reply = client.get("/rollouts/new/?q=nosuch", follow=True)
    assert "No environment matches any more" in reply.text
    review = client.get(planned(client, version, environments=str(edges[0].pk))["Location"])
    assert review.context["acting"] == 1


def test_nothing_to_do_has_no_button_that_starts(signed_in, alice, version, edges):
    client = signed_in(alice)
    page = client.get(planned(client, version, rule_values="nosuch")["Location"]).text
    assert "Nothing to start" in page and '<button class="bt p xl"' not in page


def started(alice, version, edges):
    inputs = {"is_public": True, "count": 1}
    return make.rollout(alice, version, edges[:2], inputs=inputs)


def test_the_live_page_is_paused_resumed_and_cancelled(signed_in, alice, version, edges):
    rollout = started(alice, version, edges)
    client, address = signed_in(alice), f"/rollouts/{rollout.pk}/"
    assert client.get(address).text.count('id="cell-') == 2
    assert "Pausing" in client.post(f"{address}pause/", follow=True).text
    assert "Go on" in client.get(f"{address}acts/").text
    assert "It goes on." in client.post(f"{address}resume/", follow=True).text
    assert "Cancelling" in client.post(f"{address}cancel/", follow=True).text
    assert client.get(f"{address}why/").status_code == client.get(f"{address}causes/").status_code == 200


def test_a_rollout_that_failed_offers_its_causes_and_a_retry(signed_in, alice, version, edges):
    rollout = started(alice, version, edges)
    children = list(rollout.run.children.order_by("pk"))
    words = ["http://10.0.0.1:80 hangs.", "http://10.0.0.2:80 hangs."]
    for child, why in zip(children, words, strict=True):
        Run.objects.filter(pk=child.pk).update(state="failed", cause="unreachable", why=why)
    Run.objects.filter(pk=rollout.run_id).update(state="failed", why="2 of 2 failed.")
    client, address = signed_in(alice), f"/rollouts/{rollout.pk}/"
    page = client.get(address)
    assert "2 failed, 1 cause" in page.text and "Retry 2" in page.text
    assert "2 of 2 failed." in page.text
    client.post(f"{address}retry/")
    rollout.refresh_from_db()
    assert rollout.run_id != page.context["run"].pk
    assert "still at work" in client.post(f"{address}retry/", follow=True).text


def test_uninstall_of_a_rollout_names_its_environments(signed_in, alice, version, edges):
    rollout = started(alice, version, edges)
    page = signed_in(alice).get(f"/rollouts/new/?undo={rollout.pk}")
    assert page.context["action"] == "uninstall" and {str(row) for row in page.context["chosen"]} == {"edge1", "edge2"}


def test_others_find_neither_services_nor_rollouts_nor_runs(signed_in, charlie, alice, version, edges):
    rollout = started(alice, version, edges)
    preview = Preview.objects.get()
    client = signed_in(charlie)
    for path in (
        f"services/{version.service_id}/",
        f"rollouts/{rollout.pk}/",
        f"rollouts/{rollout.pk}/acts/",
        f"runs/{rollout.run_id}/",
    ):
        assert client.get(f"/{path}").status_code == 404, path
    for path in (
        f"rollouts/new/{preview.digest}/",
        f"rollouts/new/?undo={rollout.pk}",
        f"rollouts/new/?again={preview.digest}",
    ):
        assert client.get(f"/{path}").status_code == 404, path
    for path in (
        f"rollouts/{rollout.pk}/cancel/",
        f"runs/{rollout.run_id}/cancel/",
        f"services/{version.service_id}/versions/add/",
    ):
        assert client.post(f"/{path}").status_code == 404, path


def test_a_viewer_looks_on_without_buttons_that_act(signed_in, bob, alice, version, edges):
    rollout = started(alice, version, edges)
    client = signed_in(bob)
    for path in (
        f"rollouts/{rollout.pk}/",
        f"runs/{rollout.run_id}/",
        "rollouts/",
        f"services/{version.service_id}/",
        "services/",
    ):
        page = client.get(f"/{path}").text
        for word in ("Pause", "Cancel r", "New rollout", "Register service", "New version"):
            assert word not in page, (path, word)
    assert client.get("/rollouts/new/").status_code == 403


def test_a_run_inside_a_rollout_shows_its_steps(signed_in, alice, version, edges):
    rollout = started(alice, version, edges)
    child = rollout.run.children.first()
    page = signed_in(alice).get(f"/runs/{child.pk}/").text
    assert page.count('id="step-') == child.steps.count() > 1
    assert f"/runs/{rollout.run_id}/" in page


def test_runs_are_found_by_title_and_state(signed_in, alice, version, edges):
    started(alice, version, edges)
    client = signed_in(alice)
    assert "Deploy hello v1 on 2 environments" in client.get("/runs/?q=hello").text
    assert "No run matches" in client.get("/runs/?q=nosuch").text
    assert "No run matches" in client.get("/runs/?state=failed").text


def test_the_overview_leads_with_what_needs_somebody(signed_in, alice, version, edges, acme):
    client = signed_in(alice)
    page = client.get("/").text
    assert "1 thing needs you" in page and "edge3 is unreachable" in page
    Environment.objects.update(state="ready", why="")
    assert "Nothing needs you" in client.get("/").text and "All 3 environments answer" in client.get("/").text
    rollout = started(alice, version, edges)
    Run.objects.filter(pk=rollout.run_id).update(state="failed", why="2 of 2 failed.")
    assert f"Open R-{rollout.pk}" in client.get("/").text


def test_the_overview_of_an_empty_tenant_says_how_to_begin(signed_in, alice):
    assert "No environments yet" in signed_in(alice).get("/").text


def test_a_service_shows_where_it_stands(signed_in, alice, acme):
    placement = sample(Placement, acme)
    Placement.objects.filter(pk=placement.pk).update(state="deployed", capabilities={"page": "https://edge.example/"})
    page = signed_in(alice).get(f"/services/{placement.service_id}/").text
    assert "Deployed" in page and "https://edge.example/" in page
