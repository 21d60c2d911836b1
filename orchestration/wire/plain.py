"""Rows of big lists as JSON, straight from the values of columns: no object, no dictionary and no parsed plan for each row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from json.encoder import encode_basestring
from operator import itemgetter
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Expression, QuerySet
from django.db.models.sql.compiler import SQLCompiler
from rest_framework.renderers import JSONRenderer
from rest_framework.utils.encoders import JSONEncoder

from orchestration.wire.shapes import Beside, Computed, Field, Part, Shape

BATCH = 5_000  # keys in one query: databases take no end of them
encode: Callable[[Any], str] = JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
SIMPLE = {None: "null", True: "true", False: "false"}
Write = Callable[[Any], str]


def text_of(value: Any) -> str:
    """Any value as JSON."""
    if type(value) is str:
        return encode_basestring(value)
    if value is None or value is True or value is False:
        return SIMPLE[value]
    return str(value) if type(value) is int else encode(value)


class Keys(Expression):
    """Keys of rows for an `__in`, as part of the query's text where they are numbers: as parameters a thousand cost more than their rows."""

    def __init__(self, keys: Sequence[int]) -> None:
        super().__init__()
        self.keys = keys

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, tuple[str | int, ...]]:
        return f"({','.join(map(int.__repr__, self.keys)) or 'NULL'})", ()


def among(keys: Sequence[Any]) -> Any:
    """What to compare a key with by `__in`."""
    return Keys(keys) if all(type(key) is int for key in keys) else keys


class PlainRows:
    """How the rows of a list are read and written, for some fields of a shape."""

    def __init__(self, shape: Shape, include: Sequence[str], *, also: Sequence[str] = ()) -> None:
        self.fields = {name: shape.fields[name] for name in include}
        # Name of a part -> what is asked of the database; `also` without being a field's.
        self.columns: dict[str, Any] = {name: name for name in ("pk", *also)}
        self.beside: list[Beside] = []
        parts = [part for field in self.fields.values() for part in field.parts or ()]
        for part in parts:
            if isinstance(part, Beside):
                self.columns.setdefault(part.key, part.key)
                if part not in self.beside:
                    self.beside.append(part)
            else:
                self.columns.setdefault(*self.asked(part))
        self.names = list(self.columns)
        self.writers = list(self.compiled(self.fields))

    @staticmethod
    def asked(part: str | Computed) -> tuple[str, Any]:
        """The name of a part, and the column or expression."""
        # A time as it stands in the database and as its text are two columns.
        return (part, part) if isinstance(part, str) else (f"{part.name} computed", part.expression)

    def place(self, part: Part) -> int:
        """Where a part stands in the values of a row: after the columns come the values that are read beside them."""
        if isinstance(part, Beside):
            return len(self.names) + self.beside.index(part)
        return self.names.index(self.asked(part)[0])

    def compiled(self, fields: dict[str, Field]) -> Iterator[tuple[str, Any, Write]]:
        """(text, what takes the parts of a field from the values of a row, what makes JSON of them).

        What is the same in all rows is part of the text.
        """
        before = "{"
        for number, (name, field) in enumerate(fields.items()):
            before += f"{',' if number else ''}{encode(name)}:"
            if field.parts:
                yield before, itemgetter(*map(self.place, field.parts)), writer(field)
                before = ""
            else:
                before += text_of(self.value(field, ()))
        yield before + "}", len, lambda _: ""

    def value(self, field: Field, values: Sequence[Any]) -> Any:
        """The value of a field."""
        found = [values[self.place(part)] for part in field.parts or ()]
        return field.of(*found) if field.of is not None else found[0]

    def values(self, rows: QuerySet[Any], keys: Sequence[Any]) -> Iterator[list[Any]]:
        """The values of the rows with these keys, in their order; a row that is gone meanwhile is left out."""
        columns = [*self.columns.values()]
        every = rows.model._default_manager.all()
        for start in range(0, len(keys), BATCH):
            batch = keys[start : start + BATCH]
            # Nothing but the key was asked for: it is at hand.
            found = (
                every.filter(pk__in=among(batch)).values_list(*columns)
                if len(columns) > 1
                else [(key,) for key in batch]
            )
            by_key = {values[0]: values for values in found}
            listed = [list(by_key[key]) for key in batch if key in by_key]
            for beside in self.beside:
                at = self.names.index(beside.key)
                wanted = [values[at] for values in listed if values[at] is not None]
                at_hand = beside.read(wanted) if wanted else {}
                for values in listed:
                    values.append(at_hand.get(values[at], beside.missing))
            yield from listed

    def text(self, values: Sequence[Any]) -> str:
        """The JSON of a row."""
        return "".join([before + write(take(values)) for before, take, write in self.writers])

    def texts(self, rows: QuerySet[Any], keys: Sequence[Any]) -> Iterator[str]:
        """The JSON of each row."""
        return map(self.text, self.values(rows, keys))

    def rendered(self, rows: QuerySet[Any], keys: Sequence[Any]) -> Iterator[dict[str, Any]]:
        """Each row as a dictionary."""
        for values in self.values(rows, keys):
            yield {name: self.value(field, values) for name, field in self.fields.items()}

    def whole(self, rows: QuerySet[Any], keys: Sequence[Any], metadata: dict[str, Any]) -> bytes:
        """The rows with these keys in their envelope."""
        text = f'{{"items":[{",".join(self.texts(rows, keys))}],"metadata":{encode(metadata)}}}'
        # As the renderer of all other replies: valid JSON, and valid JavaScript.
        return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").encode()


def writer(field: Field) -> Write:
    """From the parts of a field, a tuple where there are several, to its JSON."""
    of, text = field.of, field.text
    if len(field.parts or ()) == 1:
        return text or (text_of if of is None else lambda part: text_of(of(part)))
    if text is not None:
        return lambda parts: text(*parts)
    assert of is not None
    return lambda parts: text_of(of(*parts))


class WireRenderer(JSONRenderer):
    """JSON; what is JSON already goes out as it is."""

    def render(self, data: Any, *more: Any, **options: Any) -> bytes:
        return data if isinstance(data, bytes) else super().render(data, *more, **options)
