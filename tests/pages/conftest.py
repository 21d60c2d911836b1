"""People signed in through the pages, a double, and a running installation for the browser."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from accounts.models import Tenant, User
from inventory.doubles import Account, ManagerDouble
from inventory.doubles.script import Script
from tests.services.portal import ROOT, PortalProcess

PHONE = {"width": 390, "height": 844}


@pytest.fixture
def signed_in() -> Callable[..., Client]:
    """`signed_in(alice)`: a client with her session; `tenant` is the one chosen at the top of the page."""

    def sign_in(user: User, tenant: Tenant | None = None) -> Client:
        client = Client()
        client.force_login(user)
        if tenant is not None:
            session = client.session
            session["tenant"] = tenant.name
            session.save()
        return client

    return sign_in


@pytest.fixture
def double(settings: Any) -> Iterator[ManagerDouble]:
    """A manager that answers on plain http."""
    settings.ENDPOINT_NETWORKS = ["127.0.0.1/32"]
    with ManagerDouble() as running:
        yield running


class Installation(PortalProcess):
    """An installation that serves pages, and what a test puts into it from outside, as its database is not this process's."""

    def seed(
        self, double: ManagerDouble | None, names: list[str], group: str = "", site: Any = None, **script: Any
    ) -> None:
        """Alice and Bob in acme, and environments on the double, ready and labelled group=<group>.

        `site`: (name, latitude, longitude) of where they stand.
        """
        rows = []
        for name in names:
            token = f"ctok-{name[-10:]:x<10}-{'0' * 24}"
            assert double is not None
            double.add_account(Account(f"user-of-{name}", "password", {f"tenant-of-{name}": "user"}, token=token))
            double.answers(f"tenant-of-{name}").world.script = Script(**script)
            rows.append(
                {
                    "name": name,
                    "remote_tenant": f"tenant-of-{name}",
                    "token": token,
                    "port": double.port,
                    "labels": [("group", group)],
                    "site": site,
                }
            )
        command = [sys.executable, "-m", "tests.pages.seed"]
        subprocess.run(command, input=json.dumps(rows), text=True, env=self.env, cwd=ROOT, check=True, timeout=120)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """`manage.py up` for one module."""
    data_dir: Path = tmp_path_factory.mktemp("pages")
    env = {"ENDPOINT_NETWORKS": "127.0.0.1/32", "EMBEDDED_WORKERS": "4"}
    process = Installation(["up", "--port", "{port}"], data_dir=data_dir, env=env)
    try:
        yield process.start(90)
    finally:
        process.close()


@pytest.fixture
def faults_of() -> Callable[[Any, str], list[str]]:
    """`faults_of(page, url)`: a list that grows with console errors of the page and with what it asks of other hosts."""

    def watch(page: Any, url: str) -> list[str]:
        found: list[str] = []
        own = (url, url.replace("http://", "ws://"), "data:", "blob:")
        page.on("console", lambda message: found.append(message.text) if message.type == "error" else None)
        page.on(
            "request", lambda request: None if request.url.startswith(own) else found.append(f"outside: {request.url}")
        )
        return found

    return watch
