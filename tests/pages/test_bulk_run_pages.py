"""Pages that run one workflow on many deployments, delete many, and show how far that is."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from inventory.models import Deployment
from orchestration import bulk_runs
from orchestration.dependency_models import Dependency
from orchestration.models import Execution, ExecutionGroup
from tests.inventory import factories as inventory
from tests.orchestration import factories as make

pytestmark = pytest.mark.django_db
State = Execution.State


@pytest.fixture
def three(acme, alice):
    return [make.local(acme, name, instances=("started",), by=alice) for name in ("web1", "web2", "web3")]


def keys(rows):
    return ",".join(str(row.deployment_id) for row in rows)


def digest_in(page):
    return re.search(r'name="shown" value="(\w*)"', page)[1]


def run(client, rows, workflow="greet", **posted):
    """Preview, then start what was shown; the last reply."""
    address = f"/deployments/workflow/?deployments={keys(rows)}&workflow={workflow}"
    asked = {"concurrency": 5, **posted}
    preview = client.post(address, asked)
    return preview, client.post(address, {**asked, "what": "start", "shown": digest_in(preview.text)}, follow=True)


def test_what_was_ticked_is_carried_to_the_page_of_the_act(signed_in, alice, three):
    client = signed_in(alice)
    reply = client.post("/deployments/act/", {"what": "workflow", "selected": [row.deployment_id for row in three[:2]]})
    assert reply["Location"] == f"/deployments/workflow/?deployments={keys(three[:2])}"
    reply = client.post("/deployments/act/?q=web&page=3", {"what": "uninstall", "all": "1"})
    assert reply["Location"] == "/deployments/uninstall/?q=web"
    assert "tick the deployments first" in client.post("/deployments/act/", {"what": "workflow"}, follow=True).text


def test_all_that_match_a_filter_are_meant(signed_in, alice, three, acme):
    make.local(acme, "other", by=alice)
    page = signed_in(alice).get("/deployments/workflow/?q=web").text
    assert "Run a workflow on 3 deployments" in page and "web3" in page and "other" not in page


def test_workflows_that_some_lack_say_so(signed_in, alice, three, acme):
    plan = {**make.PLAN, "workflows": {**make.PLAN["workflows"], "rare": {"operation": "x.rare", "parameters": {}}}}
    three[0].plan = plan
    three[0].save()
    page = signed_in(alice).get(f"/deployments/workflow/?deployments={keys(three)}").text
    assert "rare (1 of 3 have it)" in page and ">greet</option>" in page
    page = (
        signed_in(alice)
        .post(f"/deployments/workflow/?deployments={keys(three)}&workflow=rare", {"concurrency": 1})
        .text
    )
    assert "It has no workflow rare." in page and "Start rare on 1" in page


def test_a_preview_starts_nothing_and_names_what_is_left_out_with_the_reason(signed_in, alice, three, acme):
    make.execution(three[0], "install", State.STARTED)
    edge = inventory.environment(acme, "edge")
    address = f"/deployments/workflow/?deployments={keys(three)},{edge.deployment_id}&workflow=greet"
    page = signed_in(alice).post(address, {"concurrency": 5, "value:name": "Ada"}).text
    assert "Another execution is under way: install." in page
    assert "It is an exposed environment" in page
    assert "Start greet on 2" in page
    assert Execution.objects.count() == 1 and not ExecutionGroup.objects.exists()


def test_a_workflow_that_is_not_available_is_left_out_unless_forced(signed_in, alice, three):
    address = f"/deployments/workflow/?deployments={keys(three)}&workflow=install"
    client = signed_in(alice)
    page = client.post(address, {"concurrency": 5}).text
    assert "install is not available in its state: its instances are started." in page and "Nothing would begin" in page
    assert "Start install on 3" in client.post(address, {"concurrency": 5, "force": "on"}).text


def test_start_makes_an_execution_group_of_exactly_those(signed_in, alice, three):
    _, reply = run(signed_in(alice), three, **{"value:name": "Ada", "concurrency": 2})
    group = ExecutionGroup.objects.get()
    assert reply.redirect_chain[-1][0] == reverse("execution-group", args=[group.pk])
    assert (group.workflow, group.concurrency, group.deployment_group, group.created_by) == ("greet", 2, None, alice)
    rows = list(group.executions.order_by("local__deployment__wire_id"))
    assert [row.local.deployment.wire_id for row in rows] == ["web1", "web2", "web3"]
    assert all(row.parameters == {"name": "Ada", "times": 1} for row in rows)
    assert sorted(row.state for row in rows) == ["pending", "pending", "queued"]
    assert group.run.max_parallel == 2
    assert "greet on 3 deployments" in reply.text and "0 of 3 ended" in reply.text and ">web1<" in reply.text


def test_nothing_is_started_that_is_not_what_was_looked_at(signed_in, alice, three):
    client = signed_in(alice)
    address = f"/deployments/workflow/?deployments={keys(three)}&workflow=greet"
    asked = {"concurrency": 5, "value:name": "Ada"}
    shown = digest_in(client.post(address, asked).text)
    make.execution(three[2], "install", State.STARTED)
    page = client.post(address, {**asked, "what": "start", "shown": shown}).text
    assert "not what you looked at any more" in page and "Start greet on 2" in page
    assert (
        "not what you looked at"
        in client.post(address, {**asked, "value:name": "Eve", "what": "start", "shown": shown}).text
    )
    assert not ExecutionGroup.objects.exists()


def test_a_start_that_is_sent_twice_starts_once(signed_in, alice, three):
    client = signed_in(alice)
    preview, _ = run(client, three, **{"value:name": "Ada"})
    address = f"/deployments/workflow/?deployments={keys(three)}&workflow=greet"
    asked = {"concurrency": 5, "value:name": "Ada", "what": "start", "shown": digest_in(preview.text)}
    assert "not what you looked at" in client.post(address, asked).text
    assert ExecutionGroup.objects.count() == 1


def test_parameters_are_checked_before_anything_is_previewed(signed_in, alice, three):
    client = signed_in(alice)
    address = f"/deployments/workflow/?deployments={keys(three)}&workflow=greet"
    reply = client.post(address, {"concurrency": 5})
    assert reply.status_code == 400 and "the blueprint has none of its own" in reply.text
    reply = client.post(address, {"concurrency": 5, "value:name": "Ada", "value:times": "many"})
    assert reply.status_code == 400 and "Enter a whole number" in reply.text
    assert client.post(address, {"concurrency": 1001, "value:name": "Ada"}).status_code == 400


def test_the_group_shows_counts_and_the_first_line_of_an_error_worst_first(signed_in, alice, three):
    client = signed_in(alice)
    run(client, three, **{"value:name": "Ada"})
    group = ExecutionGroup.objects.get()
    failed = group.executions.get(local=three[1])
    Execution.objects.filter(pk=failed.pk).update(state=State.FAILED, error="No such host: web2\nTraceback: deep")
    Execution.objects.filter(local=three[0]).update(state=State.TERMINATED)
    address = reverse("execution-group", args=[group.pk])
    page = client.get(address).text
    assert "No such host: web2" in page and "Traceback" not in page and "2 of 3 ended" in page
    table = page.split("<tbody>")[1]
    assert table.index(">web2<") < table.index(">web3<") < table.index(">web1<")
    only = client.get(f"{address}?state=failed").text.split("<tbody>")[1]
    assert ">web2<" in only and ">web1<" not in only
    part = client.get(address, headers={"HX-Request": "true"}).text
    assert part.startswith('<div id="progress"') and 'hx-trigger="every 2s"' in part and "<html" not in part


def test_a_group_is_paused_paced_cancelled_and_resumed(signed_in, alice, three):
    client = signed_in(alice)
    run(client, three, **{"value:name": "Ada"})
    group = ExecutionGroup.objects.get()

    def act(verb, **more):
        return client.post(reverse("execution-group-act", args=[group.pk, verb]), more, follow=True).text

    assert "nothing more begins" in act("concurrency", concurrency=0)
    group.refresh_from_db()
    assert group.concurrency == 0 and group.run.is_pause_requested
    assert "7 at once from now on" in act("concurrency", concurrency=7)
    assert "Nothing was changed" in act("concurrency", concurrency=-1)
    assert "Asked to end" in act("cancel")
    assert set(group.executions.values_list("state", flat=True)) <= {"cancelled", "cancelling"}
    group.executions.update(state=State.CANCELLED)
    assert "Nothing is left to cancel" in act("cancel")
    assert "Resumed" in act("resume")
    assert set(group.executions.values_list("state", flat=True)) == {"pending"}
    assert client.post(reverse("execution-group-act", args=[group.pk, "explode"])).status_code == 404


def test_those_that_failed_are_chosen_again_by_their_group(signed_in, alice, three):
    client = signed_in(alice)
    run(client, three, **{"value:name": "Ada"})
    group = ExecutionGroup.objects.get()
    group.executions.update(state=State.TERMINATED)
    group.executions.filter(local=three[1]).update(state=State.FAILED)
    page = client.get(f"/deployments/workflow/?executions={group.pk}&state=failed&workflow=greet").text
    assert "greet on 1 deployment<" in page and "web2" in page
    assert f"?executions={group.pk}&amp;state=failed" in client.get(f"/execution-groups/{group.pk}/").text


def test_the_list_of_groups_tells_progress(signed_in, alice, three):
    client = signed_in(alice)
    assert "No workflow ran on many yet" in client.get("/execution-groups/").text
    run(client, three, **{"value:name": "Ada"})
    ExecutionGroup.objects.get().executions.filter(local=three[0]).update(state=State.FAILED)
    page = client.get("/execution-groups/").text
    assert ">greet<" in page and "1 failed" in page and "1 of 3" in page
    assert "No execution group matches" in client.get("/execution-groups/?q=nosuch").text


def test_environments_lead_to_what_stands_on_them_or_to_themselves(signed_in, alice, acme, three):
    edge = inventory.environment(acme, "edge")
    Deployment.objects.filter(pk=three[0].deployment_id).update(parent=edge.deployment)
    Deployment.objects.filter(pk=three[1].deployment_id).update(parent=three[0].deployment)
    client = signed_in(alice)
    reply = client.post("/environments/act/", {"what": "workflow", "selected": [edge.pk]})
    assert reply["Location"] == f"/deployments/workflow/?environments={edge.pk}"
    page = client.get(reply["Location"]).text
    assert "on 2 deployments" in page and "web1" in page and "web2" in page and "web3" not in page
    page = client.get(reply["Location"] + "&part=self").text
    assert "on 1 deployment<" in page and ">edge<" in page
    reply = client.post("/environments/act/?q=edge&page=2", {"what": "workflow", "all": "1"})
    assert reply["Location"] == "/deployments/workflow/?q=edge&of=environments"
    assert "on 2 deployments" in client.get(reply["Location"]).text


def test_what_something_stands_on_is_uninstalled_after_it_and_not_without_it(signed_in, alice, three):
    Deployment.objects.filter(pk=three[1].deployment_id).update(parent=three[0].deployment)
    address = f"/deployments/workflow/?deployments={keys(three)}&workflow=uninstall"
    page = signed_in(alice).post(address, {"concurrency": 5}).text
    assert "Start uninstall on 3" in page and re.search(r"web2, web3</span></li><li>.*?web1", page)
    page = signed_in(alice).post(address.replace(keys(three), keys([three[0], three[2]])), {"concurrency": 5}).text
    assert "Uninstall and remove what stands on it first: web2." in page and "Start uninstall on 1" in page


def test_a_viewer_looks_and_starts_nothing(signed_in, alice, bob, three):
    run(signed_in(alice), three, **{"value:name": "Ada"})
    group = ExecutionGroup.objects.get()
    client = signed_in(bob)
    page = client.get("/deployments/").text
    assert "Run a workflow on" not in page and 'name="selected"' not in page
    page = client.get(f"/execution-groups/{group.pk}/").text
    assert "0 of 3 ended" in page and "Cancel greet" not in page and "At once (0" not in page
    for address in (
        f"/deployments/workflow/?deployments={keys(three)}",
        f"/deployments/delete/?deployments={keys(three)}",
    ):
        assert client.get(address).status_code == 403
    assert client.post(reverse("execution-group-act", args=[group.pk, "cancel"])).status_code == 403


def test_an_outsider_finds_nothing(signed_in, alice, charlie, three):
    run(signed_in(alice), three, **{"value:name": "Ada"})
    group = ExecutionGroup.objects.get()
    client = signed_in(charlie)
    assert client.get(f"/execution-groups/{group.pk}/").status_code == 404
    assert client.post(reverse("execution-group-act", args=[group.pk, "cancel"])).status_code == 404
    assert ">greet<" not in client.get("/execution-groups/").text
    reply = client.get(f"/deployments/workflow/?deployments={keys(three)}", follow=True)
    assert "there is no such deployment" in reply.text
    reply = client.get(f"/deployments/workflow/?executions={group.pk}", follow=True)
    assert "there is no such deployment" in reply.text
    assert client.get(f"/deployments/workflow/?below={three[0].deployment_id}").status_code == 404


def test_a_private_deployment_of_another_is_not_among_all_that_match(signed_in, alice, acme, three):
    Deployment.objects.filter(pk=three[0].deployment_id).update(visibility="private", created_by=None)
    assert "on 2 deployments" in signed_in(alice).get("/deployments/workflow/?q=web").text


def test_a_preview_asks_the_database_as_often_for_few_as_for_many(acme, alice, django_assert_max_num_queries):
    rows = [make.local(acme, instances=("started",), by=alice).deployment for _ in range(30)]
    wish = bulk_runs.Wish("greet", {"name": "Ada"})
    for some in (rows[:3], rows):
        with django_assert_max_num_queries(6):
            assert len(bulk_runs.preview(rows=some, tenant=acme, wish=wish).acting) == len(some)


class TestDeletion:
    @pytest.fixture
    def gone(self, acme, alice):
        return [make.local(acme, name, instances=("deleted",), by=alice) for name in ("old1", "old2", "old3")]

    def test_what_is_installed_or_stood_on_stays_and_the_page_says_why(self, signed_in, alice, three, gone):
        Deployment.objects.filter(pk=three[1].deployment_id).update(parent=gone[0].deployment)
        Deployment.objects.filter(pk=gone[0].deployment_id).update(parent=gone[1].deployment)
        page = signed_in(alice).get(f"/deployments/delete/?deployments={keys([*three, *gone])}").text
        assert "Delete 1 of 6" in page
        assert "It is installed: its instances are started. Uninstall it first." in page
        assert "These stand on it or depend on it, and would stay: web2." in page
        assert "These stand on it or depend on it, and would stay: old1." in page

    def test_what_another_one_uses_stays(self, signed_in, alice, three, gone):
        Dependency.objects.create(source=three[0].deployment, target=gone[0].deployment, creator="capabilities.x")
        page = signed_in(alice).get(f"/deployments/delete/?deployments={keys(gone)}").text
        assert "These stand on it or depend on it, and would stay: web1." in page and "Delete 2 of 3" in page

    def test_children_go_before_their_parents(self, signed_in, alice, gone):
        Deployment.objects.filter(pk=gone[2].deployment_id).update(parent=gone[0].deployment)
        client, address = signed_in(alice), f"/deployments/delete/?deployments={keys(gone)}"
        shown = digest_in(client.get(address).text)
        page = client.post(address, {"what": "start", "shown": shown}, follow=True).text
        group = ExecutionGroup.objects.get()
        assert group.workflow == "delete_deployment_environment" and "on 3 deployments" in page
        first = group.executions.order_by("run__position").first()
        assert first.local == gone[2] and group.run.max_parallel == 1

    def test_force_is_a_choice_of_its_own_and_names_what_stays_behind(self, signed_in, alice, three, gone):
        Deployment.objects.filter(pk=three[1].deployment_id).update(parent=gone[0].deployment)
        client, address = signed_in(alice), f"/deployments/delete/?deployments={gone[0].deployment_id}"
        plain = client.get(address).text
        assert "Nothing would begin" in plain
        forced = client.post(address, {"what": "preview", "force": "on"}).text
        assert "Force the deletion of 1" in forced and "(web2)" in forced
        assert (
            "not what you looked at"
            in client.post(address, {"what": "start", "force": "on", "shown": digest_in(plain)}).text
        )
        assert not ExecutionGroup.objects.exists()
        client.post(address, {"what": "start", "force": "on", "shown": digest_in(forced)})
        assert ExecutionGroup.objects.get().executions.get().parameters == {"force": True}

    def test_a_creation_that_failed_is_deleted(self, signed_in, alice, gone):
        made = make.execution(gone[0], "create_deployment_environment", State.FAILED)
        gone[0].create_execution = str(made.pk)
        gone[0].save()
        assert "Delete 3 of 3" in signed_in(alice).get(f"/deployments/delete/?deployments={keys(gone)}").text
