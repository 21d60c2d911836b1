"""The state of a cluster follows its runs: what failed leaves why, a check with differences degrades, a good one mends."""

from __future__ import annotations

import pytest
from django.utils import timezone

from installs.following import follow_ended
from installs.models import ClusterRun
from inventory.models import ClusterNode
from runs.models import Run, Step
from tests.installs import factories
from tests.installs.test_installing import begin, fresh, ready_to_install

pytestmark = pytest.mark.django_db


@pytest.fixture
def by(acme):
    return factories.actor(acme)


@pytest.fixture
def cluster(acme, by, bundle):
    return ready_to_install(acme, by)


@pytest.fixture
def serving(cluster):
    cluster.nodes.update(state=ClusterNode.State.INSTALLED)
    cluster.move("ready", only_from="planned")
    return fresh(cluster)


def ended(started, state, why="", failed=()):
    for title in failed:
        step = started.run.steps.filter(state="pending").first()
        Step.objects.filter(pk=step.pk).update(state="failed", title=title, why="it is not")
    Run.objects.filter(pk=started.run_id).update(state=state, why=why, ended_at=timezone.now())
    follow_ended()
    return fresh(started.cluster)


@pytest.mark.parametrize(("state", "words"), [("failed", "failed: n1 is not there."), ("cancelled", "was cancelled")])
def test_a_first_install_that_does_not_come_to_its_end_leaves_failed_with_why(by, cluster, state, words):
    started = begin(by, cluster)
    told = ended(started, state, "n1 is not there.")
    assert (told.state, told.why) == ("failed", f"Install trio (R-{started.run_id}) {words}")


def test_what_is_resumed_is_under_way_again_and_its_end_is_followed_once_more(by, cluster):
    started = begin(by, cluster)
    ended(started, "failed", "n1 is not there.")
    Run.objects.filter(pk=started.run_id).update(state="running", ended_at=None)
    assert follow_ended() == 1 and fresh(cluster).state == "installing"
    assert ended(started, "failed", "n2 is not there.").why.endswith("failed: n2 is not there.")
    assert follow_ended() == 0, "an end is followed once"


def test_a_change_of_a_serving_cluster_that_fails_degrades_it(by, serving):
    started = begin(by, serving)
    assert fresh(serving).state == "ready", "it goes on serving"
    told = ended(started, "failed", "c2 is full.")
    assert (told.state, told.why) == ("degraded", f"Install trio (R-{started.run_id}) failed: c2 is full.")


def test_a_check_with_differences_degrades_and_names_them_and_a_good_one_mends(by, serving):
    first = begin(by, serving, "verify")
    told = ended(first, "failed", failed=["Configure etcd on n1", "Set names on n2", "A", "B"])
    assert told.state == "degraded"
    assert told.why == (
        f"Verify trio (R-{first.run_id}): 4 steps not as wanted: Configure etcd on n1; Set names on n2; A; and 1 more"
    )
    told = ended(begin(by, told, "verify"), "succeeded")
    assert (told.state, told.why) == ("ready", "")


def test_a_check_that_was_cancelled_says_nothing_of_the_cluster(by, serving):
    assert ended(begin(by, serving, "verify"), "cancelled").state == "ready"


def test_an_uninstall_that_fails_leaves_failed(by, serving):
    assert ended(begin(by, serving, "uninstall"), "failed", "n1 is gone.").state == "failed"


def test_a_long_reason_fits(by, serving):
    assert len(ended(begin(by, serving), "failed", "x" * 512).why) == 512


def test_a_drill_or_a_preflight_changes_no_state(by, serving):
    started = begin(by, serving, "verify")
    ClusterRun.objects.filter(pk=started.pk).update(kind="preflight")
    assert ended(started, "failed", "no").state == "ready"
