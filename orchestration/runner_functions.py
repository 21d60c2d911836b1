"""Finds intrinsic functions in JSON values, without evaluating them (that is done in a child, by the library)."""

from __future__ import annotations

from typing import Any

FUNCTIONS = frozenset(
    "get_input get_property get_attribute get_attributes_list get_attributes_dict get_secret get_capability get_group_capability "
    "get_environment_capability get_label get_sys get_consumers concat merge string_find string_replace string_split string_lower "
    "string_upper".split()
)


def has_functions(value: Any) -> bool:
    """Is there anything to evaluate in it? Saves a child for the usual case."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if len(item) == 1 and next(iter(item)) in FUNCTIONS:
                return True
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
    return False
