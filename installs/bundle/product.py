"""The product itself as one archive: what a host needs to run it, the same bytes each time it is made from the same files."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

from installs.bundle.manifest import PRODUCT, BundledFile
from installs.bundle.repository import keep_only

APPS = ("accounts", "runs", "inventory", "installs", "deployon", "orchestration", "portal")
FOLDERS = (*APPS, "templates", "static", "scripts")
FILES = (
    "manage.py", "requirements.txt", "requirements-runner.txt", "requirements-tools.txt", "LICENSE", "NOTICE", "pyproject.toml",
)  # fmt: skip
LEFT_OUT = ("__pycache__", ".pyc", ".pyo")


def files_of(root: Path) -> Iterator[Path]:
    for name in FILES:
        yield root / name
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and not any(part.endswith(LEFT_OUT) for part in path.relative_to(root).parts):
                yield path


def version_of(root: Path) -> str:
    """Names the product as it is here: the first 12 digits of a digest of all its files."""
    return _version(_tar(root))


def pack(root: Path, folder: Path) -> BundledFile:
    """Make product/deployon-<version>.tar.gz; all in it lies below `deployon/`."""
    plain = _tar(root)
    place = folder / PRODUCT
    place.mkdir(exist_ok=True)
    name = f"deployon-{_version(plain)}.tar.gz"
    with (place / name).open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write(plain)
    keep_only(place, {name})
    return BundledFile.of(folder, f"{PRODUCT}/{name}")


def _version(plain: bytes) -> str:
    return hashlib.sha256(plain).hexdigest()[:12]


def _tar(root: Path) -> bytes:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in files_of(root):
            content = path.read_bytes()
            entry = tarfile.TarInfo(f"deployon/{path.relative_to(root).as_posix()}")
            entry.size, entry.mode = len(content), 0o755 if path.stat().st_mode & 0o100 else 0o644
            archive.addfile(entry, io.BytesIO(content))
    return plain.getvalue()
