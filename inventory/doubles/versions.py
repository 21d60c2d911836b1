"""A double of another version: what that version does not know is refused where it is asked for, and in no answer."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from inventory.doubles.accounts import error
from inventory.doubles.answers import Answer, Query


def refuse_unknown(query: Query, lacks: Collection[str]) -> Answer | None:
    """The refusal of a request that asks for what is not known, or None."""
    asked = [field for value in query.get("_include", []) for field in value.split(",")]
    unknown = [field for field in asked if field in lacks]
    if not unknown:
        return None
    said = f"Include keys '{unknown}' do not exist. Allowed keys are: ['id', 'created_at', 'visibility']"
    return error(400, "no_such_include_field_error", said)


def without(content: Any, lacks: Collection[str]) -> Any:
    """An answer as that version gives it."""
    if not isinstance(content, dict):
        return content
    told = {key: value for key, value in content.items() if key not in lacks}
    if isinstance(told.get("items"), list):
        told["items"] = [without(row, lacks) for row in told["items"]]
    return told
