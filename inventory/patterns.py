"""Text patterns in SQL that mean the same on SQLite and PostgreSQL: `_` is any one character, everything else is itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, Lookup
from django.db.models.sql.compiler import SQLCompiler

_GLOB = str.maketrans({"_": "?", "*": "[*]", "?": "[?]", "[": "[[]"})
_LIKE = str.maketrans({"%": r"\%", "\\": r"\\"})


def _glob(text: str) -> str:
    return text.translate(_GLOB)


def _like(text: str) -> str:
    return text.translate(_LIKE)


class _Pattern(Lookup):
    """Compares a column with a pattern; subclasses say where it may stand and whether case counts."""

    prepare_rhs = False
    is_open_before = True
    is_open_after = True
    is_case_sensitive = True

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, list[Any]]:  # type: ignore[override]
        left, params = self.process_lhs(compiler, connection)
        if connection.vendor == "sqlite" and self.is_case_sensitive:
            # LIKE of SQLite ignores the case of ASCII letters; GLOB does not.
            return f"{left} GLOB %s", [*params, self._surround("*", _glob)]
        operator = "LIKE" if self.is_case_sensitive or connection.vendor == "sqlite" else "ILIKE"
        return f"{left} {operator} %s ESCAPE '\\'", [*params, self._surround("%", _like)]

    def _surround(self, anything: str, escape: Callable[[str], str]) -> str:
        before = anything if self.is_open_before else ""
        after = anything if self.is_open_after else ""
        return before + escape(str(self.rhs)) + after


@Field.register_lookup
class HoldsPattern(_Pattern):
    """The pattern stands somewhere in the column; case counts."""

    lookup_name = "holds_pattern"


@Field.register_lookup
class BeginsWithPattern(_Pattern):
    """The column begins with the pattern; case does not count."""

    lookup_name = "begins_with_pattern"
    is_open_before = False
    is_case_sensitive = False


@Field.register_lookup
class EndsWithPattern(_Pattern):
    """The column ends with the pattern; case does not count."""

    lookup_name = "ends_with_pattern"
    is_open_after = False
    is_case_sensitive = False
