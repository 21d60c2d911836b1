"""One running portal for all tests of this folder that speak HTTP to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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
