"""The health of clusters as rows: looked at once for all who ask, kept, shown, and what state of the cluster follows."""

from __future__ import annotations

import datetime
import functools
import re
import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import secrets
from installs.certificates import ensure_certificates
from installs.health import following, looking, watching
from installs.models import Certificate, Checkup, ClusterRun
from installs.rendering import measuring
from installs.wanted import invent_secrets
from inventory.cluster_secrets import keep_secret
from inventory.connectors.prometheus import Access
from inventory.health.facts import Answers
from inventory.health.judging import judge
from inventory.models import Cluster
from runs.models import Run
from tests import factories as people
from tests.installs import factories
from tests.inventory.prometheus_double import LAYOUT, PASSWORD, PATIENT, answers
from tests.inventory.prometheus_double import Cluster as Servers

pytestmark = pytest.mark.django_db


@pytest.fixture
def servers():
    with Servers() as found:
        yield found


@pytest.fixture
def mara(acme):
    return factories.actor(acme)


@pytest.fixture
def cluster(acme, mara, servers, settings, monkeypatch):
    """As built: with CA and passwords, at the servers of the recording."""
    settings.ENDPOINT_NETWORKS = ["127.0.0.0/8"]
    monkeypatch.setattr(measuring, "PORT", servers.port)
    monkeypatch.setattr(looking, "Access", functools.partial(Access, timeouts=PATIENT))
    row = factories.clusters.create_cluster(by=mara, tenant=acme, layout=LAYOUT)
    invent_secrets(by=mara, cluster=row)
    keep_secret(by=mara, cluster=row, purpose="monitoring", value=PASSWORD)
    ensure_certificates(by=mara, cluster=row)
    Certificate.objects.filter(cluster=row, kind="authority").update(pem=servers.authority.pem)
    row.move(Cluster.State.READY, only_from=list(Cluster.State.values))
    return row


@pytest.fixture
def browser(mara):
    client = Client()
    client.force_login(mara.user)
    return client


def at(cluster, tail=""):
    return f"/clusters/{cluster.pk}/{tail}"


def words(text):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text))


def older(cluster, **ages):
    """Move times of its checkup into the past."""
    changes = {name: timezone.now() - timedelta(seconds=seconds) for name, seconds in ages.items()}
    Checkup.objects.filter(cluster=cluster).update(**changes)


def seen(cluster, moment="healthy", found=None):
    """Keep what was seen."""
    row = looking.keep(cluster, found or judge(LAYOUT, answers(moment)))
    cluster.refresh_from_db()
    return row


def unknown():
    return judge(LAYOUT, Answers({}, {host.name: "does not answer in time" for host in LAYOUT.hosts}))


def test_a_look_is_kept_for_all_who_ask_in_the_next_seconds(cluster, servers):
    row = looking.checkup_of(cluster)
    assert row.verdict == "healthy" and row.known_at and row.unwell_since is None
    soon = timedelta(minutes=5)
    assert looking.checkup_of(cluster, fresh=soon).looked_at == row.looked_at and len(servers.asked) == 4
    older(cluster, looked_at=301)
    looking.checkup_of(cluster, fresh=soon)
    assert len(servers.asked) == 8


def test_while_one_looks_others_take_what_was_there_before(cluster, servers):
    looking.checkup_of(cluster)
    older(cluster, looked_at=20)
    Checkup.objects.filter(cluster=cluster).update(asking_until=timezone.now() + timedelta(minutes=5))
    assert looking.checkup_of(cluster).verdict == "healthy" and len(servers.asked) == 4
    older(cluster, asking_until=1)
    looking.checkup_of(cluster)
    assert len(servers.asked) == 8


def test_without_a_password_or_a_ca_nobody_is_asked_and_it_says_what_to_do(cluster, servers):
    secrets_used = cluster.cluster_secrets.get(purpose="monitoring")
    secrets_used.delete()
    row = looking.checkup_of(cluster)
    assert row.verdict == "unknown" and "plan changes" in row.told["why"][0] and servers.asked == []


