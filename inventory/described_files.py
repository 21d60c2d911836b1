"""What every file of descriptions has in common: YAML with the lines of its entries, CSV with a checked head, the report, the writer."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any

import yaml
from django.core.exceptions import ValidationError
from rest_framework.exceptions import ErrorDetail

FORMATS = ("yaml", "csv")
CONTENT_TYPES = {"yaml": "application/yaml", "csv": "text/csv"}


@dataclass(frozen=True)
class Line:
    """What becomes of one entry: new, changed, same, removed or error."""

    line: int  # of the file, from 1; 0: the file as a whole
    name: str
    verdict: str
    messages: tuple[str, ...] = ()


@dataclass
class Report:
    """What a file says, entry by entry."""

    lines: list[Line] = field(default_factory=list)
    is_done: bool = False

    @property
    def has_faults(self) -> bool:
        """Something cannot be read or would be refused."""
        return any(line.verdict == "error" for line in self.lines)

    @property
    def has_errors(self) -> bool:
        """It is not imported as it is."""
        return self.has_faults

    def count(self, verdict: str) -> int:
        """How many lines have this verdict."""
        return sum(line.verdict == verdict for line in self.lines)


@dataclass(frozen=True)
class YamlFile:
    """Parsed YAML: its value, and where things are in it."""

    value: Any
    root: yaml.Node | None

    def lines_of(self, key: str) -> Iterator[int]:
        """On which line each entry of the list under `key` begins, or of the file where that is a list; 0 for what is not found."""
        place = self.root
        if isinstance(place, yaml.MappingNode):
            place = next((value for name, value in reversed(place.value) if name.value == key), None)
        entries = place.value if isinstance(place, yaml.SequenceNode) else []
        return chain((entry.start_mark.line + 1 for entry in entries), repeat(0))


def check_text(text: str, format: str, longest: int) -> None:
    """ValidationError for a format that is none, or for more than `longest` characters."""
    if len(text) > longest:
        raise ValidationError(f"The file has more than {longest // 1024} KiB. Is it the right one?")
    if format not in FORMATS:
        raise ValidationError("Choose the format yaml or csv.")


def read_yaml(text: str) -> YamlFile:
    """Plain YAML; ValidationError names the line that breaks it."""
    try:
        return YamlFile(yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "somewhere"
        words = getattr(error, "problem", "") or "it breaks off"
        raise ValidationError(f"This is no YAML ({where}: {words}). Correct that line.") from None


def csv_rows(text: str) -> tuple[list[str], Iterator[tuple[int, dict[str, str]]]]:
    """(names of the columns, (line, cells by column) of each row that holds something); commas or semicolons, as the first line has them.

    ValidationError names the line that breaks it.
    """
    text = text.lstrip("\ufeff")
    bare = re.sub(r'"[^"]*"', "", text.lstrip().split("\n", 1)[0])  # a name in quotes may hold either
    delimiter = ";" if bare.count(";") > bare.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    records = _records(reader)
    _, cells = next(records, (0, []))
    head = _without_tail([cell.strip() for cell in cells], 0)
    if twice := sorted({name for name in head if head.count(name) > 1}):
        raise ValidationError(
            f"Two columns have the same name: {', '.join(twice) or 'without one'}. Leave one of them."
        )

    def rows() -> Iterator[tuple[int, dict[str, str]]]:
        for line, found in records:
            cells = _without_tail(found, len(head))
            if len(cells) > len(head):
                what = "semicolons" if delimiter == ";" else "commas"
                raise ValidationError(f"Line {line} has more fields than columns. Quote values with {what}.")
            yield line, dict(zip(head, cells, strict=False))

    return head, rows()


def _without_tail(cells: list[str], least: int) -> list[str]:
    """Without empty cells at the end, such as spreadsheets write, as far as there are more than `least`."""
    while len(cells) > least and not cells[-1].strip():
        cells = cells[:-1]
    return cells


def _records(reader: Any) -> Iterator[tuple[int, list[str]]]:
    """(line on which it begins, cells) of each record that is not empty."""
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValidationError(
            f"The record that begins in line {line} is no CSV: {error}. Look for a quotation mark that is not closed or not doubled."
        ) from None


def read_csv(text: str, columns: Sequence[str], *, key: str = "") -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, what is given there) of each row, without empty cells; ValidationError for a wrong head, `key` missing, or a long row."""
    head, rows = csv_rows(text)
    unknown = [column for column in head if column not in columns]
    if unknown or not head or (key and key not in head):
        raise ValidationError(
            f"The first line must name the columns{f', {key} among them' if key else ''}. "
            f"Unknown: {', '.join(map(str, unknown)) or ('none' if key else 'all')}; known: {', '.join(columns)}."
        )
    for line, row in rows:
        yield line, {column: value.strip() for column, value in row.items() if value.strip()}


def write_yaml(told: Mapping[str, Any]) -> str:
    """In the order given, letters as they are."""
    return yaml.safe_dump(dict(told), sort_keys=False, allow_unicode=True)


def write_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """A head and a line a row; what has no column is left out."""
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def words_of(problem: Any, place: str = "") -> list[str]:
    """A serializer's complaints, one a line: field: what is wrong."""
    if isinstance(problem, Mapping):
        return [word for name, inner in problem.items() for word in words_of(inner, f"{place}.{name}".strip("."))]
    if isinstance(problem, list | tuple) and not isinstance(problem, ErrorDetail):
        return [word for inner in problem for word in words_of(inner, place)]
    return [f"{place}: {problem}" if place and place != "non_field_errors" else str(problem)]
