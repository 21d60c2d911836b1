"""/metrics: who may read it, what stands in it, and that it asks the same number of questions whatever there is."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from installs.health import looking
from inventory.health.judging import judge
from portal.metrics import Figure, text_of
from tests import factories
from tests.installs import factories as installs
from tests.inventory import factories as inventory
from tests.inventory.prometheus_double import LAYOUT, answers

pytestmark = pytest.mark.django_db
LINE = re.compile(r'[a-z_]+(\{([a-z_]+="(\\.|[^"\\])*",?)+\})? -?[0-9.e+-]+')


@pytest.fixture
def token(settings, tmp_path):
    file = tmp_path / "token"
    file.write_text("a-token-for-prometheus\n")
    settings.METRICS_TOKEN_FILE = str(file)
    return "a-token-for-prometheus"


def read(client, token):
    return client.get("/metrics", headers={"Authorization": f"Bearer {token}"})


def test_a_prometheus_reads_it_by_its_token(client, token):
    reply = read(client, token)
    assert reply.status_code == 200 and reply["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = [line for line in reply.text.splitlines() if not line.startswith("#")]
    assert lines and all(LINE.fullmatch(line) for line in lines)
    assert 'deployon_runs{state="running"} 0' in lines


def test_another_token_is_refused_and_so_is_any_where_none_is_set(client, token, settings):
    for wrong in ("wrong", "", f"{token}x"):
        assert read(client, wrong).status_code == 401
    settings.METRICS_TOKEN_FILE = ""
    assert read(client, token).status_code == 401 and read(client, "").status_code == 401


def test_a_file_that_is_not_there_opens_nothing(client, settings):
    settings.METRICS_TOKEN_FILE = "/nonexistent/token"
    assert read(client, "").status_code == 401


def test_administrators_may_and_others_may_not(admin, alice, client):
    assert client.get("/metrics").status_code == 302
    client.force_login(admin)
    assert client.get("/metrics").status_code == 200
    client.force_login(alice)
    assert client.get("/metrics").status_code == 403


def test_it_is_only_read(client, token):
    assert client.post("/metrics", headers={"Authorization": f"Bearer {token}"}).status_code == 405


def test_clusters_are_in_it_as_they_were_seen_last(client, token, acme):
    cluster = installs.clusters.create_cluster(by=installs.actor(acme), tenant=acme, layout=LAYOUT)
    looking.keep(cluster, judge(LAYOUT, answers("queue node stopped")))
    text = read(client, token).text
    for line in (
        'deployon_cluster_health{tenant="acme",cluster="e2e",verdict="degraded"} 1',
        'deployon_cluster_health{tenant="acme",cluster="e2e",verdict="healthy"} 0',
        'deployon_cluster_part_working{tenant="acme",cluster="e2e",part="queue"} 2',
        'deployon_cluster_part_needed{tenant="acme",cluster="e2e",part="queue"} 2',
        'deployon_cluster_part_healthy{tenant="acme",cluster="e2e",host="c2",part="queue"} 0',
        'deployon_cluster_host_known{tenant="acme",cluster="e2e",host="c1"} 1',
        'deployon_cluster_state{tenant="acme",cluster="e2e",state="planned"} 1',
    ):
        assert line in text, line
    assert re.search(r'deployon_cluster_replication_lag_bytes\{tenant="acme",cluster="e2e",host="c\d"\} \d', text)


def test_it_asks_as_often_whatever_there_is(client, token, acme):
    def count():
        with CaptureQueriesContext(connection) as asked:
            assert read(client, token).status_code == 200
        return len(asked)

    def fill(clusters):
        for _ in range(clusters):
            layout = LAYOUT.__class__(f"more{factories.number()}", LAYOUT.hosts)
            row = installs.clusters.create_cluster(by=factories.actor(factories.user()), tenant=acme, layout=layout)
            looking.keep(row, judge(layout, answers("healthy")))
            inventory.environment(acme, f"edge-{factories.number()}")

    fill(1)
    read(client, token)
    few = count()
    fill(3)
    assert count() == few <= 16


def test_text_that_would_break_a_line_is_escaped():
    text = text_of([Figure("a", "b", [({"name": 'x"y\\z\nw'}, 1)])])
    assert 'a{name="x\\"y\\\\z\\nw"} 1\n' in text
