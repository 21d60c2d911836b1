"""The content of a preview: its digest, as it is stored, and in words what has changed since; pure."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable
from typing import Any

from deployon.inputs import canonical
from deployon.verdicts import KINDS, Row, Wanted


def digest_of(wanted: Wanted, rows: dict[str, list[Row]]) -> str:
    """SHA-256 over everything that would happen: what, with which inputs, to which environments, and which are left alone."""
    content = {
        "action": wanted.action,
        "version": [wanted.version.pk, wanted.version.content_digest],
        "inputs": wanted.inputs_hash,
        "workflow": [wanted.workflow, wanted.parameters],
        **{kind: sorted([row.environment, row.code, row.inputs_hash] for row in rows[kind]) for kind in KINDS},
    }
    return hashlib.sha256(canonical(content)).hexdigest()


def changes(before: dict[str, list[dict[str, Any]]], after: dict[str, list[dict[str, Any]]], shown: int = 5) -> str:
    """In words, which environments would now be treated in another way than a preview said."""
    words = {
        "create": "would be deployed to",
        "update": "would be updated",
        "run": "would run the workflow",
        "remove": "would be removed from",
        "differs": "differs and would be left alone",
        "stays": "needs nothing",
        "excluded": "is excluded",
    }

    def flat(content: dict[str, list[dict[str, Any]]]) -> dict[int, tuple[str, dict[str, Any]]]:
        return {row["environment"]: (kind, row) for kind in KINDS for row in content.get(kind, [])}

    old, new = flat(before), flat(after)
    found = [f"{row['name']} no longer matches" for key, (_, row) in old.items() if key not in new]
    for key, (kind, row) in new.items():
        if key not in old:
            found.append(f"{row['name']} is new and {words[kind]}")
        elif old[key][0] == kind and old[key][1].get("inputs_hash", "") != row["inputs_hash"]:
            found.append(f"{row['name']} would get other inputs now")
        elif (old[key][0], old[key][1]["code"]) != (kind, row["code"]):
            found.append(f"{row['name']} now {words[kind]}" + (f" ({row['why']})" if row["why"] else ""))
    rest = len(found) - shown
    return "; ".join(found[:shown]) + (f"; and {rest} more" if rest > 0 else "")


def as_content(rows: dict[str, list[Row]]) -> dict[str, list[dict[str, Any]]]:
    """As stored and shown: lists by kind, environments by name."""
    return {kind: [dataclasses.asdict(row) for row in rows[kind]] for kind in KINDS}


def sort_rows(verdicts: Iterable[tuple[str, Row]]) -> dict[str, list[Row]]:
    """Rows by kind, each list by name."""
    rows: dict[str, list[Row]] = {kind: [] for kind in KINDS}
    for kind, row in verdicts:
        rows[kind].append(row)
    for found in rows.values():
        found.sort(key=lambda row: (row.name, row.environment))
    return rows