def test_the_password_is_in_nothing_that_is_kept(cluster):
    row = looking.checkup_of(cluster)
    assert PASSWORD not in str(row.told)
    assert secrets.reveal(cluster.cluster_secrets.get(purpose="monitoring").secret) == PASSWORD


def test_what_is_not_well_for_a_while_makes_a_ready_cluster_degraded_with_why_and_what_is_well_makes_it_ready(cluster):
    seen(cluster, "queue node stopped")
    assert cluster.state == "ready"  # it may have been a restart
    older(cluster, unwell_since=20)
    seen(cluster, "queue node stopped")
    assert cluster.state == "degraded" and "rabbitmq-server is not running" in cluster.why
    seen(cluster, "host cut")
    assert "nothing is known of c3" in cluster.why
    seen(cluster)
    assert (cluster.state, cluster.why) == ("ready", "")


def test_what_others_said_of_a_cluster_stays(cluster):
    cluster.move("degraded", only_from=["ready"], why="Verify found 3 differences")
    seen(cluster, "queue node stopped")
    older(cluster, unwell_since=20)
    seen(cluster, "queue node stopped")
    seen(cluster)
    assert (cluster.state, cluster.why) == ("degraded", "Verify found 3 differences")


@pytest.mark.parametrize("state", ["planned", "installing", "failed", "removing"])
def test_a_cluster_that_is_not_at_work_keeps_its_state(cluster, state):
    cluster.move(state, only_from=["ready"])
    seen(cluster, "queue node stopped")
    older(cluster, unwell_since=60)
    seen(cluster, "queue node stopped")
    assert cluster.state == state


def test_while_work_is_done_on_it_its_state_is_the_concern_of_that(cluster, acme):
    run = Run.objects.create(title="Install", tenant=acme, state="running")
    ClusterRun.objects.create(cluster=cluster, kind="install", run=run)
    seen(cluster, "queue node stopped")
    older(cluster, unwell_since=60)
    seen(cluster, "queue node stopped")
    assert cluster.state == "ready"


def test_a_cluster_that_was_never_reached_stays_ready_and_one_that_was_is_degraded_after_a_minute(cluster):
    seen(cluster, found=unknown())
    older(cluster, unwell_since=3600)
    seen(cluster, found=unknown())
    assert cluster.state == "ready"
    seen(cluster)
    older(cluster, known_at=90)
    seen(cluster, found=unknown())
    assert cluster.state == "degraded" and "nobody has said how it is since" in cluster.why
    seen(cluster)
    assert cluster.state == "ready"


def test_clusters_that_serve_are_looked_at_of_themselves(cluster, servers, acme, mara):
    from tests.installs import layouts

    factories.clusters.create_cluster(by=mara, tenant=acme, layout=layouts.compact())  # not built: nobody asks it
    assert watching.look_at_clusters() == 1 and Checkup.objects.get().verdict == "healthy"
    assert watching.look_at_clusters() == 0  # somebody has looked just now
    older(cluster, looked_at=10)
    servers.moment = "queue node stopped"
    assert watching.look_at_clusters() == 1 and Checkup.objects.get().verdict == "degraded"


def test_a_cluster_that_is_forgotten_while_it_is_looked_at_is_no_error(cluster, monkeypatch):
    real = watching.look

    def forget(layout, access):
        Cluster.objects.filter(pk=cluster.pk).delete()
        return real(layout, access)

    forgotten = threading.Event()
    monkeypatch.setattr(watching, "look", lambda layout, access: forgotten.set() or real(layout, access))
    monkeypatch.setattr(
        watching, "keep", lambda row, health: (Cluster.objects.filter(pk=row.pk).delete(), looking.keep(row, health))
    )
    watching.look_at_clusters()
    assert forgotten.is_set() and not Checkup.objects.exists()


def test_the_page_of_a_built_cluster_asks_for_its_health_after_it_is_there(cluster, browser, servers):
    text = browser.get(at(cluster)).text
    assert f'hx-get="{at(cluster, "health/")}"' in text and "Asking the hosts of e2e" in text and servers.asked == []
    cluster.move("planned", only_from=["ready"])
    assert 'id="health"' not in browser.get(at(cluster)).text


