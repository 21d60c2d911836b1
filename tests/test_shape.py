"""The budgets: how long a file, a class and a function may be, and what no module may be called."""

import ast
import math
import sys

import pytest

from tests.source import FLOORS, modules_in, product

FILE, FILE_P95, CLASS, FUNCTION = 400, 250, 250, 60
DRAWERS = {"core", "common", "utils", "util", "helpers", "helper", "extras", "misc", "shared", "lib"}
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef


def own_code():
    return [module for module in [*product(), *modules_in("scripts", "bench")] if not module.is_migration]


def lines_of(node):
    return node.end_lineno - node.lineno + 1


def too_long(module, kinds, budget):
    return [
        f"{module.where}:{node.lineno}: {node.name} has {lines_of(node)} lines, budget {budget}"
        for node in ast.walk(module.tree)
        if isinstance(node, kinds) and lines_of(node) > budget
    ]


def test_no_file_is_longer_than_its_budget():
    lengths = {module.where: len(module.text.splitlines()) for module in own_code()}
    assert {where: length for where, length in lengths.items() if length > FILE} == {}


def test_nineteen_files_of_twenty_are_shorter_than_their_budget():
    lengths = sorted(length for module in own_code() if (length := len(module.text.splitlines())) > 5)
    p95 = lengths[math.ceil(len(lengths) * 0.95) - 1]
    longest = sorted(((len(module.text.splitlines()), module.where) for module in own_code()), reverse=True)[:12]
    assert p95 <= FILE_P95, f"the 95th percentile is {p95} lines, budget {FILE_P95}; the longest: {longest}"


def test_no_class_is_longer_than_its_budget():
    assert [line for module in own_code() for line in too_long(module, ast.ClassDef, CLASS)] == []


def test_no_function_is_longer_than_its_budget():
    assert [line for module in own_code() for line in too_long(module, FUNCTIONS, FUNCTION)] == []


def test_no_module_is_a_drawer_for_everything():
    assert [module.where for module in own_code() if DRAWERS & set(module.name.split("."))] == []


def test_no_app_hides_a_module_of_the_standard_library():
    assert set(FLOORS) & sys.stdlib_module_names == set()


def test_every_module_says_what_lives_in_it():
    silent = [module.where for module in own_code() if module.text.strip() and not ast.get_docstring(module.tree)]
    assert silent == []


def test_every_model_says_what_a_row_is():
    silent = [
        f"{module.where}:{node.lineno}: {node.name}"
        for module in product()
        if ".models" in module.name
        for node in module.tree.body
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("Model") for base in node.bases)
        if not ast.get_docstring(node)
    ]
    assert silent == []


@pytest.mark.parametrize(("length", "findings"), [(FUNCTION, 0), (FUNCTION + 1, 1)])
def test_a_function_over_its_budget_is_found(tmp_path, length, findings):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "long.py").write_text("def long():\n" + "    pass\n" * (length - 1))
    (module,) = modules_in("runs", root=tmp_path)
    assert len(too_long(module, FUNCTIONS, FUNCTION)) == findings
