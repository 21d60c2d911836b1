"""Making a bundle, or bringing one up to date: what lies there whole is not fetched again."""

from __future__ import annotations

import fcntl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from installs.bundle import debian, product, repository, wheels
from installs.bundle.manifest import WORK, Bundle, BundledFile, BundleError
from installs.packages import all_packages
from installs.rendering.values import RELEASES


def make_bundle(release: str, folder: Path, say: Callable[[str], None], architecture: str = "") -> Bundle:
    """Fetch everything for `release` into `folder`. BundleError in words."""
    if release not in RELEASES:
        raise BundleError(f"There are no bundles for {release}: choose {' or '.join(RELEASES)}.")
    architecture = architecture or _own_architecture()
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        packages = fetch_packages(release, folder, architecture, say)
        say(f"{len(packages) - 1} packages. Fetching wheels.")
        found: list[BundledFile] = []
        by_python: dict[str, tuple[str, ...]] = {}
        for python in sorted({each.python for each in RELEASES.values()}):
            fetched = wheels.fetch_wheels(Path(settings.BASE_DIR), folder, python, architecture)
            by_python[python] = tuple(each.path for each in fetched)
            found += fetched
            say(f"{len(fetched)} wheels for Python {python}.")
        program = product.pack(Path(settings.BASE_DIR), folder)
        version = program.name.removeprefix("deployon-").removesuffix(".tar.gz")
        files = (*packages, *found, program)
        now = timezone.now().isoformat(timespec="seconds")
        names = tuple(all_packages(release))
        bundle = Bundle(folder, release, architecture, now, version, names, files, by_python)
        bundle.save()
    return bundle


def fetch_packages(release: str, folder: Path, architecture: str, say: Callable[[str], None]) -> list[BundledFile]:
    """Every package that a host of any part may need beyond a minimal Debian, and their index."""
    apt = debian.Apt(folder / WORK / f"apt-{release}", release, architecture)
    say(f"Reading the package lists of {release}.")
    apt.prepare()
    records = apt.records()
    base = debian.minimal_base(apt, records)
    debian.assume_installed(apt, records, base)
    chosen = apt.needed(all_packages(release))
    pinned = debian.pinned_by(records, chosen, base)
    pairs = sorted({*chosen, *pinned})
    say(f"Fetching {len(pairs)} packages, {len(pinned)} of them in case a host has older ones.")
    apt.fetch(pairs)
    return repository.take_in(apt.archives, folder, pairs)


def _own_architecture() -> str:
    try:
        command = ["dpkg", "--print-architecture"]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (FileNotFoundError, subprocess.CalledProcessError):
        raise BundleError("This machine has no dpkg. Make the bundle on Debian 12 or 13.") from None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One maker at a time for one folder."""
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BundleError(f"Somebody else makes the bundle in {folder} now. Wait for its end.") from None
        yield
