"""Inputs that differ by environment: where each value comes from, which wins, and why an environment has none.

Precedence, the later wins: default of the blueprint, value entered for all, value of the environment itself (label, site,
capability), row of the table.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from accounts import audit
from deployon.inputs import check_value, effective_inputs, from_text
from deployon.models import ServiceVersion
from deployon.origins import Origin, Reader, read_origin, wrong
from deployon.tables import Table, check_names, rows_of
from inventory.models import Environment


@dataclasses.dataclass(frozen=True)
class Sources:
    """What is not the same everywhere: origins by input, and a table of rows by environment."""

    values: Mapping[str, Origin] = dataclasses.field(default_factory=dict)
    table: Table = dataclasses.field(default_factory=dict)

    @classmethod
    def read(cls, values: Mapping[str, str], table: Any = None) -> Sources:
        """From {"port": "label:port"} and rows; ValidationError for what cannot be read."""
        return cls({name: read_origin(name, text) for name, text in values.items()}, rows_of(table) if table else {})

    @classmethod
    def stored(cls, content: Mapping[str, Any]) -> Sources:
        """As `as_json` wrote it."""
        return cls.read(content.get("values", {}), content.get("table"))

    def as_json(self) -> dict[str, Any]:
        if not self:
            return {}
        return {
            "values": {name: f"{each.kind}:{each.key}" for name, each in self.values.items()},
            "table": self.table,
        }

    def __bool__(self) -> bool:
        return bool(self.values or self.table)

    @property
    def names(self) -> set[str]:
        """The inputs that may differ by environment."""
        return {*self.values, *(name for row in self.table.values() for name in row)}

    def check(self, version: ServiceVersion) -> None:
        """Every input that is named exists; ValidationError where not."""
        schema = version.inputs_schema
        if schema and (unknown := sorted(set(self.values) - set(schema))):
            known = ", ".join(sorted(schema)) or "none"
            raise wrong(f"This service has no input {', '.join(unknown)}. The inputs are: {known}.")
        check_names(self.table, schema)


@dataclasses.dataclass(frozen=True)
class Given:
    """What one environment gets: all values, and of those that are its own [value, origin]; `problem`: why it cannot have them."""

    inputs: dict[str, Any]
    own: dict[str, list[Any]]
    problem: str = ""


def common_inputs(version: ServiceVersion, given: Mapping[str, Any], sources: Sources) -> dict[str, Any]:
    """What is the same everywhere; an input that comes from elsewhere may be missing in it."""
    schema, is_open = version.inputs_schema, version.source == ServiceVersion.Source.PRESENT
    sources.check(version)
    own = sources.names - set(given)
    values = effective_inputs(
        {name: facts for name, facts in schema.items() if name not in own}, given, is_open=is_open
    )
    defaults = {name: schema[name].get("default") for name in own if name in schema}
    return values | {name: value for name, value in defaults.items() if value is not None}


def give(
    version: ServiceVersion, common: dict[str, Any], sources: Sources, rows: Iterable[Environment]
) -> dict[int, Given]:
    """Environment id -> its inputs. At most three queries for any number of environments."""
    found = list(rows)
    if not sources:
        return {row.pk: Given(common, {}) for row in found}
    reader = Reader(found, list(sources.values.values()), version.service.tenant_id)
    return {row.pk: _give_one(version, common, sources, row, reader) for row in found}


def unused_rows(sources: Sources, rows: Iterable[Environment]) -> list[str]:
    """Names in the table that are none of these environments."""
    names = {name for row in rows for name in (row.deployment.wire_id, row.deployment.display_name)}
    return sorted(set(sources.table) - names)


def shown(name: str, value: Any) -> Any:
    """A value as pages and API show it: masked where its name says that it is secret. What names a secret is none."""
    if isinstance(value, dict) and len(value) == 1 and str(next(iter(value))).startswith("get_"):
        return value
    return (
        audit.MASK if value not in (None, "") and audit.masked(name, "x") == audit.MASK else audit.masked(name, value)
    )


def shown_all(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: shown(name, value) for name, value in values.items()}


def _give_one(
    version: ServiceVersion, common: dict[str, Any], sources: Sources, row: Environment, reader: Reader
) -> Given:
    schema, own, problems = version.inputs_schema, {}, []
    for name, origin in sources.values.items():
        value, problem = reader.value(row, origin)
        if problem:
            problems.append(f"The input {name!r} comes from its {origin.words}, and {problem}")
            continue
        typed = from_text(schema.get(name, {}), value) if isinstance(value, str) else value
        own[name] = [typed, origin.words]
    if sources.table:
        line = sources.table.get(row.deployment.wire_id, sources.table.get(row.deployment.display_name))
        if line is None:
            problems.append("The table has no row for it. Add one, or leave it out of this rollout.")
        own |= {name: [value, "table"] for name, value in (line or {}).items()}
    for name, (value, where) in own.items():
        typed, error = check_value(name, schema.get(name, {}), value)
        own[name] = [typed, where]
        if error:  # the value itself may be a secret
            said = (
                error if shown(name, value) == value else f"The input {name!r} has no value that the blueprint takes."
            )
            problems.append(f"{said} It comes from the {where}.")
    inputs = common | {name: value for name, (value, _) in own.items()}
    for name, facts in schema.items():
        if name not in inputs and facts.get("required", True) and "default" not in facts and not problems:
            problems.append(f"The input {name!r} is required and has no value here. Enter one, or add it to the table.")
    return Given(inputs, own, " ".join(problems))
