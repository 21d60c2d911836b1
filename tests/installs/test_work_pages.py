"""Pages of work on clusters: what is offered, the plan as it is read, and what a start makes of it."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from installs.installing import read_plan
from installs.models import ClusterRun
from inventory.models import Cluster, ClusterNode
from runs.models import Run
from tests.installs import factories, layouts
from tests.installs.test_cluster_pages import page, posted
from tests.installs.test_installing import end, fresh, past, ready_to_install

pytestmark = pytest.mark.django_db
STEPS = 56  # of an install of three compact hosts


@pytest.fixture
def browser(mara):
    """Her session."""
    client = Client()
    client.force_login(mara.user)
    return client


@pytest.fixture
def cluster(acme, mara, bundle):
    return ready_to_install(acme, mara)


@pytest.fixture
def viewer(bob):
    client = Client()
    client.force_login(bob)
    return client


def at(cluster, tail=""):
    return f"/clusters/{cluster.pk}/{tail}"


def words(text):
    """What stands on the page, without tags, in one line."""
    main = text[text.index("<main") :]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", main))


def card(client, cluster):
    text = page(client, at(cluster))
    begin = text.index('id="work"')
    return text[begin : text.index("</section>", begin)]


def form_of(text):
    """What the form of Start would send."""
    return dict(re.findall(r'<input type="hidden" name="(digest|key)" value="([^"]+)"', text))


def start(client, cluster, kind="install", **more):
    data = form_of(page(client, at(cluster, f"plan/{kind}/"))) | more
    return client.post(at(cluster, f"plan/{kind}/"), data), data


# --- the card ---


def test_a_cluster_that_is_not_built_offers_preflight_and_plan(browser, cluster):
    shown = card(browser, cluster)
    assert "Preflight" in shown and "Plan install" in shown and "Nothing was done on its hosts yet" in shown
    assert "Uninstall" not in shown and "Verify" not in shown


def test_a_cluster_that_is_built_offers_changes_a_check_and_an_uninstall(browser, cluster):
    cluster.move("ready", only_from="planned")
    shown = card(browser, cluster)
    assert all(each in shown for each in ("Preflight", "Plan changes", "Verify", "Uninstall…"))
    assert "data-dialog" not in shown, "all of it works without scripts"


def test_what_was_done_is_listed_with_state_person_and_run(browser, cluster, mara):
    reply, _ = start(browser, cluster)
    run = ClusterRun.objects.get().run
    Run.objects.filter(pk=run.pk).update(state="failed", why="n1 is not there: check its address.")
    shown = card(browser, cluster)
    assert reply["Location"] == f"/runs/{run.pk}/" and f'href="/runs/{run.pk}/"' in shown
    assert all(each in shown for each in (f"R-{run.pk}", "Install", "Failed", "n1 is not there", "mara"))


def test_a_viewer_sees_what_was_done_and_is_offered_nothing(browser, viewer, cluster):
    start(browser, cluster)
    shown = card(viewer, cluster)
    assert "R-" in shown and "<form" not in shown and "Plan" not in shown
    assert "Off for you: managers of this tenant may start it" in page(viewer, at(cluster, "plan/install/"))
    for tail in ("plan/", "preflight/", "plan/install/", "plan/uninstall/"):
        assert viewer.post(at(cluster, tail), {"name": cluster.name}).status_code == 403
    assert ClusterRun.objects.count() == 1


# --- the plan ---


def test_planning_makes_what_is_missing_and_shows_stages_lanes_and_steps(browser, cluster):
    reply = browser.post(at(cluster, "plan/"))
    assert reply["Location"] == at(cluster, "plan/install/") and cluster.cluster_secrets.exists()
    shown = page(browser, reply["Location"])
    stages = re.findall(r'id="stage-\d"><span class="sub num">(\d)</span> ([\w ,]+)</h2>', shown)
    assert [title for _, title in stages] == [stage["title"] for stage in read_plan(cluster, "install").stages]
    assert "12 steps in 3 lanes side by side" in shown and "Push packages to n2" in shown
    assert f"Start: {STEPS} steps" in words(shown) and "No estimate yet" in shown


def test_looking_at_a_plan_writes_nothing(browser, cluster):
    page(browser, at(cluster, "plan/install/"))
    assert not cluster.cluster_secrets.exists() and not cluster.certificates.exists()


def test_a_plan_of_ten_hosts_has_every_step_under_its_host(browser, acme, mara, bundle):
    cluster = ready_to_install(acme, mara, layouts.ten())
    shown = page(browser, at(cluster, "plan/install/"))
    planned = read_plan(cluster, "install")
    assert shown.count('<li class="any">') == planned.steps > 70
    assert all(f"<h3>{host.name}</h3>" in shown for host in cluster.layout().hosts)
    assert "in 10 lanes side by side" in shown


def test_how_long_it_takes_is_said_by_what_such_steps_took(browser, acme, mara, cluster):
    past(mara, acme, [("host.packages", 240)])
    assert (
        f"About 4 minutes, by what such steps took before, without {STEPS - 3} that never ran here."
        in page(browser, at(cluster, "plan/install/"))
    )  # fmt: skip


def test_errors_keep_start_off_and_are_told_with_what_to_do(browser, cluster):
    ClusterNode.objects.get(cluster=cluster, name="n1").host_keys.all().delete()
    shown = words(page(browser, at(cluster, "plan/install/")))
    assert "The host key of n1 is not trusted yet. Look at its key" in shown
    assert "Off until the error is gone" in shown and "Start: " not in shown
    reply, _ = start(browser, cluster)
    assert reply.status_code == 409 and "Nothing was started. Something keeps it" in words(reply.text)
    assert not Run.objects.exists()


def test_what_is_only_worth_knowing_keeps_nothing_off(browser, acme, mara, bundle):
    cluster = ready_to_install(acme, mara, layouts.ten())
    shown = words(page(browser, at(cluster, "plan/install/")))
    assert "What to know before" in shown and "A single balancer" in shown and "Start: " in shown


# --- starting ---


def test_start_begins_what_was_shown_and_leads_to_its_run(browser, cluster):
    reply, data = start(browser, cluster)
    run = Run.objects.get()
    assert reply["Location"] == f"/runs/{run.pk}/" and run.plan.digest == data["digest"]
    assert "Install trio" in page(browser, reply["Location"]) and fresh(cluster).state == "installing"


def test_a_form_that_is_sent_twice_starts_once(browser, cluster):
    reply, data = start(browser, cluster)
    again = browser.post(at(cluster, "plan/install/"), data)
    assert again["Location"] == reply["Location"] and Run.objects.count() == 1


def test_a_plan_that_changed_meanwhile_is_shown_anew_and_started_then(browser, cluster):
    data = form_of(page(browser, at(cluster, "plan/install/")))
    Cluster.objects.filter(pk=cluster.pk).update(name="trio2")
    reply = browser.post(at(cluster, "plan/install/"), data)
    assert reply.status_code == 409 and not Run.objects.exists()
    assert "The plan has changed since it was shown. Below is the new plan." in words(reply.text)
    fresh_form = form_of(reply.text)
    assert fresh_form["digest"] != data["digest"] and fresh_form["key"] == data["key"]
    assert browser.post(at(cluster, "plan/install/"), fresh_form).status_code == 302


def test_while_other_work_goes_on_start_is_off_and_leads_there(browser, cluster):
    data = form_of(page(browser, at(cluster, "plan/install/"))) | {"key": "another"}
    reply, _ = start(browser, cluster)
    shown = words(page(browser, at(cluster, "plan/verify/")))
    assert "Off until other work has ended" in shown and "Install trio has not ended" in shown
    assert reply["Location"] in page(browser, at(cluster, "plan/verify/"))
    late = browser.post(at(cluster, "plan/install/"), data)
    assert late.status_code == 409 and "Install trio has not ended (run R-" in words(late.text)


def test_a_check_changes_nothing_and_says_so(browser, cluster):
    cluster.move("ready", only_from="planned")
    assert "changes nothing" in page(browser, at(cluster, "plan/verify/"))
    start(browser, cluster, "verify")
    assert Run.objects.get().mode == "check" and fresh(cluster).state == "ready"


def test_an_uninstall_says_what_is_lost_and_wants_the_name_typed(browser, cluster):
    cluster.move("ready", only_from="planned")
    shown = words(page(browser, at(cluster, "plan/uninstall/")))
    assert "This cannot be taken back." in shown and "PostgreSQL with all its databases" in shown
    for name in ("", "Trio", "west"):
        reply, _ = start(browser, cluster, "uninstall", name=name)
        assert reply.status_code == 400 and "Type trio exactly as it is written here" in words(reply.text)
    assert not Run.objects.exists() and fresh(cluster).state == "ready"
    reply, _ = start(browser, cluster, "uninstall", name="trio")
    assert reply["Location"] == f"/runs/{Run.objects.get().pk}/" and fresh(cluster).state == "removing"


# --- preflight, and what is not there ---


def test_a_preflight_is_started_once_and_watched_where_it_is(browser, cluster):
    first = browser.post(at(cluster, "preflight/"))
    run = Run.objects.get()
    assert first["Location"] == f"/runs/{run.pk}/" and run.title == "Preflight of trio"
    assert browser.post(at(cluster, "preflight/"))["Location"] == first["Location"]
    assert "Preflight" in card(browser, cluster)
    end(run)
    assert browser.post(at(cluster, "preflight/"))["Location"] != first["Location"]


def test_without_hosts_there_is_nothing_to_look_at(browser, cluster):
    cluster.nodes.all().delete()
    assert "There is no host to look at yet" in posted(browser, at(cluster, "preflight/"))
    assert not Run.objects.exists()


def test_work_on_a_cluster_of_another_tenant_is_not_there(browser, other):
    theirs = factories.cluster(other)
    for kind in ("install", "verify", "uninstall"):
        page(browser, at(theirs, f"plan/{kind}/"), 404)
        assert browser.post(at(theirs, f"plan/{kind}/"), {"name": theirs.name}).status_code == 404
    assert browser.post(at(theirs, "plan/")).status_code == browser.post(at(theirs, "preflight/")).status_code == 404


def test_work_of_another_kind_has_no_page(browser, cluster):
    page(browser, at(cluster, "plan/drill/"), 404)
