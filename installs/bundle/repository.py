"""A folder of packages as a package source: the index that apt reads, and the line that makes it a source."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from installs.bundle.debian import parse_records
from installs.bundle.manifest import PACKAGES, BundledFile, BundleError

INDEX = "Packages"


def take_in(archives: Path, folder: Path, wanted: Iterable[tuple[str, str]]) -> list[BundledFile]:
    """The wanted packages out of apt's archives into the bundle, under names without colons, and the index of them."""
    place = folder / PACKAGES
    place.mkdir(exist_ok=True)
    missing, found, paragraphs = set(wanted), [], []
    for source in sorted(archives.glob("*.deb")):
        control = _control_of(source)
        record = parse_records(control)[0]
        pair = (record["Package"], record["Version"])
        if pair not in missing:
            continue
        missing.discard(pair)
        name = f"{record['Package']}_{record['Version'].rpartition(':')[2]}_{record['Architecture']}.deb"
        if not (place / name).exists() or (place / name).stat().st_size != source.stat().st_size:
            shutil.copyfile(source, place / name)
        file = BundledFile.of(folder, f"{PACKAGES}/{name}", package=pair[0], version=pair[1])
        found.append(file)
        paragraphs.append(f"{control.strip()}\nFilename: ./{name}\nSize: {file.size}\nSHA256: {file.sha256}\n")
    if missing:
        raise BundleError(
            f"Not fetched: {', '.join(f'{name} {version}' for name, version in sorted(missing))}. Try again."
        )
    (place / INDEX).write_text("\n".join(paragraphs))
    found.append(BundledFile.of(folder, f"{PACKAGES}/{INDEX}"))
    keep_only(place, {each.name for each in found})
    return found


def keep_only(place: Path, names: set[str]) -> None:
    """What an earlier bundle left goes."""
    for path in place.iterdir():
        if path.is_file() and path.name not in names:
            path.unlink()


def _control_of(path: Path) -> str:
    """The control paragraph of a package file."""
    done = subprocess.run(["dpkg-deb", "--field", path], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        path.unlink()
        raise BundleError(f"{path.name} is damaged and was removed: {done.stderr.strip()} Make the bundle again.")
    return done.stdout


def source_for(place: str) -> str:
    """The apt source of a folder on a host.

    Trusted by its place, not by a signature: the folder belongs to root, what lies in it came over SSH from the portal with its
    digest checked, and the portal had apt check Debian's signatures when it fetched. A key of ours would reach the host the same
    way as the packages, and would prove no more.
    """
    return f"Types: deb\nURIs: file:{place}\nSuites: ./\nTrusted: yes\n"
