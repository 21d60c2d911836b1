"""Ids of v3.1 checked in its own words; what they may be made of is the inventory's."""

from __future__ import annotations

from inventory.names import fault_of_id
from orchestration.errors import bad_parameters


def check_id(value: str, argument: str, *, begins_with_letter: bool = True) -> str:
    """The id itself; Refused with 400 where it is none. `argument` is the name that v3.1 gives it in messages."""
    fault = fault_of_id(value, f"The `{argument}` argument", begins_with_letter=begins_with_letter)
    if fault:
        raise bad_parameters(fault)
    return value
