"""Labels as data: which keys and values are right, and the forms in which they are written; storing them is in labels."""

from __future__ import annotations

import unicodedata
from typing import Any, TypeAlias

from django.core.exceptions import ValidationError

from inventory.names import MAX_LENGTH, is_made_of_id_characters

Pair: TypeAlias = tuple[str, str]

RESERVED_PREFIX = "csys-"
TYPE_KEY, PARENT_KEY, CONSUMER_KEY = "csys-obj-type", "csys-obj-parent", "csys-consumer-id"
ENVIRONMENT_TYPE = "environment"
RESERVED_KEYS = (
    TYPE_KEY,
    PARENT_KEY,
    "csys-obj-name",
    "csys-environment",
    "csys-env-type",
    "csys-location-name",
    "csys-location-lat",
    "csys-location-long",
    CONSUMER_KEY,
    "csys-wrcp-services",
    "csys-wrcp-group-id",
)
_RANGES = {"csys-location-lat": ("latitude", 90), "csys-location-long": ("longitude", 180)}
WIRE_FORM = "Labels must be a list of 1-entry dictionaries: [{<key1>: <value1>}, {<key2>: [<value2>, <value3>]}, ...]"


def fault_of_label(key: Any, value: Any) -> str:
    """What is wrong with a label, in the words of the genuine manager, or ""."""
    if not isinstance(key, str) or not isinstance(value, str):
        return WIRE_FORM
    if len(key) > MAX_LENGTH or len(value) > MAX_LENGTH:
        return f"The key or value is too long. Maximum allowed length is {MAX_LENGTH} characters"
    if not is_made_of_id_characters(key):
        return f"The key `{key}` contains illegal characters. Only letters, digits and the characters `-`, `.` and `_` are allowed"
    if any(unicodedata.category(character)[0] == "C" or character == '"' for character in value):
        return f'The value `{value}` contains illegal characters. Control characters and `"` are not allowed.'
    lower = key.lower()
    if lower.startswith(RESERVED_PREFIX) and lower not in RESERVED_KEYS:
        return (
            f"All labels with a `{RESERVED_PREFIX}` prefix are reserved for internal use. "
            f"Allowed `{RESERVED_PREFIX}` prefixed labels are: {', '.join(RESERVED_KEYS)}"
        )
    if lower in _RANGES:
        name, limit = _RANGES[lower]
        if not _is_within(unicodedata.normalize("NFKC", value), limit):
            return f"Invalid {name} `{value}`. Must be a number between -{limit} and {limit}"
    return ""


def _is_within(text: str, limit: int) -> bool:
    try:
        return -limit <= float(text) <= limit
    except ValueError:
        return False


def normalise(key: str, value: str) -> Pair:
    """A label as it is stored: key in lower case, value as NFKC; ValidationError under `labels` where it is wrong."""
    fault = fault_of_label(key, value)
    if not fault and not key:
        fault = "The key of a label is empty. Give it a name, for example `env`."
    if fault:
        raise ValidationError({"labels": fault})
    key, value = key.lower(), unicodedata.normalize("NFKC", value)
    if len(value) > MAX_LENGTH:  # NFKC may lengthen
        raise ValidationError(
            {"labels": f"The value of `{key}` is too long. Maximum allowed length is {MAX_LENGTH} characters"}
        )
    return key, value.lower() if key == TYPE_KEY else value


def normalise_all(pairs: list[Pair]) -> list[Pair]:
    """Labels of one request as they are stored, in their order; the same one twice is a ValidationError."""
    found = [normalise(key, value) for key, value in pairs]
    twice = (
        sorted({f"{key}={value}" for key, value in found if found.count((key, value)) > 1})
        if len(set(found)) != len(found)
        else []
    )
    if twice:
        raise ValidationError(
            {"labels": f"You cannot define the same label twice: {', '.join(twice)}. Remove one of them."}
        )
    return found


def pairs_from_wire(raw: Any) -> list[Pair]:
    """v3.1 form: [{"env": "prod"}, {"zone": ["a", "b"]}]; ValidationError otherwise. Not normalised."""
    if not isinstance(raw, list) or any(not isinstance(entry, dict) or len(entry) != 1 for entry in raw):
        raise ValidationError({"labels": WIRE_FORM})
    return [pair for entry in raw for pair in _spread(entry)]


def pairs_from_json(raw: Any) -> list[Pair]:
    """Any of {"env": "prod", "zone": ["a", "b"]}, [{"key": "env", "value": "prod"}] and the v3.1 form. Not normalised."""
    if isinstance(raw, dict):
        return _spread(raw)
    if isinstance(raw, list) and all(isinstance(entry, dict) and entry.keys() == {"key", "value"} for entry in raw):
        return [pair for entry in raw for pair in _spread({entry["key"]: entry["value"]})]
    try:
        return pairs_from_wire(raw)
    except ValidationError:
        raise ValidationError(
            {"labels": 'Labels are {"env": "prod", "zone": ["a", "b"]}, or a list of {"key": "env", "value": "prod"}.'}
        ) from None


def _spread(entry: dict[Any, Any]) -> list[Pair]:
    return [
        (key, value) for key, values in entry.items() for value in (values if isinstance(values, list) else [values])
    ]