def test_the_card_has_parts_hosts_versions_lag_alarms_and_certificates(cluster, browser):
    text = words(browser.get(at(cluster, "health/")).text)
    for wanted in (
        "Healthy", "3 of 3 vote, 1 may fail", "3 of 3 work, 2 may fail", "leads, timeline", "queues", "1 of 1 up, none may fail",
        "Leader", "Sync replica", "RabbitMQ 4.", "PostgreSQL 17.", "11 running", "None fires.", "Certificates Host", "Last drill None yet.",
    ):  # fmt: skip
        assert wanted in text, wanted


def test_the_card_of_a_cluster_that_is_not_well_says_what_and_why(cluster, browser, servers):
    servers.moment = "queue node stopped"
    text = words(browser.get(at(cluster, "health/")).text)
    assert "Degraded" in text and "Queue: c2: rabbitmq-server is not running" in text


def test_where_nobody_answers_the_card_says_so_and_never_that_it_is_well(cluster, browser, monkeypatch):
    monkeypatch.setattr(measuring, "PORT", 1)
    text = words(browser.get(at(cluster, "health/")).text)
    assert "Nobody knows how it is." in text and "c1 refuses connections" in text and "port 8009" in text
    assert "Healthy" not in text and "Alarms Not known." in text


def test_what_was_seen_too_long_ago_is_unknown(cluster, browser):
    seen(cluster)
    older(cluster, looked_at=120)
    assert "Unknown" in words(browser.get(at(cluster)).text)


def test_the_date_of_the_last_drill_is_told(cluster, browser, acme, mara):
    ended = timezone.now() - timedelta(hours=2)
    run = Run.objects.create(title="Drill", tenant=acme, state="succeeded", ended_at=ended)
    ClusterRun.objects.create(cluster=cluster, kind="drill", host="c2", run=run)
    assert f"R-{run.pk} on c2, 2 h ago : succeeded" in words(browser.get(at(cluster, "health/")).text)
    reply = browser.get("/api/v1/clusters/e2e/health/").json()
    assert reply["last_drill"]["run"] == run.pk and reply["last_drill"]["host"] == "c2"


def test_the_api_tells_all_of_it(cluster, browser):
    reply = browser.get("/api/v1/clusters/e2e/health/")
    told = reply.json()
    assert reply.status_code == 200 and (told["verdict"], told["why"], told["alerts"]) == ("healthy", [], [])
    assert [part["part"] for part in told["parts"]] == ["database", "etcd", "queue", "manager", "balancer"]
    host = next(host for host in told["hosts"] if host["name"] == "c1")
    assert host["services"]["patroni"] is True and host["seen_by"] == "c1" and len(host["parts"]) == 4
    assert {each["kind"] for each in told["certificates"]} == {"authority", "host"}
    assert datetime.datetime.fromisoformat(told["looked_at"])


def test_another_tenant_sees_nothing_of_it(cluster, charlie):
    client = Client()
    client.force_login(charlie)
    assert client.get(at(cluster, "health/")).status_code == 404
    assert client.get("/api/v1/clusters/e2e/health/").status_code == 404


def test_the_card_asks_the_database_as_often_whatever_there_is_to_show(cluster, browser, acme):
    def count():
        looking.checkup_of(cluster)
        with CaptureQueriesContext(connection) as asked:
            assert browser.get(at(cluster, "health/")).status_code == 200
        return len(asked)

    few = count()
    for _ in range(5):
        run = Run.objects.create(
            title="Drill", tenant=acme, state="succeeded", ended_at=timezone.now(), started_by=people.user()
        )
        ClusterRun.objects.create(cluster=cluster, kind="drill", run=run)
    assert count() == few <= 12


def test_what_keeps_a_state_is_not_written_again(cluster, monkeypatch):
    moves = []
    seen(cluster, "queue node stopped")
    older(cluster, unwell_since=20)
    monkeypatch.setattr(following, "move_cluster", lambda *given, **more: moves.append(given) or True)
    cluster.move(
        "degraded",
        only_from=["ready"],
        why=f"{following.MARK}{'; '.join(judge(LAYOUT, answers('queue node stopped')).why)}",
    )
    seen(cluster, "queue node stopped")
    assert moves == []
