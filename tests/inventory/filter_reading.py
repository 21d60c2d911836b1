"""A second, plain reading of the filter rules, to hold the SQL against: no database, no product code."""

from __future__ import annotations

import re
from typing import Any


def holds(rule: dict[str, Any], row: dict[str, Any]) -> bool:
    """Does the (correct) rule hold for a deployment as the wire shows it, `labels` as [key, value] pairs?"""
    return label_holds(rule, row["labels"]) if rule["type"] == "label" else attribute_holds(rule, row)


def label_holds(rule: dict[str, Any], labels: list[list[str]]) -> bool:
    has = {value for key, value in labels if key == rule["key"].lower()}
    listed = set(rule["values"])
    return {
        "any_of": bool(has & listed),
        "not_any_of": bool(has - listed),
        "is_not": not has & listed,
        "is_null": not has,
        "is_not_null": bool(has),
    }[rule["operator"]]


def attribute_holds(rule: dict[str, Any], row: dict[str, Any]) -> bool:
    if rule["key"] == "schedules":
        return bool(row.get("schedules"))
    has, listed, operator = row[rule["key"]], rule["values"], rule["operator"]
    if operator == "is_not_empty":
        return bool(has)
    if not listed:
        return operator != "any_of"
    if not has:
        return False
    patterns = ["".join("." if character == "_" else re.escape(character) for character in value) for value in listed]
    return {
        "any_of": has in listed,
        "not_any_of": has not in listed,
        "contains": any(re.search(pattern, has) for pattern in patterns),
        "not_contains": not any(re.search(pattern, has) for pattern in patterns),
        "starts_with": any(re.match(pattern, has, re.IGNORECASE | re.ASCII) for pattern in patterns),
        "ends_with": any(re.search(f"(?:{pattern})\\Z", has, re.IGNORECASE | re.ASCII) for pattern in patterns),
    }[operator]
