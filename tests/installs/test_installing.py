"""Work on clusters as services: what keeps it from being begun, the digest that starts it, what a second start finds."""

from __future__ import annotations

import dataclasses
import datetime

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from accounts.errors import Conflict
from accounts.models import AuditEntry
from installs import installing
from installs.models import Certificate, ClusterRun
from installs.preflight.starting import start_preflight
from inventory import cluster_hosts, clusters
from inventory.cluster_secrets import secrets_of
from inventory.host_access import Access
from inventory.models import Cluster, ClusterNode
from runs import engine, plans
from runs.models import Event, Run, Step
from runs.services import cancel_run
from runs.states import FINAL_RUN_STATES
from tests import factories as people
from tests.installs import factories, layouts
from tests.installs.test_clusters import public_key
from tests.runs.drive import drive

pytestmark = pytest.mark.django_db
STEPS = 56  # of an install of three compact hosts, see golden/plan-compact.txt


@pytest.fixture
def by(acme):
    return factories.actor(acme)


@pytest.fixture
def cluster(acme, by, bundle):
    """Three compact hosts, of which nothing more is wanted before they are installed."""
    return ready_to_install(acme, by)


def ready_to_install(tenant, by, layout=None):
    made = factories.cluster(tenant, layout or layouts.compact())
    for node in made.nodes.all():
        cluster_hosts.trust_host_key(by=by, node=node, public_key=public_key())
    return Cluster.objects.with_hosts().get(pk=made.pk)


def begin(by, cluster, kind="install", **more):
    """Planned and started."""
    planned = installing.plan_work(by=by, cluster=cluster, kind=kind)
    return installing.start_work(by=by, cluster=cluster, kind=kind, **{"digest": planned.digest} | more)


def errors(by, cluster, kind="install"):
    found = installing.plan_work(by=by, cluster=fresh(cluster), kind=kind).findings
    return {(finding.rule, finding.host) for finding in found if finding.is_error}


def fresh(cluster):
    return Cluster.objects.with_hosts().get(pk=cluster.pk)


def end(run):
    """As if the engine had carried it out; no host is reached."""
    Run.objects.filter(pk=run.pk).update(state="succeeded", ended_at=timezone.now())


# --- planning ---


def test_a_plan_invents_what_is_missing_once_and_touches_no_host(by, cluster):
    planned = installing.plan_work(by=by, cluster=cluster, kind="install")
    assert planned.title == "Install trio" and planned.steps == STEPS and planned.findings == []
    secrets = {name: row.pk for name, row in secrets_of(cluster).items()}
    assert {"postgres", "admin", "vault_key"} <= set(secrets)
    assert Certificate.objects.filter(cluster=cluster, state="current").count() == 4
    again = installing.plan_work(by=by, cluster=cluster, kind="install")
    assert again == planned and secrets == {name: row.pk for name, row in secrets_of(cluster).items()}
    assert not Run.objects.exists() and not ClusterRun.objects.exists()


def test_reading_a_plan_writes_nothing(cluster, django_assert_max_num_queries):
    with django_assert_max_num_queries(12) as asked:
        planned = installing.read_plan(cluster, "install")
    assert planned.steps == STEPS and not secrets_of(cluster)
    assert all(query["sql"].startswith("SELECT") for query in asked.captured_queries)


def test_a_host_that_was_added_gets_its_certificate_from_the_next_plan(by, cluster):
    installing.plan_work(by=by, cluster=cluster, kind="install")
    cluster_hosts.add_host(by=by, cluster=cluster, host=layouts.bare("n4", 44, parts=cluster.layout().hosts[2].parts))
    told = errors(by, cluster)
    assert told == {("host_key", "n4")}, "the certificates of the new host are made, not complained about"
    assert Certificate.objects.filter(cluster=cluster, owner="n4", state="current").exists()


def test_what_is_wrong_is_told_and_keeps_it_from_being_started(by, acme, cluster, bundle):
    n1 = cluster.nodes.get(name="n1")
    n1.host_keys.all().delete()
    ClusterNode.objects.filter(cluster=cluster, name="n2").update(password=None)
    assert errors(by, cluster) == {("host_key", "n1"), ("credential", "n2")}
    with pytest.raises(ValidationError, match=r"The host key of n1 is not trusted yet.*n2 has no credential"):
        begin(by, fresh(cluster))
    assert not Run.objects.exists() and fresh(cluster).state == "planned"


