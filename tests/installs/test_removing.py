"""Adding to and removing from a serving cluster as services, page and API: what refuses it, what starts it, what its rows say."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from accounts.errors import Conflict
from accounts.models import AuditEntry
from installs import installing
from installs.models import ClusterRun
from inventory import cluster_hosts
from inventory.layout import Part
from inventory.models import ClusterNode
from runs.models import Run, Step
from tests import factories as people
from tests.installs import factories, layouts
from tests.installs.test_clusters import public_key
from tests.installs.test_installing import begin, end, fresh, ready_to_install
from tests.installs.test_work_pages import form_of, page, words

pytestmark = pytest.mark.django_db
ALL = layouts.compact().hosts[2].parts


@pytest.fixture
def by(acme):
    return factories.actor(acme)


def serving(acme, by, layout):
    made = ready_to_install(acme, by, layout)
    made.nodes.update(state=ClusterNode.State.INSTALLED)
    made.move("ready", only_from="planned")
    return fresh(made)


@pytest.fixture
def cluster(acme, by, bundle):
    """Three compact hosts and a fourth, behind a balancer."""
    whole = layouts.compact(balancers=layouts.several("lb", 1, 30))
    extra = layouts.bare("n4", 14, parts=ALL)
    return serving(acme, by, replace(whole, hosts=(*whole.hosts[:3], extra, *whole.hosts[3:])))


@pytest.fixture
def browser(by):
    client = Client()
    client.force_login(by.user)
    return client


def api(by):
    return {"Authorization": f"Token {people.token(by.user)}", "Tenant": "acme"}


def added(by, cluster, name="n5", parts=ALL):
    node = cluster_hosts.add_host(by=by, cluster=cluster, host=layouts.bare(name, 45, parts=frozenset(parts)))
    cluster_hosts.trust_host_key(by=by, node=node, public_key=public_key())
    return node


# --- adding ---


def test_a_host_that_is_described_is_let_in_by_the_next_plan_and_only_then_rendered(by, cluster):
    added(by, cluster)
    assert "n5" not in [host.name for host in fresh(cluster).layout_at_work().hosts]
    started = begin(by, fresh(cluster))
    assert (started.kind, started.host, started.run.title) == ("add_host", "n5", "Add n5 to trio")
    assert fresh(cluster).nodes.get(name="n5").state == "joining" and fresh(cluster).state == "ready"
    assert "n5" in [host.name for host in fresh(cluster).layout_at_work().hosts]
    keys = list(
        started.run.steps.filter(args__host="n5").order_by("stage", "position").values_list("operation", flat=True)
    )
    assert {"etcd.join", "rabbitmq.admit", "rabbitmq.join", "rabbitmq.grow"} <= set(keys)
    asked = begin_again(by, cluster, started)
    assert asked.run.steps.filter(operation="etcd.join", args__host="n5").exists(), "a failed try is gone on with"


def begin_again(by, cluster, started):
    Run.objects.filter(pk=started.run_id).update(state="failed")
    return begin(by, fresh(cluster))


def test_a_check_of_a_serving_cluster_leaves_out_who_is_described_alone(by, cluster):
    added(by, cluster)
    hosts = {one["args"]["host"] for stage in installing.read_plan(fresh(cluster), "verify").stages for lane in stage["lanes"] for one in lane["operations"]}  # fmt: skip
    assert hosts == {"n1", "n2", "n3", "n4", "lb1"}


def test_the_steps_of_a_new_host_are_marked_on_the_page_and_by_api(by, cluster, browser):
    added(by, cluster)
    plan = browser.post("/api/v1/clusters/trio/plan/", {"kind": "install"}, headers=api(by)).json()
    marks = {one["args"].get("host"): one["expected"] for stage in plan["stages"] for lane in stage["lanes"] for one in lane["operations"]}  # fmt: skip
    assert marks["n5"] == "new" and marks["n1"] == "" and plan["title"] == "Add n5 to trio"
    told = words(page(browser, f"/clusters/{cluster.pk}/plan/install/"))
    assert re.search(r"Install the packages of n5 new", told) and "the other steps look, and follow" in told


def test_after_a_check_the_plan_says_what_it_found_until_something_changes(by, cluster, browser):
    started = begin(by, cluster, "verify")
    Step.objects.filter(run=started.run).update(state="skipped")
    Step.objects.filter(run=started.run, operation="host.names", args__host="n1").update(state="failed")
    end(started.run)
    told = words(page(browser, f"/clusters/{cluster.pk}/plan/install/"))
    assert "Set the names of hosts on n1 differs" in told and "Set the names of hosts on n2 as wanted" in told
    assert f"by R-{started.run_id} of" in told
    AuditEntry.objects.create(
        chain="acme", sequence=99999, at=started.run.created_at.replace(year=2100), actor="mara", action="cluster.change",
        object_type="cluster", object_id="1", previous_hash="", hash="",
    )  # fmt: skip
    assert "as wanted" not in words(page(browser, f"/clusters/{cluster.pk}/plan/install/")).replace("is as wanted", "")


def test_an_installed_host_keeps_address_and_parts(by, cluster):
    node = cluster.nodes.get(name="n1")
    for changes, said in (
        ({"private_address": "10.0.0.99"}, "know it by"),
        ({"parts": frozenset({Part.ETCD})}, "parts stay"),
    ):
        with pytest.raises(Conflict, match=said):
            cluster_hosts.change_host(by=by, node=node, host=replace(node.host(), **changes))
    cluster_hosts.change_host(by=by, node=node, host=replace(node.host(), machine="rack-2"))


# --- what refuses a removal ---


def refusals(cluster, host, is_lost=False):
    found = installing.read_plan(fresh(cluster), "remove_host", host, is_lost).findings
    return {finding.rule for finding in found if finding.is_error}, found


def test_a_removal_that_leaves_two_votes_is_refused_with_what_to_do_and_that_of_a_lost_host_is_warned_of(by, cluster):
    assert refusals(cluster, "n4")[0] == set()
    cluster.nodes.get(name="n4").delete()
    rules, found = refusals(cluster, "n1")
    assert rules == {"even-etcd"}
    said = next(finding.sentence for finding in found if finding.is_error)
    assert (
        said.startswith("Without n1: Two etcd members")
        and "Add a host that takes its place first, then remove n1." in said
    )
    rules, found = refusals(cluster, "n1", is_lost=True)
    assert rules == set() and {"even-etcd", "lost-host"} <= {finding.rule for finding in found}


@pytest.mark.parametrize(("host", "rule"), [("lb1", "no-balancer"), ("mg1", "no-manager")])
def test_the_last_of_a_part_is_not_removed_not_even_as_lost(acme, by, bundle, host, rule):
    cluster = serving(acme, by, layouts.ten(managers=layouts.several("mg", 1, 17)))
    assert rule in refusals(cluster, host)[0] and rule in refusals(cluster, host, is_lost=True)[0]


def test_a_host_that_was_described_alone_does_not_stand_in_for_one_that_goes(by, cluster):
    cluster.nodes.filter(name="n4").update(state="planned")
    assert refusals(cluster, "n1")[0] == {"even-etcd"}


def test_an_error_that_was_there_before_keeps_nobody_in(by, cluster):
    cluster.nodes.filter(name__in=["n2", "n3"]).update(machine="rack-1")
    cluster.nodes.filter(name="n1").update(private_address="fd00::1")
    assert "mixed-families" not in refusals(cluster, "n4")[0]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"kind": "remove_host"}, "has no host of that name"),
        ({"kind": "remove_host", "host": "n9"}, "has no host n9"),
        ({"kind": "verify", "host": "n1"}, "Only the removal of a host names one"),
    ],
)
def test_a_removal_names_a_host_that_is_there_and_other_work_none(by, cluster, asked, said):
    with pytest.raises(ValidationError, match=said):
        installing.plan_work(by=by, cluster=cluster, **asked)


def test_what_nothing_is_installed_on_is_taken_out_of_the_description_instead(by, cluster):
    added(by, cluster)
    with pytest.raises(ValidationError, match="take it out of the description"):
        installing.read_plan(fresh(cluster), "remove_host", "n5")
    cluster_hosts.remove_host(by=by, node=cluster.nodes.get(name="n5"))


def test_a_lost_host_needs_neither_key_nor_credential(by, cluster):
    node = cluster.nodes.get(name="n4")
    node.host_keys.all().delete()
    assert refusals(cluster, "n4")[0] == {"host_key"} and refusals(cluster, "n4", is_lost=True)[0] == set()


# --- starting one ---


def test_a_removal_is_started_by_its_digest_and_nothing_is_rendered_for_the_host_any_more(by, cluster):
    planned = installing.plan_work(by=by, cluster=cluster, kind="remove_host", host="n1")
    started = installing.start_work(by=by, cluster=cluster, kind="remove_host", host="n1", digest=planned.digest)
    assert (started.kind, started.host, started.run.title) == ("remove_host", "n1", "Remove n1 from trio")
    now = fresh(cluster)
    assert now.nodes.get(name="n1").state == "leaving" and "n1" not in [
        host.name for host in now.layout_at_work().hosts
    ]
    assert AuditEntry.objects.get(action="cluster.remove_host").after["host"] == "n1"
    assert started.run.steps.filter(operation="host.purge", args__host="n1").exists()
    end(started.run)
    again = installing.plan_work(by=by, cluster=fresh(cluster), kind="remove_host", host="n1", is_lost=True)
    assert again.title == "Remove n1, which is lost, from trio" and again.digest != planned.digest


def test_by_api_a_removal_is_planned_and_started(by, cluster):
    client, asked = Client(), {"kind": "remove_host", "host": "n2"}
    plan = client.post("/api/v1/clusters/trio/plan/", asked, "application/json", headers=api(by)).json()
    marks = {one["args"].get("leaving") or one["args"].get("host"): one["expected"] for stage in plan["stages"] for lane in stage["lanes"] for one in lane["operations"]}  # fmt: skip
    assert marks["n2"] == "leaves" and marks["n1"] == ""
    asked["digest"] = plan["digest"]
    reply = client.post("/api/v1/clusters/trio/runs/", asked, "application/json", headers=api(by))
    assert reply.status_code == 201 and (reply.json()["kind"], reply.json()["host"]) == ("remove_host", "n2")


def test_the_page_of_an_installed_host_leads_to_the_plan_of_its_removal(by, cluster, browser):
    node = cluster.nodes.get(name="n3")
    address = f"/clusters/{cluster.pk}/hosts/{node.pk}/leave/"
    assert f'href="{address}"' in page(browser, f"/clusters/{cluster.pk}/hosts/{node.pk}/")
    shown = page(browser, address)
    assert "Remove n3 from trio" in shown and 'href="?lost=1"' in shown
    lost = page(browser, f"{address}?lost=1")
    assert "Nothing is asked of the lost host" in lost and "Remove everything of the cluster from n3" not in lost
    reply = browser.post(f"{address}?lost=1", form_of(lost))
    run = ClusterRun.objects.get().run
    assert reply["Location"] == f"/runs/{run.pk}/" and run.title == "Remove n3, which is lost, from trio"


def test_a_plan_that_is_another_by_now_is_shown_anew(by, cluster, browser):
    node = cluster.nodes.get(name="n3")
    address = f"/clusters/{cluster.pk}/hosts/{node.pk}/leave/"
    sent = form_of(page(browser, address))
    cluster.nodes.filter(name="n4").update(parts=["manager"])
    reply = browser.post(address, sent)
    assert reply.status_code == 409 and not ClusterRun.objects.exists()


def test_the_page_of_a_host_that_is_described_alone_leads_back(by, cluster, browser):
    node = added(by, cluster)
    reply = browser.get(f"/clusters/{cluster.pk}/hosts/{node.pk}/leave/")
    assert reply["Location"] == f"/clusters/{cluster.pk}/hosts/{node.pk}/"


def test_a_viewer_sees_the_plan_of_a_removal_and_starts_nothing(by, cluster, bob):
    client = Client()
    client.force_login(bob)
    node = cluster.nodes.get(name="n3")
    address = f"/clusters/{cluster.pk}/hosts/{node.pk}/leave/"
    assert "Off for you" in page(client, address)
    assert client.post(address, {"digest": "x"}).status_code == 403


def test_a_host_on_its_way_is_told_on_the_page_of_the_cluster(by, cluster, browser):
    cluster.nodes.filter(name="n4").update(state="leaving")
    assert "Being removed" in page(browser, f"/clusters/{cluster.pk}/")
