"""Pages of deployments: the hierarchy, what was deployed here, its executions."""

from __future__ import annotations

import uuid

import pytest
from django.urls import reverse

from inventory.models import Deployment
from inventory.rollup import refresh_states
from orchestration.models import Execution, ExecutionEvent
from tests.inventory import factories as inventory
from tests.orchestration import factories as make

pytestmark = pytest.mark.django_db


def below(row, parent):
    """Put a deployment below another one."""
    Deployment.objects.filter(pk=row.pk).update(parent=parent)
    row.parent = parent
    refresh_states(row)
    return row


@pytest.fixture
def tree(acme):
    """core (environment) > edge (environment) > web (service)."""
    core, edge = inventory.environment(acme, "core"), inventory.environment(acme, "edge")
    below(edge.deployment, core.deployment)
    web = below(make.local(acme, "web").deployment, edge.deployment)
    return core.deployment, edge.deployment, web


def test_only_the_top_is_listed_with_counts_down_to_the_leaves(signed_in, alice, tree):
    page = signed_in(alice).get("/deployments/").text
    assert "core" in page and ">edge<" not in page and ">web<" not in page
    core = Deployment.objects.get(wire_id="core")
    assert (core.sub_environments_count, core.sub_services_count) == (1, 1)
    assert f"?below={core.pk}&amp;kind=services" in page


def test_one_goes_down_a_level_and_breadcrumbs_lead_back_up(signed_in, alice, tree):
    core, _, web = tree
    client = signed_in(alice)
    assert ">edge<" in client.get(f"/deployments/?below={core.pk}").text
    assert "Nothing below it yet" not in client.get(f"/deployments/?below={core.pk}&kind=environments").text
    assert "No deployment matches" in client.get(f"/deployments/?below={core.pk}&kind=services").text
    page = client.get(f"/deployments/{web.pk}/").text
    crumbs = page.split('class="crumb"')[1].split("</div>")[0]
    assert crumbs.index("core") < crumbs.index("edge") < crumbs.index("web")


def test_a_search_finds_what_stands_deeper(signed_in, alice, tree):
    assert ">web<" in signed_in(alice).get("/deployments/?q=we").text


def test_an_environment_leads_to_its_own_page(signed_in, alice, tree):
    environment = tree[0].environment
    assert reverse("environment", args=[environment.pk]) in signed_in(alice).get("/deployments/").text
    reply = signed_in(alice).get(f"/deployments/{tree[0].pk}/")
    assert reply.status_code == 302 and reply["Location"] == reverse("environment", args=[environment.pk])


@pytest.fixture
def web(acme, alice):
    return make.local(acme, "web", instances=("started", "deleted"), by=alice)


def test_the_page_tells_nodes_inputs_and_what_can_be_started(signed_in, alice, web):
    web.inputs = {"size": 3, "names": ["a", "b"]}
    web.save()
    page = signed_in(alice).get(f"/deployments/{web.deployment_id}/").text
    assert "1 started" in page and "1 deleted" in page
    assert "[&quot;a&quot;, &quot;b&quot;]" in page
    assert "install" in page and "greet" in page and "Start" in page


def test_a_workflow_is_started_with_parameters_and_leads_to_its_execution(signed_in, alice, web):
    asked = {"workflow": "greet", "parameters": '{"name": "Ada"}'}
    reply = signed_in(alice).post(f"/deployments/{web.deployment_id}/start/", asked, follow=True)
    execution = Execution.objects.get(workflow="greet")
    assert execution.parameters == {"name": "Ada", "times": 1}
    assert reply.redirect_chain[-1][0] == reverse("execution", args=[web.deployment_id, execution.pk])
    assert "Nothing was said yet" in reply.text and "Ada" in reply.text


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"workflow": "greet", "parameters": "{"}, "This is not JSON"),
        ({"workflow": "greet", "parameters": "[1]"}, "not a JSON object"),
        ({"workflow": "greet"}, "must be provided with the following parameters"),
        ({"workflow": "nosuch"}, "Select a valid choice"),
    ],
)
def test_what_cannot_be_started_is_told_and_nothing_is(signed_in, alice, web, asked, words):
    reply = signed_in(alice).post(f"/deployments/{web.deployment_id}/start/", asked)
    assert reply.status_code == 400 and words in reply.text
    assert not Execution.objects.exists()


