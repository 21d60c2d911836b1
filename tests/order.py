"""Which files begin: those whose few tests take long, so that no worker ends with them while the other has nothing left to do."""

from __future__ import annotations

import re
from collections import Counter

import pytest

LONG = re.compile(
    r"tests/(portal/test_demo|\w+/test_\w+_lab\.py|lab/test_|pages/test_\w*in_browser|\w+/test_two_workers|deployon/test_crashes"
    r"|deployon/test_real_sub_managers|deployon/test_worlds_that_change|orchestration/cfy/|installs/test_drills_counter|runs/test_processes)"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, then those with most tests. With `--dist loadfile --no-loadscope-reorder` workers take them in this order."""
    sizes = Counter(item.location[0] for item in items)
    items.sort(key=lambda item: (not LONG.match(item.location[0]), -sizes[item.location[0]], item.location[0]))
