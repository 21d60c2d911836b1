"""Tables of inputs, a row an environment, as CSV, YAML or JSON; read whole or refused with the place of the fault."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml
from django.core.exceptions import ValidationError

from deployon.inputs import Schema, from_text
from inventory.described_files import csv_rows

LONGEST = 1024 * 1024  # characters
MOST = 10_000  # rows
KEY = "environment"
Table = dict[str, dict[str, Any]]
_SHAPE = "Write {environment: {input: value}}, or a list of rows that each have an environment."


def read_table(text: str, schema: Schema) -> Table:
    """{environment: {input: value}}. Texts of a CSV become values of the type that the schema names; empty cells are not given."""
    if not text.strip():
        return {}
    if len(text) > LONGEST:
        raise refused(f"It is longer than {LONGEST // 1024} kB. Roll out in parts.")
    first = text.lstrip("\ufeff").strip()
    if re.split(r"[,;\n]", first, maxsplit=1)[0].strip().strip('"').lower() == KEY:
        table = _read_csv(text, schema)
    else:
        table = rows_of(_loaded(first))
    check_names(table, schema)
    return table


def table_of(content: Any, schema: Schema) -> Table:
    """A table from what an API was sent: a text as `read_table` takes it, or values."""
    if isinstance(content, str):
        return read_table(content, schema)
    return rows_of(content) if content else {}


def rows_of(content: Any) -> Table:
    """A table from values that were parsed already."""
    if isinstance(content, list):
        pairs = [_row(row, number) for number, row in enumerate(content, 1)]
    elif isinstance(content, dict):
        pairs = [(str(name), row) for name, row in content.items()]
    else:
        raise refused(f"It is neither an object nor a list. {_SHAPE}")
    if len(pairs) > MOST:
        raise refused(f"It has more than {MOST:,} rows. Roll out in parts.")
    table: Table = {}
    for name, row in pairs:
        if not isinstance(row, dict):
            raise refused(f"The row of {name} is no object of inputs. {_SHAPE}")
        if name in table:
            raise refused(f"{name} has two rows. Leave one of them.")
        table[name] = {str(key): value for key, value in row.items()}
    return table


def check_names(table: Table, schema: Schema) -> None:
    """Every column is an input of the service; not asked where its inputs are not known yet."""
    unknown = {name for row in table.values() for name in row} - set(schema)
    if schema and unknown:
        known = ", ".join(sorted(schema))
        raise refused(f"This service has no input {', '.join(sorted(unknown))}. The inputs are: {known}.")


def refused(words: str) -> ValidationError:
    """What is wrong with the table, under its name."""
    return ValidationError({"table": f"The table cannot be used. {words}"})


def _row(row: Any, number: int) -> tuple[str, Any]:
    if not isinstance(row, dict) or not row.get(KEY):
        raise refused(f"Row {number} names no environment. {_SHAPE}")
    return str(row[KEY]), {key: value for key, value in row.items() if key != KEY}


def _loaded(text: str) -> Any:
    """JSON is YAML, but its own parser says better what is wrong with it."""
    try:
        return json.loads(text) if text[0] in "{[" else yaml.safe_load(text)
    except (ValueError, RecursionError) as error:
        raise refused(f"It is no JSON: {error}.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        begins = f"A CSV begins with the column {KEY}."
        raise refused(f"It is no YAML{where}. {begins}") from None


def _read_csv(text: str, schema: Schema) -> Table:
    try:
        head, rows = csv_rows(text)
        table: Table = {}
        lines: dict[str, int] = {}
        for line, row in rows:
            place = row.pop(head[0], "").strip()
            if not place:
                raise refused(f"Line {line} names no environment. The first column is its name.")
            if place in lines:
                raise refused(f"{place} has two rows, in lines {lines[place]} and {line}. Leave one of them.")
            if len(table) == MOST:
                raise refused(f"It has more than {MOST:,} rows. Roll out in parts.")
            table[place] = {name: from_text(schema.get(name, {}), cell) for name, cell in row.items() if cell != ""}
            lines[place] = line
    except ValidationError as error:
        raise error if hasattr(error, "error_dict") else refused(" ".join(error.messages)) from None
    return table
