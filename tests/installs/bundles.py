"""Small bundles with real packages in them, made by dpkg-deb in a moment."""

from __future__ import annotations

import subprocess
from pathlib import Path

from installs.bundle import repository
from installs.bundle.manifest import Bundle, BundledFile


def make_deb(folder: Path, name: str, *, version: str = "1.0", depends: str = "", size: int = 100) -> Path:
    """A package with one file of `size` bytes."""
    tree = folder / f"{name}.tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "usr/share" / name).mkdir(parents=True)
    (tree / "usr/share" / name / "content").write_bytes(b"\0" * size)
    (tree / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: Tests <tests@example.org>\n"
        + (f"Depends: {depends}\n" if depends else "")
        + "Description: a package of the tests\n whose description goes on\n"
    )
    for path in (tree, *tree.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    target = folder / f"{name}_{version.replace(':', '%3a')}_all.deb"
    subprocess.run(
        ["dpkg-deb", "--build", "--root-owner-group", "-Znone", tree, target],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return target


def make_bundle(folder: Path, *, size: int = 100) -> Bundle:
    """`greeter`, which depends on `greeting-words`; one wheel for each Python, and a product of one file."""
    archives = folder / ".work"
    make_deb(archives, "greeter", version="1:2.0-1", depends="greeting-words (>= 1)", size=size)
    make_deb(archives, "greeting-words", size=size)
    files = repository.take_in(archives, folder, [("greeter", "1:2.0-1"), ("greeting-words", "1.0")])
    wheels = {}
    for path in ("wheels/3.11/tool-1-py3-none-any.whl", "wheels/3.13/tool-1-py3-none-any.whl", "product/it.tar.gz"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)
        files.append(BundledFile.of(folder, path))
        if path.startswith("wheels"):
            wheels[path.split("/")[1]] = (path,)
    bundle = Bundle(folder, "trixie", "all", "2026-01-01T00:00:00+00:00", "1", ("greeter",), tuple(files), wheels)
    bundle.save()
    return bundle
