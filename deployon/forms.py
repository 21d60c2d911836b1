"""Forms of the service and rollout pages; input fields are made from the schema that a blueprint declares."""
from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django import forms
from django.conf import settings

from deployon.inputs import from_text
from deployon.models import ServiceVersion

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


class SourceForm(forms.Form):
    """Where a version's blueprint comes from."""

    source = forms.ChoiceField(
        choices=[("pushed", "Upload an archive"), ("present", "Already at the managers")],
        initial="pushed",
        widget=forms.RadioSelect(attrs={"data-shows": ""}),
    )
    archive = forms.FileField(
        label="Blueprint archive", required=False, help_text="zip, tar, tar.gz or tar.bz2 with one folder at the top"
    )
    main_file = forms.CharField(label="Main file", required=False, initial="blueprint.yaml", max_length=256)
    remote_blueprint = forms.CharField(
        label="Blueprint there", required=False, max_length=256, help_text="Its id at every manager it will be deployed on"
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("source") == ServiceVersion.Source.PUSHED:
            archive = data.get("archive")
            if not archive:
                self.add_error("archive", "Choose the archive of the blueprint.")
            elif archive.size > settings.ARCHIVE_MAX_BYTES:
                self.add_error("archive", f"The archive is larger than {settings.ARCHIVE_MAX_BYTES // 2**20} MB. Make it smaller.")
        elif data.get("source") == ServiceVersion.Source.PRESENT and not data.get("remote_blueprint"):
            self.add_error("remote_blueprint", "Name the blueprint as the managers know it.")
        return data


class ServiceForm(SourceForm):
    """A new service with its first version."""

    name = forms.CharField(max_length=200, help_text="Starts with a letter; letters, digits, - . _")
    description = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 2}))
    field_order = ("name", "description", "source", "archive", "main_file", "remote_blueprint")


class InputsForm(forms.Form):
    """One field an input; values leave as the types that the schema names."""

    def __init__(self, schema: Mapping[str, Mapping[str, Any]], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.schema = schema
        for name, facts in schema.items():
            self.fields[f"input:{name}"] = field_of(name, facts)

    def values(self) -> dict[str, Any]:
        """{input: value} of what was typed; a field left empty is not given, so its default holds."""
        given = {}
        for name, facts in self.schema.items():
            typed = self.data.get(f"input:{name}", "")
            if typed != "" or (facts.get("type") == "string" and facts.get("default") not in (None, "")):
                given[name] = from_text(facts, typed)
        return given


def field_of(name: str, facts: Mapping[str, Any]) -> forms.Field:
    """A form field for one input of a blueprint."""
    default = facts.get("default")
    shown: dict[str, Any] = {
        "label": facts.get("display_label") or name,
        "help_text": " ".join(filter(None, [facts.get("description") or "", hint_of(facts)])),
        "required": default is None and facts.get("required", True),
        "initial": default if isinstance(default, str | None) else json.dumps(default),
    }
    allowed = next((rule["valid_values"] for rule in facts.get("constraints") or [] if "valid_values" in rule), None)
    if facts.get("type") == "boolean":
        allowed = [True, False]
    if allowed is not None:
        texts = [value if isinstance(value, str) else json.dumps(value) for value in allowed]
        return forms.ChoiceField(choices=[(text, text) for text in texts], **shown)
    if facts.get("type") in ("list", "dict", "textarea"):
        return forms.CharField(widget=forms.Textarea(attrs={"rows": 3}), **shown)
    return forms.CharField(**shown)


def hint_of(facts: Mapping[str, Any]) -> str:
    """The type and constraints in words."""
    words = {"integer": "A whole number.", "float": "A number.", "list": "A JSON list.", "dict": "A JSON object."}
    hints = [words.get(facts.get("type") or "", "")]
    for rule in facts.get("constraints") or []:
        for operator, argument in rule.items():
            if operator != "valid_values":
                hints.append(f"{operator.replace('_', ' ').capitalize()} {argument}.")
    return " ".join(filter(None, hints))


def rules_of(data: Any) -> list[dict[str, Any]]:
    """Filter rules from the repeated fields of the page; rows without a key are left out. `data` is a QueryDict."""
    rows = zip(
        data.getlist("rule_type"), data.getlist("rule_key"), data.getlist("rule_operator"), data.getlist("rule_values"), strict=False
    )
    return [
        {
            "type": kind,
            "key": key.strip(),
            "operator": operator,
            "values": [] if operator in WITHOUT_VALUES else [value.strip() for value in values.split(",") if value.strip()],
        }
        for kind, key, operator, values in rows
        if key.strip()
    ]
