"""v3.1 asked in process, and one running portal for all tests of this folder that speak HTTP to it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests import factories
from tests.orchestration.running import CAST, Manager


@pytest.fixture(scope="session")
def manager(tmp_path_factory) -> Iterator[Manager]:
    """A portal with admin, bob (user), vera (viewer) and nora (no tenant)."""
    running = Manager(tmp_path_factory.mktemp("manager"), env={"ENDPOINT_NETWORKS": "127.0.0.0/8"})
    try:
        running.start()
        running.run(CAST)
        yield running
    finally:
        running.process.close()


@pytest.fixture(scope="session")
def spire(tmp_path_factory) -> Iterator[tuple[Manager, Manager]]:
    """A portal that may reach itself, and the same as a remote manager: what is asked of that is asked in its tenant "site"."""
    central = Manager(tmp_path_factory.mktemp("central"), env={"ENDPOINT_NETWORKS": "127.0.0.1/32"})
    try:
        central.start()
        central.run(CAST)
        yield central, central.in_new_tenant("site")
    finally:
        central.process.close()


@pytest.fixture
def call(client, db):
    """`call(user, method, path, body, tenant=...)` of v3.1 by token, in process."""
    tokens = {}

    def make(user, method, path, body=None, *, tenant="acme", **headers):
        if user is not None and user.pk not in tokens:
            tokens[user.pk] = factories.token(user)
        sent = {"Authentication-Token": tokens[user.pk]} if user is not None else {}
        if tenant:
            sent["Tenant"] = tenant
        data = "" if body is None else json.dumps(body)
        return client.generic(method, f"/api/v3.1{path}", data, content_type="application/json", headers=sent | headers)

    return make