def test_a_layout_with_errors_is_planned_without_inventing_anything(by, acme, bundle):
    cluster = ready_to_install(acme, by, layouts.ten(balancing="none", entrance=""))
    assert ("no-balancer", "") in errors(by, cluster) and not secrets_of(cluster)


def test_without_a_bundle_it_is_said_how_to_make_one(by, cluster, settings, tmp_path):
    settings.DATA_DIR = tmp_path / "elsewhere"
    (finding,) = installing.read_plan(cluster, "install").findings
    assert finding.message == "There is no bundle of packages for trixie."
    assert "manage.py bundle --release trixie" in finding.remedy and "bundles/trixie" in finding.remedy


def test_a_bundle_of_another_version_or_a_damaged_one_is_refused(by, cluster, bundle):
    dataclasses.replace(bundle, version="0" * 12).save()
    assert "another version" in installing.read_plan(cluster, "install").findings[0].message
    (bundle.folder / bundle.files[0].path).unlink()
    (finding,) = installing.read_plan(cluster, "install").findings
    assert finding.is_error and "missing or cut short" in finding.remedy


def test_a_check_and_an_uninstall_need_no_bundle(by, cluster, settings, tmp_path):
    settings.DATA_DIR = tmp_path / "elsewhere"
    assert installing.read_plan(cluster, "verify").findings == []
    assert installing.read_plan(cluster, "uninstall").findings == []


def test_other_work_is_not_known(by, cluster):
    for act in (
        lambda: installing.plan_work(by=by, cluster=cluster, kind="drill"),
        lambda: installing.start_work(by=by, cluster=cluster, kind="drill", digest=""),
    ):
        with pytest.raises(ValidationError, match="Choose one of: install, verify, uninstall, remove_host"):
            act()


# --- starting ---


def test_the_digest_of_the_plan_starts_it(by, cluster):
    started = begin(by, cluster)
    assert (started.kind, started.run.title, started.run.mode) == ("install", "Install trio", "apply")
    assert started.run.steps.count() == STEPS and fresh(cluster).state == "installing"
    entry = AuditEntry.objects.get(action="cluster.install")
    assert entry.after == {"run": started.run_id, "plan": started.run.plan.digest}


def test_a_plan_that_changed_since_is_refused_and_nothing_happens(by, cluster):
    planned = installing.plan_work(by=by, cluster=cluster, kind="install")
    clusters.change_cluster(by=by, cluster=cluster, balancing="theirs", entrance="lb.example.org")
    for node in cluster.nodes.all():
        parts = [part for part in node.parts if part != "balancer"]
        ClusterNode.objects.filter(pk=node.pk).update(parts=parts)
    with pytest.raises(Conflict, match="The plan has changed since it was shown"):
        installing.start_work(by=by, cluster=fresh(cluster), kind="install", digest=planned.digest)
    assert not Run.objects.exists() and fresh(cluster).state == "planned"
    begin(by, fresh(cluster))


def test_a_start_without_planning_makes_what_is_missing_as_well(by, cluster):
    digest = installing.read_plan(cluster, "install").digest
    installing.start_work(by=by, cluster=cluster, kind="install", digest=digest)
    assert "admin" in secrets_of(cluster)


def test_the_same_key_again_gives_what_it_started(by, cluster):
    started = begin(by, cluster, key="k-1")
    again = installing.start_work(by=by, cluster=cluster, kind="install", digest="outdated", key="k-1")
    assert again == started and Run.objects.count() == 1


def test_the_key_of_one_cluster_means_nothing_at_another(by, acme, cluster):
    other = ready_to_install(acme, by, dataclasses.replace(layouts.compact(), name="east"))
    assert begin(by, cluster, key="k-1").run != begin(by, other, key="k-1").run


def test_other_work_waits_until_the_first_has_ended(by, cluster):
    first = begin(by, cluster)
    with pytest.raises(Conflict, match=rf"Install trio has not ended \(run R-{first.run_id}\)"):
        begin(by, cluster, "verify")
    assert installing.active_run(cluster) == first
    end(first.run)
    assert installing.active_run(cluster) is None
    check = begin(by, fresh(cluster), "verify")
    assert check.run.mode == "check" and check.run.steps.count() == STEPS - 1, "the portal's rows are not looked at"


