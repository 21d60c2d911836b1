"""pytest's hooks that count, and that make a skip a failure where all is required."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

COUNTED = ("passed", "failed", "error", "skipped")


def is_controller(config: pytest.Config) -> bool:
    """Whether this is the process that a person started, not one of its workers."""
    return not hasattr(config, "workerinput")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """With REQUIRE_ALL=1 a skipped test is a failed run; counts go to TEST_COUNTS for the sum of several runs."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not is_controller(session.config) or reporter is None:
        return
    counts = {kind: len(reporter.stats.get(kind, [])) for kind in COUNTED}
    if path := os.environ.get("TEST_COUNTS"):
        Path(path).write_text(json.dumps(counts))
    if (
        os.environ.get("REQUIRE_ALL") == "1"
        and counts["skipped"]
        and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    ):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Names every skipped test and what it lacked, where skips count as failures."""
    skipped = terminalreporter.stats.get("skipped", [])
    if os.environ.get("REQUIRE_ALL") == "1" and skipped:
        terminalreporter.section("skipped, and REQUIRE_ALL=1 makes that a failure", red=True)
        for report in skipped:
            terminalreporter.write_line(
                f"{report.nodeid}: {report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr}"
            )
