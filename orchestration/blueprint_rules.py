"""Filter rules on blueprints, whose labels are a JSON column; few rows, hence matched here and not in SQL."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from inventory.filters import ATTRIBUTE_OPERATORS, LABEL_OPERATORS, InvalidRule
from orchestration.models import Blueprint

ATTRIBUTES = {"id": "wire_id", "created_by": "created_by__username", "state": "state", "tenant_name": "tenant__name"}


def read_rules(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The rules of a search; InvalidRule for a wrong one. `constraints` of labels are rules too."""
    rules = body.get("filter_rules") or []
    if not isinstance(rules, list):
        raise InvalidRule(rules, "The filter rules must be a list of rules")
    for rule in rules:
        check(rule)
    return rules


def check(rule: Any) -> None:
    """Raise for a rule that cannot be applied."""
    if not isinstance(rule, dict):
        raise InvalidRule(rule, "The filter rule is not a dictionary")
    is_whole = rule.keys() == {"key", "values", "operator", "type"}
    if not is_whole or not isinstance(rule["values"], list) or not isinstance(rule["key"], str):
        raise InvalidRule(rule, "At least one of the entries in the filter rule is missing")
    if rule["type"] not in ("label", "attribute"):
        raise InvalidRule(rule, "Filter rule type must be one of label, attribute")
    allowed = LABEL_OPERATORS if rule["type"] == "label" else ATTRIBUTE_OPERATORS
    if rule["operator"] not in allowed:
        kind = "labels" if rule["type"] == "label" else "attributes"
        raise InvalidRule(rule, f"The operator for filtering by {kind} must be one of {', '.join(allowed)}")
    if rule["type"] == "attribute" and rule["key"] not in ATTRIBUTES:
        raise InvalidRule(rule, f"Allowed attributes to filter blueprints by are {', '.join(ATTRIBUTES)}")


def matching(rows: QuerySet[Blueprint], rules: list[dict[str, Any]]) -> QuerySet[Blueprint]:
    """The rows for which all rules hold."""
    columns = rows.values("pk", "labels", *ATTRIBUTES.values())
    kept = [row["pk"] for row in columns if all(holds(row, rule) for rule in rules)]
    return rows.filter(pk__in=kept)


def holds(row: dict[str, Any], rule: dict[str, Any]) -> bool:
    """Does one rule hold?"""
    values = [str(value) for value in rule["values"]]
    if rule["type"] == "label":
        return holds_for_labels(
            [label["value"] for label in row["labels"] if label["key"] == rule["key"].lower()], rule["operator"], values
        )
    return holds_for_text(row[ATTRIBUTES[rule["key"]]] or "", rule["operator"], values)


def holds_for_labels(there: list[str], operator: str, values: list[str]) -> bool:
    """Rules on the values of one key."""
    if operator in ("is_null", "is_not_null"):
        return bool(there) is (operator == "is_not_null")
    if operator == "any_of":
        return any(value in values for value in there)
    if operator == "not_any_of":
        return any(value not in values for value in there)
    return not any(value in values for value in there)  # is_not


def holds_for_text(text: str, operator: str, values: list[str]) -> bool:
    """Rules on an attribute; one that is empty never matches."""
    if operator == "is_not_empty" or not text:
        return bool(text)
    low = text.lower()
    tests = {
        "any_of": lambda: text in values,
        "not_any_of": lambda: text not in values,
        "contains": lambda: any(value in text for value in values),
        "not_contains": lambda: not any(value in text for value in values),
        "starts_with": lambda: any(low.startswith(value.lower()) for value in values),
        "ends_with": lambda: any(low.endswith(value.lower()) for value in values),
    }
    return tests[operator]()
