"""Inputs that differ by environment: where each value comes from, which wins, and why an environment has none.

Precedence, the later wins: default of the blueprint, value entered for all, value of the environment itself (label, site,
capability), row of the table.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any

from django.core.exceptions import ValidationError

from accounts import audit
from deployon.inputs import check_value, effective_inputs, from_text
from deployon.models import Placement, ServiceVersion
from deployon.tables import Table, check_names, refused, rows_of
from inventory import capabilities
from inventory.models import Environment, Label

KINDS = ("label", "site", "capability", "environment")
OF_SITE = ("name", "latitude", "longitude", "time_zone")
OF_ENVIRONMENT = ("name", "id", "endpoint", "protocol", "port", "tenant")
_LINE = re.compile(r"\s*(?P<input>[^=\s]+)\s*=\s*(?P<kind>[a-z]+):(?P<key>\S.*?)\s*$")
_HOW = (
    "Write one a line: input = label:key, site:latitude, capability:name, capability:service.name or environment:name."
)


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where the value of an input is read at each environment."""

    kind: str  # of KINDS
    key: str

    @property
    def words(self) -> str:
        return f"{self.kind} {self.key}"


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


def wrong(words: str) -> ValidationError:
    """What is wrong with the origins, under their name."""
    return ValidationError({"inputs_from": words})


def read_lines(text: str) -> dict[str, str]:
    """{input: "kind:key"} of lines `input = kind:key`."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        match = _LINE.match(line)
        if match is None:
            raise wrong(f"Line {number} cannot be read. {_HOW}")
        if match["input"] in found:
            raise wrong(f"Line {number} names {match['input']} for the second time. Leave one of them.")
        found[match["input"]] = f"{match['kind']}:{match['key']}"
    return found


def read_origin(name: str, text: str) -> Origin:
    """An origin from "kind:key"; ValidationError for one that there is not."""
    kind, _, key = str(text).partition(":")
    kind, key = kind.strip(), key.strip()
    allowed = {"site": OF_SITE, "environment": OF_ENVIRONMENT}.get(kind)
    if kind not in KINDS or not key:
        raise wrong(f"{name}: {text!r} is no origin of a value. {_HOW}")
    if allowed and key not in allowed:
        raise wrong(f"{name}: of {kind} there is {', '.join(allowed)}, not {key}.")
    return Origin(kind, key.lower() if kind == "label" else key)


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
    reader = _Reader(found, sources, version.service.tenant_id)
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
    version: ServiceVersion, common: dict[str, Any], sources: Sources, row: Environment, reader: _Reader
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


class _Reader:
    """Labels and capabilities of many environments, read together."""

    def __init__(self, rows: list[Environment], sources: Sources, tenant_id: int) -> None:
        kinds = {origin.kind for origin in sources.values.values()}
        self.labels: dict[tuple[int, str], list[str]] = {}
        self.offered: dict[tuple[int, str], Mapping[str, Any]] = {}
        if "label" in kinds:
            keys = [origin.key for origin in sources.values.values() if origin.kind == "label"]
            labels = Label.objects.filter(deployment__in=[row.deployment_id for row in rows], key__in=keys)
            for deployment, key, value in labels.order_by("value").values_list("deployment_id", "key", "value"):
                self.labels.setdefault((deployment, key), []).append(value)
        if "capability" in kinds:
            placed = Placement.objects.filter(
                environment__in=[row.pk for row in rows], service__tenant=tenant_id, state=Placement.State.DEPLOYED
            )
            columns = placed.values_list("environment_id", "service__name", "capabilities")
            self.offered = {(environment, name): offered for environment, name, offered in columns}

    def value(self, row: Environment, origin: Origin) -> tuple[Any, str]:
        """(value, "") or (None, why there is none)."""
        if origin.kind == "label":
            values = self.labels.get((row.deployment_id, origin.key), [])
            if len(values) > 1:
                return None, f"it has several: {', '.join(values)}. Leave one of them."
            return (values[0], "") if values else (None, "it has no such label. Add it, or use a table.")
        if origin.kind == "site":
            site = row.deployment.site
            value = getattr(site, origin.key) if site is not None else None
            return (None, "it has no site that says so. Complete the site.") if value in (None, "") else (value, "")
        if origin.kind == "environment":
            return self._of_environment(row, origin.key), ""
        return self._offered(row, origin.key)

    def _offered(self, row: Environment, key: str) -> tuple[Any, str]:
        own = capabilities.read(row.deployment) if capabilities.is_kept(row.deployment) else {}
        if key in own:
            return own[key], ""
        service, _, name = key.rpartition(".")
        offered = self.offered.get((row.pk, service), {})
        if name in offered:
            return offered[name], ""
        what = f"the service {service} does not offer {name} there" if service else "it has no such capability"
        return None, f"{what}. Roll that out first, or use a table."

    @staticmethod
    def _of_environment(row: Environment, key: str) -> Any:
        manager = row.sub_manager
        return {
            "name": row.deployment.display_name,
            "id": row.deployment.wire_id,
            "endpoint": manager.endpoint,
            "protocol": manager.protocol,
            "port": manager.port,
            "tenant": row.remote_tenant,
        }[key]


__all__ = ["Given", "Origin", "Sources", "common_inputs", "give", "read_lines", "refused", "shown", "shown_all"]
