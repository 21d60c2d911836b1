"""`make test` says the truth: a skip is a failure where it must be, packages come without their services, counts add up."""

import os
import subprocess
import sys

import pytest

from tests import run
from tests.services import packages
from tests.source import ROOT

HOOKS = "from tests.skips import pytest_sessionfinish, pytest_terminal_summary\n"
ONE_OF_EACH = """
import pytest

def test_passes():
    pass

def test_skips():
    pytest.skip("the moon is not installed here; as root: apt-get install moon")
"""


@pytest.fixture
def small_suite(tmp_path):
    """Runs pytest with the hooks of tests/skips.py on a file of its own."""

    def run_it(text, **env):
        (tmp_path / "conftest.py").write_text(HOOKS)
        (tmp_path / "test_small.py").write_text(text)
        (tmp_path / "pytest.ini").write_text("[pytest]\n")
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:django",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            str(tmp_path),
        ]
        env = (
            {name: value for name, value in os.environ.items() if name != "REQUIRE_ALL"}
            | {"PYTHONPATH": str(ROOT)}
            | env
        )
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    return run_it


def test_a_skip_is_no_failure_where_a_person_tests(small_suite):
    status, output = small_suite(ONE_OF_EACH)
    assert status == 0 and "1 passed, 1 skipped" in output


def test_a_skip_is_a_failure_that_names_what_is_missing_where_all_is_required(small_suite):
    status, output = small_suite(ONE_OF_EACH, REQUIRE_ALL="1")
    assert status == 1
    assert "test_skips: Skipped: the moon is not installed here; as root: apt-get install moon" in output


def test_a_whole_module_that_skips_is_a_failure_where_all_is_required(small_suite):
    status, _ = small_suite("import pytest\npytest.importorskip('no_such_module')\n", REQUIRE_ALL="1")
    assert status == 1


def test_all_required_and_all_there_is_no_failure(small_suite):
    status, _ = small_suite("def test_passes(): pass", REQUIRE_ALL="1")
    assert status == 0


def test_the_closing_line_sums_both_runs_and_either_failure_fails(monkeypatch, capsys):
    counts = iter([(0, {"passed": 5, "skipped": 1}), (1, {"passed": 2, "failed": 1, "error": 1})])
    monkeypatch.setattr(
        run, "run_pytest", lambda *_: (lambda status, kinds: (status, run.Counter(kinds)))(*next(counts))
    )
    monkeypatch.setattr(run.packages, "install_missing", lambda: [])
    monkeypatch.setattr(run.postgres, "make_database", lambda: "postgres://nowhere")
    assert run.main([]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "7 passed, 2 failed, 1 skipped"


@pytest.mark.parametrize(
    ("first", "second", "outcome"), [(0, 0, 0), (0, 5, 0), (5, 0, 0), (5, 5, 1), (1, 5, 1), (2, 0, 1), (0, 3, 1)]
)
def test_a_run_without_tests_fails_only_where_the_other_had_none_either(monkeypatch, first, second, outcome):
    statuses = iter([first, second])
    monkeypatch.setattr(run, "run_pytest", lambda *_: (next(statuses), run.Counter()))
    monkeypatch.setattr(run.packages, "install_missing", lambda: [])
    monkeypatch.setattr(run.postgres, "make_database", lambda: "postgres://nowhere")
    assert run.main([]) == outcome


@pytest.mark.parametrize("before", [None, "#!/bin/sh\nexit 0\n"])
def test_no_service_starts_while_packages_are_installed_and_the_host_s_policy_comes_back(monkeypatch, tmp_path, before):
    policy = tmp_path / "policy-rc.d"
    if before:
        policy.write_text(before)
        policy.chmod(0o750)
    monkeypatch.setattr(packages, "POLICY", policy)
    with pytest.raises(KeyboardInterrupt), packages.services_not_started():
        assert subprocess.run([policy], check=False).returncode == 101
        raise KeyboardInterrupt
    assert (policy.read_text() if policy.exists() else None) == before
    assert before is None or policy.stat().st_mode & 0o777 == 0o750


def test_whoever_is_not_root_is_told_the_line_that_installs(monkeypatch, capsys):
    monkeypatch.setattr(packages.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(packages, "NEEDED", {"postgresql": lambda: False, "chromium": lambda: True})
    monkeypatch.setattr(packages, "apt_get", lambda *_: pytest.fail("only root may install"))
    assert packages.install_missing() == ["postgresql"]
    assert "apt-get install --no-install-recommends postgresql\n" in capsys.readouterr().out
