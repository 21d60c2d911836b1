"""docs/compatibility.md speaks of every command that `cfy` has, and what it says of each is what a test here has seen."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

from tests.source import ROOT

VERDICTS = {"same", "better", "part", "refused", "local"}
WORKS = {"__call__", "rows", "one", "table", "say"}


def rows():
    """{command: verdict} of the table."""
    text = (
        (ROOT / "docs" / "compatibility.md").read_text().partition("\n## The command line\n")[2].partition("\n## ")[0]
    )
    found = {}
    for line in text.splitlines():
        match = re.match(r"\| `cfy ([^|]+)` \| ([a-z ]+)(?: \||$)", line)
        for command in re.split(r"`, `cfy ", match[1]) if match else ():
            assert command not in found, f"{command} is in the table twice"
            found[command] = match[2].strip()
    return found


def calls():
    """{command: the ways in which tests run it}, read from their sources."""
    found = defaultdict(set)
    for path in Path(__file__).parent.glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                way = node.func.attr if isinstance(node.func, ast.Attribute) else "__call__"
                if way in WORKS | {"refused"} and isinstance(node.args[0].value, str):
                    found[node.args[0].value].add(way)
    for path in Path(__file__).parent.glob("*.py"):  # a profile is used by the fixtures
        if ".use(" in path.read_text():
            found["profiles use"].add("__call__")
    return found


def test_every_command_is_in_the_table_and_nothing_else(cfy):
    commands = set(cfy.tree())
    assert len(commands) > 200
    assert sorted(commands - rows().keys()) == [] and sorted(rows().keys() - commands) == []


def test_every_row_has_a_verdict():
    assert set(rows().values()) <= VERDICTS


@pytest.mark.parametrize("verdict", ["same", "better", "part"])
def test_what_is_said_to_work_is_run(verdict):
    ran = calls()
    assert [name for name, said in rows().items() if said == verdict and not ran[name] & WORKS] == []


def test_what_is_said_to_be_refused_is_refused():
    ran = calls()
    assert [name for name, said in rows().items() if said == "refused" and "refused" not in ran[name]] == []
