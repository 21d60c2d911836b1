"""What the tests of the house read: the product's own modules, parsed, and what they import."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FLOORS = {"accounts": 0, "runs": 1, "inventory": 2, "installs": 3, "deployon": 3, "orchestration": 3, "portal": 4}


@dataclass(frozen=True)
class Import:
    """One import statement's target. `at_import` is False inside a function or under TYPE_CHECKING: then it makes no cycle."""

    target: str
    line: int
    at_import: bool


@dataclass(frozen=True)
class Module:
    """One Python file; `name` is dotted, a package's __init__ goes by the package's name."""

    name: str
    path: Path

    @property
    def app(self) -> str:
        return self.name.split(".", 1)[0]

    @property
    def where(self) -> str:
        return str(self.path.relative_to(ROOT)) if self.path.is_relative_to(ROOT) else str(self.path)

    @property
    def is_migration(self) -> bool:
        return ".migrations." in self.name

    @cached_property
    def text(self) -> str:
        return self.path.read_text()

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=str(self.path))

    @property
    def package(self) -> str:
        """What a relative import starts from."""
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]

    def imports(self) -> Iterator[Import]:
        """Every import, also inside functions and by importlib.import_module("...") or __import__("...")."""
        yield from self._imports(self.tree, at_import=True)

    def _imports(self, node: ast.AST, at_import: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from (Import(alias.name, child.lineno, at_import) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = self._absolute(child)
                yield from (Import(f"{base}.{alias.name}", child.lineno, at_import) for alias in child.names)
            elif isinstance(child, ast.Call) and called(child) in ("import_module", "__import__"):
                if child.args and isinstance(child.args[0], ast.Constant) and isinstance(child.args[0].value, str):
                    yield Import(child.args[0].value, child.lineno, at_import)
            later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or is_type_checking(child)
            yield from self._imports(child, at_import and not later)

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.package.split(".")
        parts = parts[: len(parts) - node.level + 1]
        return ".".join([*parts, node.module] if node.module else parts)


def called(node: ast.Call) -> str:
    """Last part of the name that is called."""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def modules_in(*folders: str, root: Path = ROOT) -> list[Module]:
    """All modules below these top-level folders; those of another root are read as if it were the repository."""
    found = []
    for folder in folders:
        for path in sorted((root / folder).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found.append(Module(".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    return found


def product() -> list[Module]:
    return modules_in(*FLOORS)
