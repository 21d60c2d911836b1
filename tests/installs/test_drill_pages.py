"""Drills by page and API: what is shown of them, who may start one, and by what words."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from accounts.secrets import reveal
from installs.drills.starting import start_drill
from installs.models import ClusterRun, Drill
from inventory.cluster_secrets import secrets_of
from runs.models import Run
from tests import factories as people
from tests.installs import factories
from tests.installs.test_cluster_pages import page
from tests.installs.test_drills import built
from tests.installs.test_installing import end
from tests.installs.test_work_pages import words

pytestmark = pytest.mark.django_db


@pytest.fixture
def by(acme):
    return factories.actor(acme)


@pytest.fixture
def cluster(acme, by, bundle):
    return built(acme, by)


@pytest.fixture
def browser(by):
    client = Client()
    client.force_login(by.user)
    return client


def at(cluster, tail=""):
    return f"/clusters/{cluster.pk}/drills/{tail}"


def finished(by, cluster, **values):
    drill = start_drill(by=by, cluster=cluster, kind="leader")
    end(drill.run)
    told = {"host": "n2", "verdict": "passed", "gap_seconds": 24.13, "acknowledged": 311, "lost": 0} | values
    Drill.objects.filter(pk=drill.pk).update(**told)
    return drill


def test_the_page_of_a_cluster_shows_the_last_drills_and_leads_to_them(browser, by, cluster):
    assert "None was run yet" in page(browser, f"/clusters/{cluster.pk}/")
    finished(by, cluster)
    shown = page(browser, f"/clusters/{cluster.pk}/")
    card = words(shown[: shown.index('id="drills"')] and "<main" + shown[shown.index('id="drills"') :])
    assert "24.1 s" in card and "0 of 311" in card and "Passed" in card and f'href="{at(cluster)}"' in shown


def test_all_drills_are_listed_with_what_came_of_them(browser, by, cluster):
    finished(by, cluster, gap_seconds=51.0)
    finished(by, cluster, verdict="failed", lost=2, why="2 acknowledged writes are lost. Keep the logs.")
    shown = words(page(browser, at(cluster)))
    assert "slow: expected 32 s or less" in shown and "2 of 311" in shown and "Keep the logs" in shown
    assert shown.count("Run…") == 3


def test_a_drill_is_started_only_by_the_name_of_the_cluster(browser, cluster):
    shown = words(page(browser, at(cluster, "leader/")))
    assert "Writes wait up to 32 s" in shown and "Break it now" in shown and "etcd" in shown
    refused = browser.post(at(cluster, "leader/"), {"name": "west"})
    assert refused.status_code == 400 and "Type trio exactly" in words(refused.text) and not Run.objects.exists()
    reply = browser.post(at(cluster, "leader/"), {"name": "trio", "key": "k"})
    assert reply["Location"] == f"/runs/{Run.objects.get().pk}/"
    assert browser.post(at(cluster, "leader/"), {"name": "trio", "key": "k"})["Location"] == reply["Location"]
    late = browser.post(at(cluster, "queue/"), {"name": "trio"})
    assert late.status_code == 409 and "has not ended" in words(late.text) and Drill.objects.count() == 1


def test_a_host_may_be_chosen_but_not_any(browser, cluster):
    assert '<option value="n2">' in page(browser, at(cluster, "queue/"))
    assert browser.post(at(cluster, "queue/"), {"name": "trio", "host": "nosuch"}).status_code == 409
    browser.post(at(cluster, "queue/"), {"name": "trio", "host": "n2"})
    assert ClusterRun.objects.get().host == "n2"


def test_a_cluster_that_is_not_ready_says_why_its_drills_are_off(browser, cluster):
    cluster.move("degraded", only_from="ready", why="n2 does not answer.")
    shown = words(page(browser, at(cluster, "queue/")))
    assert "Off for now" in shown and "only a ready cluster bears a drill" in shown


def test_viewers_look_and_do_not_break_anything(cluster, bob):
    client = Client()
    client.force_login(bob)
    assert "Off for you" in words(page(client, at(cluster, "leader/")))
    assert client.post(at(cluster, "leader/"), {"name": "trio"}).status_code == 403
    assert "Run…" not in words(page(client, at(cluster)))


def test_drills_of_another_tenant_are_not_there(browser, other):
    theirs = factories.cluster(other)
    page(browser, at(theirs), 404)
    page(browser, at(theirs, "queue/"), 404)


def test_drills_are_started_and_told_by_the_api(by, cluster):
    headers = {"Authorization": f"Token {people.token(by.user)}", "Tenant": "acme"}

    def ask(method, body=None, **more):
        return Client().generic(
            method, "/api/v1/clusters/trio/drills/", json.dumps(body or {}), content_type="application/json",
            headers=headers | more,
        )  # fmt: skip

    made = ask("POST", {"kind": "queue", "host": "n3"}, **{"Idempotency-Key": "once"})
    assert made.status_code == 201 and made.json()["kind"] == "queue" and made.json()["started_by"] == by.user.username
    assert ask("POST", {"kind": "queue"}, **{"Idempotency-Key": "once"}).json()["run"] == made.json()["run"]
    late = ask("POST", {"kind": "leader"})
    assert late.status_code == 409 and "has not ended" in late.text
    assert ask("POST", {"kind": "earthquake"}).status_code == 400
    assert ask("POST", {"kind": "queue", "hots": "n3"}).status_code == 400
    end(Run.objects.get())
    Drill.objects.update(host="n3", verdict="passed", lost=0, acknowledged=90, gap_seconds=7.0, messages={"lost": 0})
    (told,) = ask("GET").json()
    assert told["state"] == "passed" and told["lost"] == 0 and told["gap_seconds"] == 7.0 and told["host"] == "n3"


def test_nothing_that_was_invented_is_in_what_a_drill_tells(by, cluster):
    drill = start_drill(by=by, cluster=cluster, kind="queue")
    told = json.dumps(drill.run.plan.stages) + drill.run.title
    assert not any(reveal(secret) in told for secret in secrets_of(cluster).values())
