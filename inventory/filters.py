"""Filter rules as data: what a rule is, which ones are right and how a wrong one is told; SQL is in querysets, storing in saved_filters.

The words of the faults are those of the genuine manager: scripts read them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError

from inventory import names
from inventory.label_rules import fault_of_label

LABEL, ATTRIBUTE = "label", "attribute"
TYPES = (LABEL, ATTRIBUTE)
LABEL_OPERATORS = ("any_of", "not_any_of", "is_null", "is_not_null", "is_not")
ATTRIBUTE_OPERATORS = ("any_of", "not_any_of", "contains", "not_contains", "starts_with", "ends_with", "is_not_empty")
ATTRIBUTES = (
    "id",
    "blueprint_id",
    "created_by",
    "site_name",
    "schedules",
    "tenant_name",
    "display_name",
    "installation_status",
)
NULL_OPERATORS = ("is_null", "is_not_null")
VALUE_OPERATORS = ("any_of", "not_any_of", "is_not")
# Names for people: blanks are legal in them, although the genuine manager takes none in a rule.
TITLES = frozenset({"site_name", "display_name"})


@dataclasses.dataclass(frozen=True)
class Rule:
    """One condition on a deployment: on its labels, or on one of ATTRIBUTES. Rules are AND-ed, the values of one are OR-ed."""

    type: str
    key: str  # lower case
    operator: str
    values: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As on the wire and in `Filter.rules`."""
        return {"type": self.type, "key": self.key, "operator": self.operator, "values": list(self.values)}


class InvalidRule(ValidationError):
    """A filter rule that cannot be applied; `rule` and `reason` are `err_filter_rule` and `err_reason` of v3.1."""

    def __init__(self, rule: Any, reason: str) -> None:
        super().__init__(f"The filter rule {rule} is not in the right format. {reason}")
        self.rule = rule
        self.reason = reason


def parse(rules: Any, *, are_titles_free: bool = False) -> list[Rule]:
    """The rules of a request, checked, identical ones once; raises InvalidRule for the first wrong one.

    `are_titles_free`: names for people (TITLES) may be compared with any text, where v3.1 takes ids only.
    """
    if not isinstance(rules, list):
        raise InvalidRule(rules, "The filter rules must be a list of rules")
    parsed = [_parse_rule(rule, are_titles_free) for rule in rules]
    return list(dict.fromkeys(parsed))


def stored(rules: Sequence[dict[str, Any]]) -> list[Rule]:
    """The rules of a saved filter, which were checked when it was saved."""
    return [Rule(rule["type"], rule["key"], rule["operator"], tuple(rule["values"])) for rule in rules]


def _parse_rule(rule: Any, are_titles_free: bool) -> Rule:
    reason = _fault_of_structure(rule)
    if not reason:
        kind = rule["type"]
        if kind == LABEL:
            reason = _fault_of_label_rule(rule)
        elif kind == ATTRIBUTE:
            reason = _fault_of_attribute_rule(rule, are_titles_free)
        else:
            reason = f"Filter rule type must be one of {', '.join(TYPES)}"
    if reason:
        raise InvalidRule(rule, reason)
    return Rule(rule["type"], rule["key"].lower(), rule["operator"], tuple(rule["values"]))


def _fault_of_structure(rule: Any) -> str:
    if not isinstance(rule, dict):
        return "The filter rule is not a dictionary"
    if rule.keys() != {"key", "values", "operator", "type"}:
        return "At least one of the entries in the filter rule is missing"
    if not isinstance(rule["key"], str):
        return "The filter rule key must be a string"
    if not isinstance(rule["values"], list):
        return "The filter rule values must be a list"
    return ""


def _fault_of_label_rule(rule: dict[str, Any]) -> str:
    operator, values = rule["operator"], rule["values"]
    if operator not in LABEL_OPERATORS:
        return f"The operator for filtering by labels must be one of {', '.join(LABEL_OPERATORS)}"
    if operator in NULL_OPERATORS and values:
        return f"Values list must be empty if the operator is one of {', '.join(NULL_OPERATORS)}"
    if operator in VALUE_OPERATORS and not values:
        return f"Values list must include at least one item if the operator is one of {', '.join(VALUE_OPERATORS)}"
    return next(filter(None, (fault_of_label(rule["key"], value) for value in values)), "")


def _fault_of_attribute_rule(rule: dict[str, Any], are_titles_free: bool) -> str:
    key, operator, values = rule["key"], rule["operator"], rule["values"]
    if operator not in ATTRIBUTE_OPERATORS:
        return f"The operator for filtering by attributes must be one of {', '.join(ATTRIBUTE_OPERATORS)}"
    if operator == "is_not_empty" and values:
        return "Values list must be empty if the operator is is_not_empty"
    if key not in ATTRIBUTES:
        return f"Allowed attributes to filter deployments by are {', '.join(ATTRIBUTES)}"
    if key == "schedules" and operator != "is_not_empty":
        return "Filtering by deployment schedules is only possible with the is_not_empty operator"
    is_free = are_titles_free and key in TITLES
    return next(filter(None, (_fault_of_attribute_value(value, is_free) for value in values)), "")


def _fault_of_attribute_value(value: Any, is_free: bool) -> str:
    subject = "The `attributes' filter rule value` argument"
    if value and not isinstance(value, str):
        return f"{subject} must be a string"
    if is_free and value and len(value) <= names.MAX_LENGTH:
        return ""
    return names.fault_of_id(value or "", subject)
