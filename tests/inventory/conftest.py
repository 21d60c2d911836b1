"""Doubles of remote managers on loopback, which the endpoint policy must allow for that; an SSH server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from inventory import probing
from inventory.connectors.address import Timeouts
from inventory.connectors.ssh import connect
from inventory.doubles import ManagerDouble
from tests.services import sshd as servers
from tests.services.shared import Missing
from tests.services.sshd import LOOPBACK


@pytest.fixture
def loopback(settings) -> None:
    """Loopback may be called, as in the demo."""
    settings.ENDPOINT_NETWORKS = ["127.0.0.1/32"]


@pytest.fixture
def impatient(monkeypatch) -> None:
    """Waits for answers are short, so that a manager that hangs does not hold up the tests."""
    monkeypatch.setattr(probing, "_QUICK", Timeouts(connect=1.0, read=0.6))


@pytest.fixture
def double(loopback) -> Iterator[ManagerDouble]:
    """A manager that speaks http."""
    with ManagerDouble() as double:
        yield double


@pytest.fixture
def secure(loopback) -> Iterator[ManagerDouble]:
    """A manager that speaks https, with a certificate of an authority of its own."""
    with ManagerDouble.secure() as double:
        yield double


@pytest.fixture(scope="module")
def sshd(tmp_path_factory):
    try:
        with servers.running(tmp_path_factory.mktemp("sshd")) as server:
            yield server
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def host(sshd):
    with connect(sshd.address, sshd.credential, policy=LOOPBACK) as host:
        yield host
