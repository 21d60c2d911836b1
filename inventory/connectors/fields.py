"""Fields of answers from one version of a manager to another: what is not known there is not asked for, what we need must be there."""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import parse_qsl, urlencode

UNKNOWN = "no_such_include_field_error"
NEEDED = frozenset(
    ("id", "labels", "installation_status", "latest_execution_workflow_id", "latest_execution_status")
)  # without these of a deployment nobody can tell what stands there, and whose it is
_INCLUDE = "_include"


class LacksFieldError(Exception):
    """An answer without a field that the portal cannot do without; the text is its name."""


def words_of(field: str, where: str) -> str:
    """What to tell of it."""
    return (
        f"The manager at {where} does not tell {field} of its deployments, which the portal needs in order to know what stands "
        "there. It is of a version that does not fit this portal: update the older one of the two."
    )


def unknown_in(path: str, said: str) -> frozenset[str]:
    """Which fields that a path asks for are not known there, by the words of the refusal."""
    asked = _asked_by(path)
    told, _, allowed = said.partition("Allowed keys")
    named = asked & set(re.findall(r"\w+", told))
    is_whole = bool(allowed) and "…" not in allowed  # refusals are quoted up to a length
    return frozenset(named or (asked - set(re.findall(r"\w+", allowed)) if is_whole else ()))


def without(path: str, fields: Collection[str]) -> str:
    """The path, asking for none of these; needed ones stay."""
    if not fields or f"{_INCLUDE}=" not in path:
        return path
    left_out = set(fields) - NEEDED
    before, _, query = path.partition("?")
    pairs = [
        (name, ",".join(each for each in value.split(",") if each not in left_out) if name == _INCLUDE else value)
        for name, value in parse_qsl(query, keep_blank_values=True)
    ]
    return f"{before}?{urlencode(pairs, safe=',:-_.')}"


def _asked_by(path: str) -> set[str]:
    pairs = parse_qsl(path.partition("?")[2])
    return {field for name, value in pairs if name == _INCLUDE for field in value.split(",")}
