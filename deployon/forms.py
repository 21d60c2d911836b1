"""Forms of the service and rollout pages; input fields are made from the schema that a blueprint declares."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from django import forms
from django.conf import settings

from deployon.inputs import effective_inputs, from_text
from deployon.models import ServiceVersion


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
        label="Blueprint there",
        required=False,
        max_length=256,
        help_text="Its id at every manager it will be deployed on",
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("source") == ServiceVersion.Source.PUSHED:
            archive = data.get("archive")
            if not archive:
                self.add_error("archive", "Choose the archive of the blueprint.")
            elif archive.size > settings.ARCHIVE_MAX_BYTES:
                self.add_error(
                    "archive", f"The archive is larger than {settings.ARCHIVE_MAX_BYTES // 2**20} MB. Make it smaller."
                )
        elif data.get("source") == ServiceVersion.Source.PRESENT and not data.get("remote_blueprint"):
            self.add_error("remote_blueprint", "Name the blueprint as the managers know it.")
        return data


class ServiceForm(SourceForm):
    """A new service with its first version."""

    name = forms.CharField(max_length=200, help_text="Starts with a letter; letters, digits, - . _")
    description = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 2}))
    field_order = ("name", "description", "source", "archive", "main_file", "remote_blueprint")


class PaceForm(forms.Form):
    """How fast, and how many failures are borne."""

    max_parallel = forms.IntegerField(
        label="At once", min_value=1, max_value=1000, initial=10, help_text="Environments under way at the same time"
    )
    failure_budget = forms.IntegerField(
        label="Failure budget",
        required=False,
        min_value=0,
        max_value=1_000_000,
        help_text="One more failure than this and nothing new starts. Empty: go on whatever fails",
    )

    def __init__(self, data: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        if data is not None and "max_parallel" not in data:  # an address without it means the usual
            data = {
                "max_parallel": self.base_fields["max_parallel"].initial,
                "failure_budget": data.get("failure_budget", ""),
            }
        super().__init__(data, **kwargs)

    def as_query(self) -> dict[str, str]:
        """For an address that carries it on."""
        return {name: str(value) for name, value in self.cleaned_data.items() if value is not None}

    def first_error(self) -> str:
        """The first thing that is wrong, with its field."""
        name, errors = next(iter(self.errors.items()))
        return f"{self.fields[name].label}: {errors[0]}"


class InputsForm(forms.Form):
    """One field an input; values leave as the types that the schema names."""

    def __init__(
        self,
        schema: Mapping[str, Mapping[str, Any]],
        data: Mapping[str, Any] | None = None,
        *,
        given: Mapping[str, Any] | None = None,
        elsewhere: Collection[str] = (),
    ) -> None:
        super().__init__(data, initial={f"input:{name}": text_of(value) for name, value in (given or {}).items()})
        self.schema = schema
        self.elsewhere = frozenset(elsewhere)  # inputs that may come from each environment: not required here
        for name, facts in schema.items():
            field = field_of(name, facts)
            field.required = field.required and name not in self.elsewhere
            self.fields[f"input:{name}"] = field

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        try:
            given = self.values()
            left = {name: facts for name, facts in self.schema.items() if name in given or name not in self.elsewhere}
            effective_inputs(left, given)
        except forms.ValidationError as error:
            for name, words in error.message_dict.items():
                if f"input:{name}" not in self.errors:
                    self.add_error(f"input:{name}", words)
        return data

    def values(self) -> dict[str, Any]:
        """{input: value} of what was typed; a field left empty is not given, so its default holds."""
        given = {}
        for name, facts in self.schema.items():
            typed = self.data.get(f"input:{name}", "")
            if typed != "" or (facts.get("type") == "string" and facts.get("default") not in (None, "")):
                given[name] = from_text(facts, typed)
        return given

    def changed_values(self) -> dict[str, str]:
        """{input: text} of what is not the default."""
        typed = {name: self.data.get(f"input:{name}", "") for name in self.schema}
        return {
            name: text for name, text in typed.items() if text and text != text_of(self.schema[name].get("default"))
        }


def text_of(value: Any) -> str:
    """A value as it stands in a field."""
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def field_of(name: str, facts: Mapping[str, Any]) -> forms.Field:
    """A form field for one input of a blueprint."""
    default = facts.get("default")
    kind = facts.get("type") or ""
    is_required = default is None and facts.get("required", True)
    shown: dict[str, Any] = {
        "label": facts.get("display_label") or name,
        "help_text": " ".join(filter(None, [sentence(facts.get("description")), hint_of(facts)])),
        "required": is_required,
        "initial": text_of(default),
        "error_messages": {"required": "Enter a value: the blueprint has none of its own for this input."},
    }
    allowed = next((rule["valid_values"] for rule in facts.get("constraints") or [] if "valid_values" in rule), None)
    if kind == "boolean":
        allowed = [True, False]
    if allowed is not None:
        texts = [text_of(value) for value in allowed]
        nothing = [("", "Choose one" if is_required else "As the blueprint has it")] if default is None else []
        return forms.ChoiceField(choices=nothing + [(text, text) for text in texts], **shown)
    if kind in ("list", "dict", "textarea"):
        return forms.CharField(widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}), **shown)
    is_number = kind in ("integer", "float")
    attributes = {"inputmode": "numeric" if kind == "integer" else "decimal"} if is_number else {}
    return forms.CharField(
        widget=forms.TextInput(attrs={"autocomplete": "off", **attributes}), strip=is_number, **shown
    )


def sentence(text: Any) -> str:
    """A description with its full stop."""
    words = str(text or "").strip()
    return words if not words or words[-1] in ".!?" else f"{words}."


def hint_of(facts: Mapping[str, Any]) -> str:
    """The type and constraints in words."""
    words = {"integer": "A whole number.", "float": "A number.", "list": "A JSON list.", "dict": "A JSON object."}
    hints = [words.get(facts.get("type") or "", "")]
    for rule in facts.get("constraints") or []:
        for operator, argument in rule.items():
            if operator == "in_range":
                hints.append(f"From {argument[0]} to {argument[1]}.")
            elif operator != "valid_values":
                hints.append(f"{operator.replace('_', ' ').capitalize()} {argument}.")
    return " ".join(filter(None, hints))


def inputs_of(data: Mapping[str, Any]) -> dict[str, str]:
    """What stands in a posted form about inputs: typed field by field, or as JSON."""
    texts = {name: text for name, text in data.items() if name.startswith("input:")}
    try:
        raw = json.loads(data.get("raw_inputs") or "{}")
    except ValueError:
        raw = {}
    return texts | {f"input:{name}": text_of(value) for name, value in raw.items()} if isinstance(raw, dict) else texts
