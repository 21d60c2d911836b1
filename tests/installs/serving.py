"""A built cluster that serves: a portal that runs as a cluster's manager does, over https by the cluster's CA."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from installs import entrance
from installs.models import Certificate
from inventory.cluster_secrets import keep_secret
from inventory.models import Cluster
from tests import factories as people
from tests.installs import authorities, factories, layouts
from tests.inventory.factories import site
from tests.orchestration.running import CAST, PASSWORD, Manager

CA = authorities.make("a cluster's CA", ca=True)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A manager that shows a certificate of the CA above."""
    folder = tmp_path_factory.mktemp("cluster")
    shown = authorities.make("box.solo", by=CA, names=("127.0.0.1", "box.solo"))
    (folder / "cert.pem").write_text(shown.certificate)
    (folder / "key.pem").write_text(shown.key)
    (folder / "ca.pem").write_text(CA.certificate)
    command = ["up", "--port", "{port}", "--tls-cert", str(folder / "cert.pem"), "--tls-key", str(folder / "key.pem")]
    env = {"PUBLIC_URL": "https://127.0.0.1", "SSL_REDIRECT": "false", "ALLOWED_HOSTS": "127.0.0.1,box.solo"}
    found = Manager(folder / "data", command, env, scheme="https")
    try:
        found.start()
        found.session.trust_env, found.session.verify = False, str(folder / "ca.pem")
        found.run(CAST)
        yield found
    finally:
        found.process.close()


@pytest.fixture
def ready(acme, mara):
    """A cluster of one host on loopback that an install has finished, as far as rows go."""
    layout = layouts.change(layouts.all_in_one(), "box", private_address="127.0.0.1")
    cluster = factories.cluster(acme, layout, site=site(acme, "Vienna"))
    keep_secret(by=mara, cluster=cluster, purpose="admin", value=PASSWORD)
    Certificate.objects.create(cluster=cluster, kind="authority", owner="ca", pem=CA.certificate)
    Cluster.objects.filter(pk=cluster.pk).update(state="ready")
    return Cluster.objects.get(pk=cluster.pk)


@pytest.fixture
def at(monkeypatch, settings):
    """Clusters answer at that port of loopback, which may be called."""
    settings.ENDPOINT_NETWORKS = ["127.0.0.1/32"]
    settings.PUBLIC_URL = "https://portal.example.org"
    return lambda port: monkeypatch.setattr(entrance, "HTTPS", port)


@pytest.fixture
def real(at, running):
    at(running.process.port)
    return running


@pytest.fixture
def browser(acme, mara):
    client = Client()
    client.force_login(mara.user)
    return client


@pytest.fixture
def ask(acme, mara):
    token = people.token(mara.user)

    def run(name, body=None, tail="expose", **headers):
        return Client().post(
            f"/api/v1/clusters/{name}/{tail}/", json.dumps(body or {}), content_type="application/json",
            headers={"Authorization": f"Token {token}", "Tenant": "acme"} | headers,
        )  # fmt: skip

    return run
