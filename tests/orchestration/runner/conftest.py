"""A running host for the tests of the runner, with the runner's environment made if it is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestration import runner_setup
from orchestration.runner_host import RunnerHost
from orchestration.runner_types import RunnerSettings
from tests.orchestration.runner.cases import Case


@pytest.fixture(scope="session")
def runner_settings() -> RunnerSettings:
    runner_setup.make()
    return RunnerSettings(venv=runner_setup.DEFAULT_VENV, cancel_grace=1.0)


@pytest.fixture(scope="session")
def host(runner_settings: RunnerSettings) -> Iterator[RunnerHost]:
    host = RunnerHost(runner_settings)
    host.start()
    yield host
    host.close()


@pytest.fixture
def case(host: RunnerHost, tmp_path: Path) -> Callable[..., Case]:
    """Make a deployment from the text of a blueprint and its files: `case(blueprint, {"a.sh": "..."}, inputs={...})`."""

    def make(blueprint: str, files: dict[str, str] | None = None, **more) -> Case:
        return Case(more.pop("host", host), tmp_path, blueprint, files or {}, **more)

    return make
