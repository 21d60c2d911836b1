"""A portal of this folder's own, and `cfy` pointed at it as its administrator."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest

from tests.orchestration.cfy.commandline import Cfy
from tests.orchestration.running import CAST, Manager


@pytest.fixture(scope="session", autouse=True)
def python_of_cfy() -> None:
    """The official command line and client import `cgi`, which is gone since Python 3.13."""
    if sys.version_info >= (3, 13):
        pytest.skip("The official cfy does not run on Python 3.13: run these tests on Python 3.11.")


@pytest.fixture(scope="session")
def manager(tmp_path_factory) -> Iterator[Manager]:
    """A portal with admin, bob (user), vera (viewer) and nora (no tenant); the replayed calls have one of their own."""
    running = Manager(tmp_path_factory.mktemp("manager"), env={"ENDPOINT_NETWORKS": "127.0.0.0/8"})
    try:
        running.start()
        running.run(CAST)
        yield running
    finally:
        running.process.close()


@pytest.fixture(scope="session")
def cfy(manager, tmp_path_factory) -> Cfy:
    """The administrator's command line, in default_tenant."""
    program = Cfy(tmp_path_factory.mktemp("cfy") / "admin")
    program.use(manager.url)
    return program


@pytest.fixture(scope="session")
def cfy_of(manager, tmp_path_factory) -> Callable[..., Cfy]:
    """`cfy_of("vera")`: the command line of somebody else; `tenant=` chooses where."""
    known: dict[tuple[str, str], Cfy] = {}

    def made(user: str, tenant: str = "default_tenant") -> Cfy:
        if (user, tenant) not in known:
            known[user, tenant] = Cfy(tmp_path_factory.mktemp("cfy") / user)
            known[user, tenant].use(manager.url, user=user, tenant=tenant)
        return known[user, tenant]

    return made