def execution_of(local, **more):
    return make.execution(local, **more)


def test_events_are_shown_by_level_and_by_text(signed_in, alice, web):
    execution = execution_of(web, workflow="greet")
    for kind, level, event_type, message in [
        ("cloudify_event", "", "workflow_started", "Starting greet"),
        ("cloudify_log", "info", "", "hello there"),
        ("cloudify_log", "error", "", "no such host"),
        ("cloudify_event", "", "task_failed", "Task failed"),
    ]:
        ExecutionEvent.objects.create(
            execution=execution, kind=kind, level=level, event_type=event_type, message=message,
            timestamp=execution.created_at,
        )  # fmt: skip
    client, address = signed_in(alice), reverse("execution", args=[web.deployment_id, execution.pk])
    assert all(text in client.get(address).text for text in ("Starting greet", "hello there", "no such host"))
    errors = client.get(f"{address}?level=error").text
    assert "no such host" in errors and "Task failed" in errors and "hello there" not in errors
    assert "Starting greet" not in errors
    found = client.get(f"{address}?q=hello").text
    assert "hello there" in found and "no such host" not in found


def test_an_execution_that_failed_offers_to_resume_and_one_that_ended_nothing(signed_in, alice, web):
    failed = execution_of(web, workflow="greet", state=Execution.State.FAILED, error="no such host")
    client = signed_in(alice)
    page = client.get(reverse("execution", args=[web.deployment_id, failed.pk])).text
    assert "Resume" in page and "no such host" in page and "End it harder" not in page
    done = execution_of(web, workflow="greet", state=Execution.State.TERMINATED)
    page = client.get(reverse("execution", args=[web.deployment_id, done.pk])).text
    assert "Resume" not in page and "Completed" in page


def test_cancel_asks_for_the_end(signed_in, alice, web):
    started = execution_of(web, workflow="greet", state=Execution.State.STARTED)
    address = reverse("execution-act", args=[web.deployment_id, started.pk, "cancel"])
    assert "Asked to end" in signed_in(alice).post(address, follow=True).text
    started.refresh_from_db()
    assert started.state == Execution.State.CANCELLING
    assert signed_in(alice).post(address.replace("cancel", "explode")).status_code == 404


def test_what_stands_is_deleted_only_with_its_id_typed(signed_in, alice, web):
    client, address = signed_in(alice), f"/deployments/{web.deployment_id}/delete/"
    assert "There are live nodes" in client.post(address, follow=True).text
    assert "exactly as it is written" in client.post(address, {"confirm": "wev"}, follow=True).text
    assert not Execution.objects.exists()
    assert "is being deleted" in client.post(address, {"confirm": "web"}, follow=True).text
    assert Execution.objects.get().parameters == {"force": True}


def test_a_viewer_sees_and_starts_nothing(signed_in, bob, web):
    client = signed_in(bob)
    page = client.get(f"/deployments/{web.deployment_id}/").text
    assert "Run a workflow" not in page and "Delete…" not in page
    assert client.post(f"/deployments/{web.deployment_id}/start/", {"workflow": "greet"}).status_code == 403


def test_what_others_have_is_not_there(signed_in, charlie, web):
    execution = execution_of(web, workflow="greet")
    client = signed_in(charlie)
    assert client.get(f"/deployments/{web.deployment_id}/").status_code == 404
    assert client.get(reverse("execution", args=[web.deployment_id, execution.pk])).status_code == 404
    assert client.get(f"/deployments/?below={web.deployment_id}").status_code == 404
    assert client.get(reverse("execution", args=[web.deployment_id, uuid.uuid4()])).status_code == 404
