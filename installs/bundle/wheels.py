"""Python packages for hosts: every wheel of the locks, for each Python that hosts have, fetched by pip with its digests checked."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from installs.bundle.manifest import WHEELS, WORK, BundledFile, BundleError

TOOLS = "requirements-tools.txt"  # uv, which makes the environments on hosts
LOCKS = ("requirements.txt", "requirements-runner.txt", TOOLS)
# These have no wheel: hosts build them from their sources, with the setuptools that the lock names.
SOURCES_ONLY = frozenset({"cloudify-common", "proxy-tools"})
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
OLDEST_GLIBC, NEWEST_GLIBC = 5, 36  # of wheels that run on Debian 12 (2.36) and later
SECONDS = 1800


def platforms(architecture: str) -> list[str]:
    """Wheel platforms that run on Debian hosts of that architecture."""
    machine = MACHINES.get(architecture)
    if machine is None:
        raise BundleError(f"There are no bundles for {architecture}: choose {' or '.join(MACHINES)}.")
    modern = [f"manylinux_2_{minor}_{machine}" for minor in range(NEWEST_GLIBC, OLDEST_GLIBC - 1, -1)]
    return [*modern, *(f"{old}_{machine}" for old in ("manylinux2014", "manylinux2010", "manylinux1", "linux"))]


def requirements_of(text: str) -> Iterator[tuple[str, str, bool]]:
    """(name, requirement with its digests, whether it has a condition) of each pin in a lock; the condition is left out."""
    for block in re.findall(r"^[A-Za-z0-9].*(?:\n[ \t]+.*)*", text, flags=re.MULTILINE):
        plain = re.sub(r"(?m)^[ \t]*#.*\n?", "", block)
        without, count = re.subn(r"\s*;[^\\\n]*", " ", plain, count=1)
        yield re.split(r"[=<>\[ ]", plain, maxsplit=1)[0].lower(), without, bool(count)


def fetch_wheels(root: Path, folder: Path, python: str, architecture: str) -> list[BundledFile]:
    """Everything for one Python ("3.13"). pip judges conditions by the Python that it runs on itself, so each side is fetched."""
    place = folder / WHEELS / python
    if not is_complete(root, folder, python, architecture):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        _fetch_all(root, place, python, architecture)
        _stamp(folder, python).parent.mkdir(exist_ok=True)
        _stamp(folder, python).write_text(_wanted(root, architecture))
    return [BundledFile.of(folder, f"{WHEELS}/{python}/{path.name}") for path in sorted(place.iterdir())]


def is_complete(root: Path, folder: Path, python: str, architecture: str) -> bool:
    """Whether the wheels there are those of these locks."""
    stamp = _stamp(folder, python)
    return stamp.exists() and stamp.read_text() == _wanted(root, architecture)


def _stamp(folder: Path, python: str) -> Path:
    """The file that says for which locks the wheels were fetched."""
    return folder / WORK / f"wheels-{python}"


def _wanted(root: Path, architecture: str) -> str:
    return hashlib.sha256("".join([architecture, *((root / lock).read_text() for lock in LOCKS)]).encode()).hexdigest()


def _fetch_all(root: Path, place: Path, python: str, architecture: str) -> None:
    names = set()
    for lock in LOCKS:
        pins = list(requirements_of((root / lock).read_text()))
        names |= {name for name, _, _ in pins}
        _download(
            place,
            python,
            architecture,
            [pin for name, pin, is_bound in pins if not is_bound and name not in SOURCES_ONLY],
        )
        _download_sources(place, [pin for name, pin, _ in pins if name in SOURCES_ONLY])
        for _, pin, is_bound in pins:
            if is_bound:
                _download(place, python, architecture, [pin], may_lack=True)
    there = {_distribution(path.name) for path in place.iterdir()}
    if lacking := {name for name in names if re.sub(r"[-_.]+", "-", name) not in there}:
        raise BundleError(f"There is no wheel for Python {python} of: {', '.join(sorted(lacking))}.")


def _distribution(file_name: str) -> str:
    """Its name, of a wheel or a source archive."""
    stem = file_name.split("-")[0] if file_name.endswith(".whl") else file_name.rpartition("-")[0]
    return re.sub(r"[-_.]+", "-", stem).lower()


def _download(place: Path, python: str, architecture: str, pins: list[str], *, may_lack: bool = False) -> None:
    only = ["--only-binary=:all:", "--implementation=cp", f"--python-version={python}"]
    target = [f"--platform={platform}" for platform in platforms(architecture)]
    said = _pip(place, [*only, *target], pins)
    if said and not (may_lack and "No matching distribution found" in said):
        raise BundleError(f"pip could not fetch the wheels for Python {python}: {said}")


def _download_sources(place: Path, pins: list[str]) -> None:
    if said := _pip(place, ["--no-binary=:all:"], pins):
        raise BundleError(f"pip could not fetch sources: {said}")


def _pip(place: Path, options: Iterable[str], pins: list[str]) -> str:
    """Its last words where it failed, else ""."""
    if not pins:
        return ""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(pins))
        file.flush()
        command = [
            sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps",
            "--require-hashes", "--dest", str(place), *options, "--requirement", file.name,
        ]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return f"it did not end within {SECONDS} s. Check that the package index answers."
    return done.stderr.strip()[-1500:] if done.returncode else ""
