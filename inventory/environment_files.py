"""Environments as a file, YAML or CSV with a line each: read with a line by line report, imported whole or not at all. Writing is in describing.py.

A file holds names of stored secrets, never their values. What it does not name stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.actors import Actor
from accounts.errors import Conflict
from accounts.models import Tenant
from inventory import described_files, names
from inventory.connections import read_target
from inventory.credentials import PARTS, is_given, read_parts
from inventory.described_files import Line, words_of
from inventory.describing import COLUMNS, SECRETS, described
from inventory.exposing import Fields, expose, probe_many, update_environment
from inventory.label_rules import normalise_all
from inventory.making import find_site
from inventory.models import Environment
from inventory.serializers import EnvironmentInSerializer
from inventory.value_lists import divided
from runs.models import Run

LONGEST = 1024 * 1024  # characters
MOST = 1000  # environments in one file


@dataclass
class Report(described_files.Report):
    """What a file says of environments; `run` looks at those that it made or changed."""

    run: Run | None = None


@dataclass(frozen=True)
class _Entry:
    """One environment of the file, as read: where it begins, and what is given."""

    line: int
    given: dict[str, Any]


def import_environments(
    *, by: Actor, tenant: Tenant, text: str, format: str = "yaml", is_dry_run: bool = False
) -> Report:
    """Read a file and, unless it is a dry run or has errors, expose what is new and change what differs; twice is once."""
    report = Report()
    try:
        entries = _read(text, format)
    except ValidationError as refused:
        report.lines.append(Line(0, "", "error", tuple(refused.messages)))
        return report
    present = {
        row.deployment.wire_id: row for row in Environment.objects.for_describing().filter(deployment__tenant=tenant)
    }
    wanted: list[tuple[str, dict[str, Any]]] = []
    seen: set[str] = set()
    for entry in entries:
        line, fields = _judge(by, tenant, entry, present, seen)
        report.lines.append(line)
        wanted.append((line.verdict, fields))
    if is_dry_run or report.has_errors:
        return report
    try:
        touched = _apply(by, tenant, wanted, present)
    except (Conflict, ValidationError) as error:  # somebody changed something since it was judged
        words = error.messages if isinstance(error, ValidationError) else [str(error)]
        report.lines.append(Line(0, "", "error", tuple(words)))
        return report
    report.is_done = True
    if touched:
        report.run = probe_many(by=by, tenant=tenant, environments=touched)
    return report


def _judge(
    by: Actor, tenant: Tenant, entry: _Entry, present: dict[str, Environment], seen: set[str]
) -> tuple[Line, dict[str, Any]]:
    """The verdict on one entry, and its fields for the services."""
    name = str(entry.given.get("name") or "")
    faults: list[str] = []
    known = present.get(name)
    if name in seen:
        faults.append("name: It is in the file twice. Remove one of them.")
    seen.add(name)
    credential = entry.given.get("credential")
    typed = [part for part in PARTS if isinstance(credential, dict) and credential.get(part)]
    if typed:
        faults.append(
            f"credential: A file holds no {typed[0]}. Store it as a secret, and name that: {typed[0]}_secret."
        )
    read = EnvironmentInSerializer(data=_with_texts(entry.given), partial=known is not None)
    if not read.is_valid():
        return Line(entry.line, name, "error", (*faults, *words_of(read.errors))), {}
    fields: dict[str, Any] = {key: value for key, value in read.validated_data.items() if key != "credential"}
    fields |= read.validated_data.get("credential") or {}
    faults += _faults_of(by, tenant, fields, known)
    if faults:
        return Line(entry.line, name, "error", tuple(faults)), {}
    if known is None:
        return Line(entry.line, name, "new"), fields
    differences = _differences(known, entry.given)
    told = (f"Differs: {', '.join(differences)}.",) if differences else ()
    return Line(entry.line, name, "changed" if differences else "same", told), fields


def _with_texts(given: dict[str, Any]) -> dict[str, Any]:
    """Labels as texts: YAML takes ring: 1 for a number."""
    labels = given.get("labels")
    if not isinstance(labels, dict):
        return given
    lists = {str(key): value if isinstance(value, list) else [value] for key, value in labels.items()}
    return given | {"labels": {key: [str(each) for each in values] for key, values in lists.items()}}


def _faults_of(by: Actor, tenant: Tenant, fields: dict[str, Any], known: Environment | None) -> list[str]:
    """What the services would refuse."""
    faults: list[str] = []
    given = cast(Fields, fields)
    where = cast(Fields, {"endpoint": known.sub_manager.endpoint} | fields) if known else given
    checks: list[Callable[[], object]] = [
        lambda: names.check_id(str(fields.get("name")), "name", begins_with_letter=False),
        lambda: normalise_all(fields.get("labels") or []),
        lambda: read_target(where),
        lambda: find_site(by, tenant, fields.get("site")),
    ]
    if known is None or is_given(given):
        checks.append(lambda: read_parts(by, tenant, given))
    for check in checks:
        try:
            check()
        except ValidationError as error:
            told = error.message_dict if hasattr(error, "error_dict") else {"labels": error.messages}
            faults += [f"{key}: {word}" for key, words in told.items() for word in words]
    return faults


def _differences(known: Environment, given: dict[str, Any]) -> list[str]:
    """Names of what the file says otherwise than it is; what is left empty says nothing."""
    usual: dict[str, Any] = {"display_name": known.deployment.wire_id, "trust": known.sub_manager.trust}
    now = usual | described(known)
    found = []
    for key, value in given.items():
        if key == "labels" and isinstance(value, dict):
            lists = {name.lower(): value[name] if isinstance(value[name], list) else [value[name]] for name in value}
            is_same = {name: sorted(map(str, each)) for name, each in lists.items()} == now.get("labels", {})
        elif key == "credential":
            is_same = not value or dict(value) == now.get("credential", {})
        else:
            is_same = value in ("", None) or str(value) == str(now.get(key, ""))
        if not is_same:
            found.append(key)
    return found


@transaction.atomic
def _apply(
    by: Actor, tenant: Tenant, wanted: list[tuple[str, dict[str, Any]]], present: dict[str, Environment]
) -> list[Environment]:
    """Do what was judged; the environments that are new or changed."""
    touched = []
    for verdict, fields in wanted:
        if verdict == "new":
            touched.append(expose(by=by, tenant=tenant, is_looked_at=False, **fields))
        elif verdict == "changed":
            row = present[fields.pop("name")]
            if "labels" in fields:
                kept = [(each.key, each.value) for each in row.deployment.labels.all() if each.key.startswith("csys-")]
                fields["labels"] = [*kept, *fields["labels"]]
            is_site_given = "site" in fields
            update_environment(by=by, environment=row, is_site_given=is_site_given, is_looked_at=False, **fields)
            touched.append(row)
    return touched


def _read(text: str, format: str) -> list[_Entry]:
    described_files.check_text(text, format, LONGEST)
    entries = _read_csv(text) if format == "csv" else _read_yaml(text)
    if not entries:
        raise ValidationError("The file names no environment. An export shows how one is written.")
    if len(entries) > MOST:
        raise ValidationError(f"The file names {len(entries)} environments, and {MOST} at once are taken. Divide it.")
    return entries


def _read_yaml(text: str) -> list[_Entry]:
    file = described_files.read_yaml(text)
    rows = file.value.get("environments") if isinstance(file.value, dict) else file.value
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValidationError(
            "The file holds no list of environments. Begin with `environments:`; an export shows how."
        )
    return [_Entry(line, row) for line, row in zip(file.lines_of("environments"), rows, strict=False)]


def _read_csv(text: str) -> list[_Entry]:
    entries = []
    for line, told in described_files.read_csv(text, COLUMNS, key="name"):
        credential = {name: told.pop(name) for name in SECRETS if name in told}
        if labels := told.get("labels"):
            told["labels"] = _read_labels(labels, line)
        entries.append(_Entry(line, told | ({"credential": credential} if credential else {})))
    return entries


def _read_labels(text: str, line: int) -> dict[str, list[str]]:
    pairs: dict[str, list[str]] = {}
    for pair in divided(text, ";"):
        key, sign, value = pair.partition("=")
        if not sign:
            raise ValidationError(f"Line {line}: labels are key=value;key=value, and {pair!r} is not.")
        pairs.setdefault(key.strip(), []).append(value.strip())
    return pairs
