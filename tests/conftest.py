"""What every test may ask for: databases, brokers, portal processes, a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from channels.layers import get_channel_layer

from tests.conftest_cast import acme, admin, alice, bob, charlie, other  # noqa: F401  (fixtures)
from tests.order import pytest_collection_modifyitems  # noqa: F401  (hook)
from tests.services import chromium, postgres, rabbitmq
from tests.services.portal import PortalProcess
from tests.services.shared import Missing
from tests.skips import pytest_sessionfinish, pytest_terminal_summary  # noqa: F401  (hooks)


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """URL of an empty PostgreSQL database for this test alone."""
    try:
        url = postgres.make_database()
    except Missing as missing:
        pytest.skip(str(missing))
    yield url
    postgres.drop_database(url)


@pytest.fixture
def migrated_postgres_url() -> Iterator[str]:
    """URL of a PostgreSQL database for this test alone, with all tables of the product and no rows but those of the migrations."""
    try:
        url = postgres.make_migrated_database()
    except Missing as missing:
        pytest.skip(str(missing))
    yield url
    postgres.drop_database(url)


@pytest.fixture
def rabbitmq_url() -> str:
    """URL of an empty RabbitMQ virtual host for this test alone."""
    try:
        return rabbitmq.make_virtual_host()
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator[Callable[..., PortalProcess]]:
    """Starts a process of the product and waits until it is ready: `spawn(["up", "--port", "{port}"], env={...})`.

    `env` is added to a clean environment; `ready` is the path that answers 200, None for a process that serves nothing;
    `name` tells several processes of one test apart (their data folders). All end with the test, with all that they started.
    """
    started: list[PortalProcess] = []

    def start(
        command: list[str],
        env: dict[str, str] | None = None,
        *,
        ready: str | None = "/readyz",
        name: str = "",
        seconds: float = 60,
        **more: Any,
    ) -> PortalProcess:
        data_dir = more.pop("data_dir", None) or tmp_path / (name or f"portal{len(started) + 1}")
        process = PortalProcess(command, data_dir=data_dir, env=env, ready=ready, **more)
        started.append(process)
        return process.start(seconds)

    yield start
    for process in started:
        process.close()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> Iterator[None]:
    """The test database, and at the end no connection of the channel layer that would keep it from being dropped."""
    yield
    close = getattr(get_channel_layer(), "close", None)
    if close is not None:
        close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Playwright's Browser, for one module: its event loop must not be there when the next module runs asynchronous tests."""
    try:
        with chromium.running() as running:
            yield running
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page in a fresh browser profile, 1280 x 800. The test fails on an error in the page's own scripts."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(10_000)
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert not errors, f"Scripts of the page failed: {errors}"
