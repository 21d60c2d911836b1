"""What a resource looks like on the wire: its fields, where each comes from, and what a list must load for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from django.db.models import Expression, Prefetch, QuerySet

from orchestration.errors import Refused, bad_parameters
from orchestration.wire.times import AsText, read_time, wire_time

Read = Callable[[Any], Any]


@dataclasses.dataclass(frozen=True)
class Computed:
    """A part of a field that the database computes for a list, where a row at hand has it as `name`."""

    name: str
    expression: Expression


@dataclasses.dataclass(frozen=True)
class Beside:
    """A part of a field that is read beside the rows, in one query for many of them: {key: value} of these keys."""

    read: Callable[[Sequence[Any]], dict[Any, Any]]
    key: str = "pk"
    missing: Any = None


Part = str | Computed | Beside  # a text is the path of a column


def part_of(row: Any, part: Part) -> Any:
    """A part of a field, of a row that is at hand."""
    if isinstance(part, Beside):
        key = part_of(row, part.key)
        return part.read([getattr(key, "pk", key)]).get(getattr(key, "pk", key), part.missing)
    for name in (part if isinstance(part, str) else part.name).split("__"):
        row = getattr(row, name, None) if row is not None else None
    return row


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
    # A field that is made of parts is read in lists without an object for each row, see orchestration.wire.plain.
    parts: tuple[Part, ...] | None = None
    of: Callable[..., Any] | None = None  # the value from its parts; the one part itself where there is nothing to do
    text: Callable[..., str] | None = None  # the same as JSON, where that is at hand before the value is


def made(of: Callable[..., Any] | None, *parts: Part, column: str = "", **more: Any) -> Field:
    """A field that is made of parts."""

    def read(row: Any) -> Any:
        values = [part_of(row, part) for part in parts]
        return of(*values) if of is not None else values[0]

    paths = [part.key if isinstance(part, Beside) else part for part in parts if not isinstance(part, Computed)]
    joins = tuple(dict.fromkeys(path.rpartition("__")[0] for path in paths if "__" in path))
    return Field(read, column, parts=parts, of=of, **{"joins": joins, **more})


def column(name: str, to_column: Callable[[str, str], Any] = read_text) -> Field:
    """A field that is a column of the row itself, or of one that it points to (`a__b`)."""
    return made(None, name, column=name, to_column=to_column)


def time(name: str) -> Field:
    """A time column."""
    return made(wire_time, Computed(name, AsText(name)), column=name, to_column=read_time)


def always(value: Any) -> Field:
    """A field that is the same everywhere here; the caller gets a value of its own."""
    return made(lambda: list(value) if isinstance(value, list) else dict(value) if isinstance(value, dict) else value)


def or_none(text: str | None) -> str | None:
    """An empty text is none."""
    return text or None


def is_private(visibility: str) -> bool:
    """Is it seen by its creator alone?"""
    return visibility == "private"


def owned(tenant: str = "tenant__name", visibility: str = "visibility") -> dict[str, Field]:
    """The fields that every resource of a tenant has."""
    return {
        "tenant_name": column(tenant),
        "created_by": column("created_by__username"),
        "resource_availability": column(visibility),
        "private_resource": made(is_private, visibility),
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
    is_plain: bool = False  # all fields are made of parts, and lists of it are long

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
        return rows.defer(*sorted(unused)) if unused else rows

    def render(self, row: Any, include: Iterable[str] | None = None) -> dict[str, Any]:
        """One row as JSON."""
        names = self.fields if include is None else include
        return {name: self.fields[name].read(row) for name in names}
