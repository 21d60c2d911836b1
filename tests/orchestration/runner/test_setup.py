"""The runner's own environment: what its lock file holds, and when it is made again."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from orchestration import runner_setup


def test_every_package_of_the_lock_has_a_hash_and_no_registry_is_named():
    text = runner_setup.REQUIREMENTS.read_text()
    pins = [line for line in text.splitlines() if re.match(r"^[a-z]", line)]
    assert len(pins) >= 17 and all("==" in line and line.endswith("\\") for line in pins)
    assert text.count("--hash=sha256:") >= len(pins)
    assert "http" not in text and "index-url" not in text


def test_the_vulnerable_pins_of_the_library_are_not_installed():
    text = runner_setup.REQUIREMENTS.read_text()
    assert "cloudify-common==7.0.5" in text
    for name in ("aiohttp", "pika", "wagon", "fasteners", "distro"):
        assert f"\n{name}==" not in text


def test_the_lock_is_split_into_build_packages_and_the_rest_without_loss():
    build, rest = runner_setup.split_lock(runner_setup.REQUIREMENTS.read_text())
    assert {line.split("==")[0] for line in build.splitlines() if "==" in line} == {"setuptools", "wheel"}
    assert build.count("--hash") + rest.count("--hash") == runner_setup.REQUIREMENTS.read_text().count("--hash")


def test_an_environment_that_matches_is_left_alone_and_one_that_does_not_is_not_taken_for_it(runner_settings, tmp_path):
    assert runner_setup.is_current() and runner_setup.make() is False
    assert not runner_setup.is_current(tmp_path)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()
    (tmp_path / runner_setup.STAMP).write_text("0000\n/usr/bin/python3\n")
    assert not runner_setup.is_current(tmp_path)


def test_the_environment_has_neither_django_nor_build_tools(runner_settings):
    python = runner_settings.venv / "bin" / "python"
    for name in ("django", "setuptools", "aiohttp"):
        done = subprocess.run([python, "-I", "-c", f"import {name}"], capture_output=True, check=False)
        assert done.returncode != 0 and b"ModuleNotFoundError" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_an_interpreter_below_a_closed_folder_is_not_readable_by_all(tmp_path):
    tmp_path.chmod(0o700)
    program = tmp_path / "python"
    program.touch(0o755)
    assert not runner_setup.is_readable_by_all(str(program))
    assert runner_setup.is_readable_by_all("/bin/sh")
