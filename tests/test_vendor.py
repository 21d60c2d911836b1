"""The assets that pages load are those of the manifest, byte for byte, and ask nothing from outside."""

import hashlib
import json
import re
from pathlib import Path

VENDOR = Path(__file__).resolve().parents[1] / "static" / "vendor"
MANIFEST = json.loads((VENDOR / "MANIFEST.json").read_text())


def test_every_vendored_file_has_the_digest_of_the_manifest():
    digests = {entry["file"]: hashlib.sha256((VENDOR / entry["file"]).read_bytes()).hexdigest() for entry in MANIFEST}
    assert digests == {entry["file"]: entry["sha256"] for entry in MANIFEST}


def test_nothing_lies_beside_what_the_manifest_lists():
    found = {str(path.relative_to(VENDOR)) for path in VENDOR.rglob("*") if path.is_file()}
    assert found == {entry["file"] for entry in MANIFEST} | {"MANIFEST.json"}


def test_every_package_comes_with_its_version_and_its_licence_in_full():
    for entry in MANIFEST:
        assert entry["version"] and entry["licence"], entry
        licence = VENDOR / Path(entry["file"]).parts[0] / "LICENSE"
        assert len(licence.read_text()) > 500, f"{licence} is no licence"


def test_no_style_sheet_or_script_loads_anything_from_another_host_or_a_file_that_is_not_there():
    for path in [*VENDOR.rglob("*.css"), *VENDOR.rglob("*.js")]:
        text = path.read_text()
        assert "sourceMappingURL" not in text, f"{path} names a source map that is not shipped"
        assert not re.search(r"@import|url\(\s*['\"]?(https?:)?//", text), f"{path} loads something from another host"
        if path.suffix == ".css":
            for target in re.findall(r"url\(\s*['\"]?(?!data:|#)([^'\")]+)", text):
                assert (path.parent / target).exists(), f"{path} names {target}, which is not there"
