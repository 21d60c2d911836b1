#!/usr/bin/env python3
"""Re-creates static/vendor/ from npm packages, with a manifest of licences and digests; needs `npm`, runs only when a version changes.

To raise a version: edit PACKAGES, run `.venv/bin/python scripts/vendor.py`, look at the diff, commit both. tests/test_vendor.py checks
that what is committed is what the manifest says.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

VENDOR = Path(__file__).resolve().parent.parent / "static" / "vendor"

# The package of Tabler ships no licence file; this is the one of its repository, with the years its own header names.
TABLER_LICENSE = """\
The MIT License (MIT)

Copyright (c) 2018-2026 The Tabler Authors
Copyright (c) 2018-2026 codecalm.net Paweł Kuna

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in
all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN
THE SOFTWARE.
"""


@dataclass(frozen=True)
class Package:
    """One npm package: `files` maps a path inside it to a path inside `folder`."""

    name: str
    version: str
    licence: str
    folder: str
    files: dict[str, str]
    licence_text: str = ""


PACKAGES = [
    Package(
        "@tabler/core",
        "1.6.1",
        "MIT",
        "tabler",
        {"dist/css/tabler.min.css": "tabler.min.css", "dist/js/tabler.min.js": "tabler.min.js"},
        TABLER_LICENSE,
    ),
    Package("htmx.org", "2.0.11", "0BSD", "htmx", {"dist/htmx.min.js": "htmx.min.js"}),
    Package(
        "leaflet",
        "1.9.4",
        "BSD-2-Clause",
        "leaflet",
        {
            "dist/leaflet.js": "leaflet.js",
            "dist/leaflet.css": "leaflet.css",
            **{
                f"dist/images/{image}.png": f"images/{image}.png"
                for image in ("layers", "layers-2x", "marker-icon", "marker-icon-2x", "marker-shadow")
            },
        },
    ),
    Package(
        "world-atlas",
        "2.0.2",
        "ISC",
        "world-atlas",
        {"land-110m.json": "land-110m.json", "countries-110m.json": "countries-110m.json"},
    ),
    Package(
        "topojson-client", "3.1.0", "ISC", "topojson-client", {"dist/topojson-client.min.js": "topojson-client.min.js"}
    ),
    Package(
        "uplot",
        "1.6.32",
        "MIT",
        "uplot",
        {"dist/uPlot.iife.min.js": "uPlot.iife.min.js", "dist/uPlot.min.css": "uPlot.min.css"},
    ),
    Package(
        "@fontsource-variable/inter",
        "5.3.0",
        "OFL-1.1",
        "inter",
        {"files/inter-latin-wght-normal.woff2": "inter-latin-wght-normal.woff2"},
    ),
    Package(
        "@fontsource-variable/jetbrains-mono",
        "5.3.0",
        "OFL-1.1",
        "jetbrains-mono",
        {"files/jetbrains-mono-latin-wght-normal.woff2": "jetbrains-mono-latin-wght-normal.woff2"},
    ),
]

SOURCE_MAP = re.compile(rb"\n?(?://[#@] sourceMappingURL=\S+|/\*[#@] sourceMappingURL=.*?\*/)\s*\Z")


def without_source_map(path: str, content: bytes) -> bytes:
    """The maps are not shipped: a pointer to one would be a 404 in every browser's console, and fails WhiteNoise's manifest."""
    return SOURCE_MAP.sub(b"\n", content) if path.endswith((".js", ".css")) else content


def download(package: Package, work: Path) -> dict[str, bytes]:
    """The files of the package as npm packs it, by path inside the package."""
    command = ["npm", "pack", "--silent", "--pack-destination", str(work), f"{package.name}@{package.version}"]
    packed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]
    with tarfile.open(work / packed) as archive:
        members = {member.name.split("/", 1)[1]: member for member in archive.getmembers() if member.isfile()}
        wanted = [*package.files, *([] if package.licence_text else ["LICENSE"])]
        if missing := [path for path in wanted if path not in members]:
            raise SystemExit(
                f"{package.name} {package.version} has no {', '.join(missing)}: correct PACKAGES in {__file__}."
            )
        return {path: archive.extractfile(members[path]).read() for path in wanted}  # type: ignore[union-attr]


def write(package: Package, contents: dict[str, bytes]) -> list[dict[str, str]]:
    """Writes the files of one package; returns their manifest entries."""
    licence = package.licence_text.encode() or contents["LICENSE"]
    files = {"LICENSE": licence} | {
        target: without_source_map(target, contents[source]) for source, target in package.files.items()
    }
    entries = []
    for target, content in files.items():
        path = VENDOR / package.folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        entries.append(
            {
                "name": package.name,
                "version": package.version,
                "licence": package.licence,
                "file": f"{package.folder}/{target}",
                "sha256": hashlib.sha256(content).hexdigest(),
            }
        )
    return entries


def main() -> None:
    if not shutil.which("npm"):
        sys.exit(
            "npm is missing; it is needed only to raise a version of a vendored asset (Debian: apt-get install npm)."
        )
    manifest: list[dict[str, str]] = []
    with tempfile.TemporaryDirectory() as work:
        fetched = [(package, download(package, Path(work))) for package in PACKAGES]
    shutil.rmtree(VENDOR, ignore_errors=True)
    for package, contents in fetched:
        manifest += write(package, contents)
    (VENDOR / "MANIFEST.json").write_text(json.dumps(manifest, indent=1) + "\n")
    print(f"{len(manifest)} files in {VENDOR}")


if __name__ == "__main__":
    main()
