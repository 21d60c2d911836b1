"""Values for the inputs of a service, checked against the schema that its blueprint declares; pure but for one child process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

from django.core.exceptions import ValidationError

Schema = Mapping[str, Mapping[str, Any]]
PATTERN_SECONDS = 2.0
_PATTERN_PROGRAM = "import re,sys,json;p,v=json.load(sys.stdin);sys.exit(0 if re.match(p,v) else 3)"
_TEXT_TYPES = frozenset(("string", "regex", "textarea"))
_NUMBERS = (int, float)


def effective_inputs(schema: Schema, given: Mapping[str, Any], *, is_open: bool = False) -> dict[str, Any]:
    """The values that will be sent: `given` and the defaults of the rest. ValidationError {input: message} for all that is wrong.

    `is_open`: the schema is not known (a blueprint already present, not read yet); then any input passes and the
    sub-manager judges.
    """
    if is_open and not schema:
        return dict(given)
    errors: dict[str, str] = {}
    values: dict[str, Any] = {}
    for name in given:
        if name not in schema:
            known = ", ".join(sorted(schema)) or "none"
            errors[name] = f"This service has no input {name!r}. Remove it; the inputs are: {known}."
    for name, facts in schema.items():
        if name in given:
            value, error = check_value(name, facts, given[name])
            values[name] = value
            if error:
                errors[name] = error
        elif "default" in facts and facts["default"] is not None:
            values[name] = facts["default"]
        elif facts.get("required", True) and "default" not in facts:
            errors[name] = f"The input {name!r} is required and has no default. Enter a value."
    if errors:
        raise ValidationError({name: [message] for name, message in errors.items()})
    return values


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and no blanks."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def from_text(facts: Mapping[str, Any], text: str) -> Any:
    """What a person typed into a form for this input, as a value of its type; the text itself where it is no such value."""
    kind = facts.get("type", "")
    if kind == "boolean" and text.strip().lower() in ("true", "false", "yes", "no", "on", "off"):
        return text.strip().lower() in ("true", "yes", "on")
    if kind in _TEXT_TYPES or not text.strip():
        return text
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if kind or not isinstance(value, str) else text


def check_value(name: str, facts: Mapping[str, Any], value: Any) -> tuple[Any, str]:
    """(value in its type, "") or (value, what is wrong with it)."""
    if _is_function(value):
        return value, ""  # evaluated at the sub-manager
    kind = facts.get("type") or ""
    value, error = _as_type(name, kind, value)
    if error:
        return value, error
    for constraint in facts.get("constraints") or ():
        for operator, argument in constraint.items():
            if error := _violation(operator, argument, value):
                return value, f"The input {name!r} is {_short(value)}, but must {error}."
    return value, ""


def _is_function(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and str(next(iter(value))).startswith("get_")


def _short(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _as_type(name: str, kind: str, value: Any) -> tuple[Any, str]:
    """The value as the parser would take it, numbers and booleans in quotes included."""
    wrong = f"The input {name!r} is {_short(value)}, which is no {kind}."
    if kind == "integer":
        if isinstance(value, str) and value.strip().lstrip("+-").isdigit():
            return int(value), ""
        return value, "" if isinstance(value, int) and not isinstance(value, bool) else wrong
    if kind == "float":
        if isinstance(value, str):
            try:
                return float(value), ""
            except ValueError:
                return value, wrong
        return value, "" if isinstance(value, _NUMBERS) and not isinstance(value, bool) else wrong
    if kind == "boolean":
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true", ""
        return value, "" if isinstance(value, bool) else wrong
    expected: tuple[type, ...] = ()
    if kind in _TEXT_TYPES:
        expected = (str, int, float)  # the genuine parser takes a number for a string
    elif kind == "list":
        expected = (list,)
    elif kind == "dict":
        expected = (dict,)
    return value, "" if not expected or isinstance(value, expected) else wrong


def _violation(operator: str, argument: Any, value: Any) -> str:
    """ "" where the constraint holds, else what the value must do. Unknown operators are the sub-manager's to judge."""
    rule = _RULES.get(operator)
    if rule is None:
        return ""
    holds, words = rule
    try:
        return "" if holds(value, argument) else words(argument)
    except TypeError:
        return words(argument)


def _matches(value: Any, pattern: Any) -> bool:
    """In a process of its own that ends in time: a pattern is the blueprint author's, and may take for ever."""
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _PATTERN_PROGRAM],
            input=json.dumps([str(pattern), str(value)]).encode(),
            stderr=subprocess.DEVNULL,
            timeout=PATTERN_SECONDS,
            env={},
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode != 3  # a pattern that does not compile is the sub-manager's to refuse


Rule = tuple[Callable[[Any, Any], bool], Callable[[Any], str]]
_RULES: dict[str, Rule] = {
    "equal": (lambda v, a: bool(v == a), lambda a: f"be {_short(a)}"),
    "greater_than": (lambda v, a: bool(v > a), lambda a: f"be greater than {a}"),
    "greater_or_equal": (lambda v, a: bool(v >= a), lambda a: f"be {a} or more"),
    "less_than": (lambda v, a: bool(v < a), lambda a: f"be less than {a}"),
    "less_or_equal": (lambda v, a: bool(v <= a), lambda a: f"be {a} or less"),
    "in_range": (
        lambda v, a: bool((a[0] == "UNBOUNDED" or v >= a[0]) and (a[1] == "UNBOUNDED" or v <= a[1])),
        lambda a: f"be from {a[0]} to {a[1]}",
    ),
    "valid_values": (lambda v, a: v in a, lambda a: "be one of " + ", ".join(map(str, a))),
    "length": (lambda v, a: len(v) == a, lambda a: f"have a length of {a}"),
    "min_length": (lambda v, a: len(v) >= a, lambda a: f"have a length of {a} or more"),
    "max_length": (lambda v, a: len(v) <= a, lambda a: f"have a length of {a} or less"),
    "pattern": (_matches, lambda a: f"match the pattern {a}"),
}
