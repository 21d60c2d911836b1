"""Filter rules in forms and addresses of pages: repeated fields `rule_type`, `rule_key`, `rule_operator`, `rule_values`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import QueryDict

from inventory.filters import InvalidRule
from inventory.models import Label
from inventory.value_lists import divided, joined

FIELDS = ("rule_type", "rule_key", "rule_operator", "rule_values")
# (attribute, words) that environments are filtered by besides labels
ATTRIBUTES = (
    ("display_name", "name"),
    ("site_name", "site"),
    ("id", "id"),
    ("created_by", "exposed by"),
    ("installation_status", "installation status"),
)
OPERATORS = (
    ("any_of", "is one of"),
    ("not_any_of", "is not one of"),
    ("is_not", "is not one of, or has no such key"),
    ("is_null", "has no such key"),
    ("is_not_null", "has the key"),
    ("contains", "contains"),
    ("not_contains", "does not contain"),
    ("starts_with", "starts with"),
    ("ends_with", "ends with"),
    ("is_not_empty", "is not empty"),
)
WITHOUT_VALUES = frozenset({"is_null", "is_not_null", "is_not_empty"})
BLANK_RULE: dict[str, Any] = {"type": "label", "key": "", "operator": "any_of", "values": []}
SHORT = {
    "any_of": "is",
    "not_any_of": "has other than",
    "is_not": "is not",
    "is_null": "is not set",
    "is_not_null": "is set",
}


def rules_of(data: QueryDict) -> list[dict[str, Any]]:
    """Filter rules from the repeated fields of the page; rows without a key are left out."""
    fields = [data.getlist(name) for name in FIELDS]
    return [
        {
            "type": kind,
            "key": key.strip(),
            "operator": operator,
            "values": [] if operator in WITHOUT_VALUES else divided(values),
        }
        for kind, key, operator, values in zip(*fields, strict=False)
        if key.strip()
    ]


def add_rule(data: QueryDict, rule: Mapping[str, Any]) -> None:
    """Append a rule to the repeated fields."""
    for field in ("type", "key", "operator"):
        data.appendlist(f"rule_{field}", rule[field])
    data.appendlist("rule_values", joined(rule["values"]))


def words_of(rule: Mapping[str, Any]) -> tuple[str, str, str]:
    """A rule as a sentence in three parts: what it looks at, how, and the values."""
    what = dict(ATTRIBUTES).get(rule["key"], rule["key"]) if rule["type"] == "attribute" else rule["key"]
    return what, SHORT.get(rule["operator"], dict(OPERATORS).get(rule["operator"], "")), " or ".join(rule["values"])


def reason_of(error: InvalidRule) -> str:
    """The refusal of a rule in words."""
    return f"This rule does not work: {error.reason}."


def shown_rules(rules: list[dict[str, Any]], problem: str = "", wrong: Any = None) -> dict[str, Any]:
    """What templates/inventory/rules.html shows: the rules, or an empty one; `problem` stands beside the rule that is `wrong`."""
    for rule in rules:
        rule["error"] = problem if rule == wrong else ""
    return {
        "rules": rules or [BLANK_RULE],
        "blank_rule": BLANK_RULE,
        "rules_error": problem,
        "operators": OPERATORS,
        "attributes": ATTRIBUTES,
    }


def label_keys(tenant_id: int) -> list[str]:
    """Keys in use on environments, for suggestions."""
    rows = Label.objects.filter(deployment__tenant=tenant_id, deployment__kind="environment")
    return list(rows.exclude(key__startswith="csys-").values_list("key", flat=True).distinct().order_by("key")[:100])


def without_rule(data: QueryDict, place: int) -> QueryDict:
    """The same fields without the rule at that place."""
    rest = data.copy()
    for field in FIELDS:
        rest.setlist(field, [text for number, text in enumerate(data.getlist(field)) if number != place])
    return rest
