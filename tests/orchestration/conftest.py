"""One running portal for all tests of this folder that speak HTTP to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.orchestration.running import CAST, Manager


@pytest.fixture(scope="session")
def manager(tmp_path_factory) -> Iterator[Manager]:
    """A portal with admin, bob (user), vera (viewer) and nora (no tenant)."""
    running = Manager(tmp_path_factory.mktemp("manager"))
    try:
        running.start()
        running.run(CAST)
        yield running
    finally:
        running.process.close()


@pytest.fixture(scope="session")
def spire(tmp_path_factory) -> Iterator[tuple[Manager, Manager]]:
    """Two portals: a central one that may reach the other, and the other, with the same cast."""
    both = [
        Manager(tmp_path_factory.mktemp(name), env={"ENDPOINT_NETWORKS": "127.0.0.1/32"})
        for name in ("central", "remote")
    ]
    try:
        for running in both:
            running.start()
            running.run(CAST)
        yield both[0], both[1]
    finally:
        for running in both:
            running.process.close()
