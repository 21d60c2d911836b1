"""What a resource looks like on the wire: its fields, where each comes from, and what a list must load for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable
from typing import Any

from django.db.models import Prefetch, QuerySet

from orchestration.errors import Refused, bad_parameters
from orchestration.wire.times import read_time, wire_time

Read = Callable[[Any], Any]


def read_bool(text: str, name: str) -> bool:
    """`true` or `false`, in any case: the Python client sends True."""
    lowered = text.strip().lower()
    if lowered not in ("true", "false"):
        raise bad_parameters(f"{name}: `{text}` is neither true nor false")
    return lowered == "true"


def read_int(text: str, name: str) -> int:
    """A whole number."""
    try:
        return int(text)
    except ValueError:
        raise bad_parameters(f"{name}: `{text}` is not a whole number") from None


def read_text(text: str, name: str) -> str:
    """As it came."""
    return text


@dataclasses.dataclass(frozen=True)
class Field:
    """One field: how to read it from a row, and the column that sorts and filters by it ("" where neither is possible)."""

    read: Read
    column: str = ""
    to_column: Callable[[str, str], Any] = read_text
    joins: tuple[str, ...] = ()  # for select_related
    prefetches: tuple[Callable[[], Prefetch[Any]], ...] = ()  # made anew for each list
    loads: tuple[str, ...] = ()  # large columns that stay in the database when nobody asks for this field
    annotations: tuple[tuple[str, Any], ...] = ()  # (name, expression) that it reads besides columns


def column(name: str, to_column: Callable[[str, str], Any] = read_text, **more: Any) -> Field:
    """A field that is a column of the row itself, or of one that it points to (`a__b`)."""
    path = name.split("__")

    def read(row: Any) -> Any:
        for part in path:
            row = getattr(row, part) if row is not None else None
        return row

    joins = ("__".join(path[:-1]),) if len(path) > 1 else ()
    return Field(read, name, to_column, **{"joins": joins, **more})


def time(name: str) -> Field:
    """A time column."""
    return Field(lambda row: wire_time(getattr(row, name)), name, read_time)


def always(value: Any) -> Field:
    """A field that is the same everywhere here; the caller gets a value of its own."""
    return Field(
        lambda row: list(value) if isinstance(value, list) else dict(value) if isinstance(value, dict) else value
    )


def owned(tenant: str = "tenant__name", visibility: str = "visibility") -> dict[str, Field]:
    """The fields that every resource of a tenant has."""
    return {
        "tenant_name": column(tenant),
        "created_by": column("created_by__username"),
        "resource_availability": column(visibility),
        "private_resource": Field(lambda row: column(visibility).read(row) == "private"),
    }


@dataclasses.dataclass(frozen=True)
class Shape:
    """All fields of a resource, in the order of v3.1."""

    kind: str  # as v3.1 names the model in messages
    fields: dict[str, Field]
    search: tuple[str, ...] = ("wire_id",)
    also_filters: tuple[str, ...] = ()  # further names allowed in a query, handled by the view
    order: tuple[str, ...] = ("created_at", "pk")
    heavy: tuple[str, ...] = ()  # large columns of joined rows that no field needs

    def included(self, text: str | None) -> list[str]:
        """The field names of `_include`; all where it is not given."""
        if not text:
            return list(self.fields)
        names = [name.strip() for name in text.split(",") if name.strip()]
        unknown = [name for name in names if name not in self.fields]
        if unknown:
            raise Refused(
                400,
                "no_such_include_field_error",
                f"Include keys '{unknown}' do not exist. Allowed keys are: {list(self.fields)}",
            )
        return [name for name in self.fields if name in names]

    def load(self, rows: QuerySet[Any], include: Collection[str]) -> QuerySet[Any]:
        """The same rows with what these fields need, in a number of queries that does not depend on the number of rows."""
        wanted = [self.fields[name] for name in include]
        joins = {join for field in wanted for join in field.joins}
        large = {name for field in self.fields.values() for name in field.loads}
        unused = large - {name for field in wanted for name in field.loads}
        # A row that is not joined has no columns to leave out.
        joined = {"__".join(join.split("__")[:end]) for join in joins for end in range(1, join.count("__") + 2)}
        unused = {name for name in unused | set(self.heavy) if "__" not in name or name.rpartition("__")[0] in joined}
        rows = rows.select_related(*sorted(joins)) if joins else rows
        prefetches = dict.fromkeys(make for field in wanted for make in field.prefetches)
        rows = rows.prefetch_related(*(make() for make in prefetches))
        annotations = dict(entry for field in wanted for entry in field.annotations)
        rows = rows.annotate(**annotations) if annotations else rows
        return rows.defer(*sorted(unused)) if unused else rows

    def render(self, row: Any, include: Iterable[str] | None = None) -> dict[str, Any]:
        """One row as JSON."""
        names = self.fields if include is None else include
        return {name: self.fields[name].read(row) for name in names}