def test_a_preflight_is_kept_as_work_and_is_in_nobodys_way(by, cluster):
    run = start_preflight(by=by, cluster=cluster)
    kept = ClusterRun.objects.get(cluster=cluster)
    assert (kept.kind, kept.run) == ("preflight", run) and installing.active_run(cluster) is None
    begin(by, cluster)


def test_by_api_a_preflight_is_begun_once_and_reported_when_it_ended(by, cluster):
    headers = {"Authorization": f"Token {people.token(by.user)}", "Tenant": "acme"}
    address = "/api/v1/clusters/trio/preflight/"
    assert Client().get(address, headers=headers).status_code == 404
    first, again = (Client().post(address, headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200) and first.json() == again.json()
    step = Run.objects.get(pk=first.json()["run"]).steps.get()
    Event.objects.create(run=step.run, top=step.run, step=step, kind="preflight", message="", data={"findings": []})
    told = Client().get(address, headers=headers).json()
    assert (told["run"], told["findings"]) == (step.run_id, [])
    cluster.nodes.all().delete()
    end(step.run)
    assert Client().post(address, headers=headers).status_code == 409


def test_an_uninstall_removes_from_every_host_and_settles_the_rows(by, cluster):
    cluster.move("ready", only_from="planned")
    started = begin(by, cluster, "uninstall")
    assert fresh(cluster).state == "removing" and started.run.title == "Uninstall trio"
    told = list(started.run.steps.order_by("stage", "lane").values_list("operation", "args__host"))
    assert told == [("host.purge", "n1"), ("host.purge", "n2"), ("host.purge", "n3"), ("cluster.settle", None)]
    assert "admin" not in secrets_of(cluster), "nothing is invented to take it away"


def test_an_install_goes_on_from_an_uninstall_that_was_cancelled(by, cluster):
    cluster.move("ready", only_from="planned")
    first = begin(by, cluster, "uninstall")
    cancel_run(by=by, run=first.run)
    drive(first.run)
    assert first.run.state in FINAL_RUN_STATES and fresh(cluster).state == "removing"
    begin(by, fresh(cluster))
    assert fresh(cluster).state == "installing"


# --- how long it takes ---


def past(by, tenant, operations, *, mode="apply", state="succeeded"):
    """A run of long ago; {operation: seconds}."""
    plan = plans.store_plan("past", [])
    run = engine.start_run(plan=plan, digest=plan.digest, title="past", tenant=tenant, started_by=by.user, mode=mode)
    began = timezone.now() - datetime.timedelta(days=1)
    Step.objects.bulk_create(
        Step(
            run=run, stage=0, lane=0, position=position, operation=key, title=key, args={}, state=state,
            started_at=began, ended_at=began + datetime.timedelta(seconds=seconds),
        )
        for position, (key, seconds) in enumerate(operations)
    )  # fmt: skip


def test_nothing_is_estimated_before_anything_ran(cluster):
    planned = installing.read_plan(cluster, "install")
    assert (planned.seconds, planned.unknown) == (None, STEPS)


def test_an_estimate_adds_the_slowest_lanes_by_the_median_of_past_steps(by, acme, cluster):
    past(by, acme, [("host.packages", 100), ("host.packages", 140), ("host.packages", 900), ("etcd.configure", 7)])
    planned = installing.read_plan(cluster, "install")
    assert planned.seconds == pytest.approx(147, abs=0.01), "three hosts at once take as long as one"
    assert planned.unknown == STEPS - 6


def test_steps_that_failed_and_checks_that_only_looked_do_not_count_for_an_install(by, acme, cluster):
    past(by, acme, [("host.packages", 900)], state="failed")
    past(by, acme, [("host.packages", 3)], mode="check", state="skipped")
    assert installing.read_plan(cluster, "install").seconds is None
    assert installing.read_plan(cluster, "verify").seconds == pytest.approx(3, abs=0.01)


def test_a_cluster_without_hosts_is_estimated_too(by, acme, bundle):
    past(by, acme, [("cluster.settle", 2)])
    empty = factories.cluster(acme, dataclasses.replace(layouts.compact(), hosts=()), access=Access(user="root"))
    assert installing.read_plan(fresh(empty), "uninstall").seconds == pytest.approx(2, abs=0.01)
