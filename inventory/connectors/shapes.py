"""Reading JSON strictly: each function gives one field in its type, or raises WrongShapeError."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

Json: TypeAlias = Mapping[str, Any]


class WrongShapeError(Exception):
    """An answer in JSON, but not of the shape that was asked for; the text says which part."""


def text(content: Json, key: str) -> str:
    """A text that must be there."""
    value = content.get(key)
    if not isinstance(value, str):
        raise WrongShapeError(f"no text {key!r}")
    return value


def text_or_empty(content: Json, key: str) -> str:
    """A text that may be null or missing."""
    value = content.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise WrongShapeError(f"{key!r} is no text")
    return value


def number(content: Json, key: str) -> int:
    """A count that may be null or missing (0)."""
    value = content.get(key)
    if value is None:
        return 0
    if not isinstance(value, int):
        raise WrongShapeError(f"{key!r} is no number")
    return value


def mapping(content: Json, key: str) -> dict[str, Any]:
    """An object that may be null or missing (empty)."""
    value = content.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise WrongShapeError(f"{key!r} is no object")
    return value


def items(content: Any) -> list[dict[str, Any]]:
    """The rows of a list answer."""
    rows = content.get("items") if isinstance(content, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise WrongShapeError("no list of items")
    return rows


def total(content: Json) -> int:
    """How many rows there are in all."""
    return number(mapping(mapping(content, "metadata"), "pagination"), "total")
