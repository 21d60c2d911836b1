"""docs/security.md and docs/bad-days.md name tests that exist."""

import re

import pytest

from tests.source import ROOT

NAMED = re.compile(r"`((?:\w+/)*test_\w+\.py)?(?:::(test_\w+))?`")


def named(page):
    """(file, test or "") of everything that looks like one; `::test` alone is in the file named before."""
    file = ""
    for match in NAMED.finditer((ROOT / "docs" / page).read_text()):
        file = match[1] or file
        if match[1] or match[2]:
            yield file, match[2] or ""


@pytest.mark.parametrize("page", ["security.md", "bad-days.md"])
def test_every_test_that_the_page_names_is_there(page):
    found = list(named(page))
    missing = [
        f"{file}::{test}"
        for file, test in found
        if not (ROOT / "tests" / file).is_file() or (test and f"def {test}(" not in (ROOT / "tests" / file).read_text())
    ]
    assert missing == [] and len(found) > 20
