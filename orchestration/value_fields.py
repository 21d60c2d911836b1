"""Form fields for what a blueprint declares, inputs or parameters of a workflow; values leave in the declared types."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django import forms

Schema = Mapping[str, Mapping[str, Any]]
HINTS = {"integer": "A whole number.", "float": "A number.", "list": "A JSON list.", "dict": "A JSON object."}
TEXTS = frozenset({"string", "regex", "textarea"})


class ValuesForm(forms.Form):
    """One field for each declared value; one that is left empty is not given.

    `present`: what holds now, by name; `keeps`: an empty field leaves that as it is, wherever the default is another value.
    """

    def __init__(
        self,
        schema: Schema,
        data: Mapping[str, Any] | None = None,
        *,
        present: Mapping[str, Any] | None = None,
        are_required: bool = True,
        keeps: bool = False,
    ) -> None:
        super().__init__(data, initial={f"value:{name}": text_of(value) for name, value in (present or {}).items()})
        self.schema = schema
        for name, facts in schema.items():
            has_value = bool(present) and name in (present or {})
            is_required = are_required and not has_value and "default" not in facts and facts.get("required", True)
            self.fields[f"value:{name}"] = field_of(name, facts, bool(is_required), keeps)

    def values(self) -> dict[str, Any]:
        """What was typed, in the declared types; errors are those of clean()."""
        given = {}
        for name, facts in self.schema.items():
            typed = str(self.data.get(f"value:{name}", ""))
            if typed.strip():
                given[name] = value_of(facts, typed)
        return given

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        for name, facts in self.schema.items():
            typed = str(self.data.get(f"value:{name}", "")).strip()
            kind = facts.get("type") or ""
            if not typed or kind not in KINDS:
                continue
            value = value_of(facts, typed)
            is_function = isinstance(value, dict) and len(value) == 1 and str(next(iter(value))).startswith("get_")
            if not is_function and (
                not isinstance(value, KINDS[kind]) or (isinstance(value, bool) and kind != "boolean")
            ):
                self.add_error(f"value:{name}", f"This is not what the blueprint asks for. {WANTED[kind]}")
        return data


KINDS: dict[str, tuple[type, ...]] = {
    "integer": (int,),
    "float": (int, float),
    "boolean": (bool,),
    "list": (list,),
    "dict": (dict,),
}
WANTED = {
    "integer": "Enter a whole number, as in 3.",
    "float": "Enter a number, as in 2.5.",
    "boolean": "Enter true or false.",
    "list": 'Enter a JSON list, as in ["a", "b"].',
    "dict": 'Enter a JSON object, as in {"name": "value"}.',
}


def text_of(value: Any) -> str:
    """A value as it stands in a field."""
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def value_of(facts: Mapping[str, Any], text: str) -> Any:
    """What was typed, as a value of the declared type; the text itself where it is no such value."""
    kind = facts.get("type") or ""
    if kind in TEXTS:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return {"yes": True, "no": False}.get(text.strip().lower(), text) if kind == "boolean" else text


def field_of(name: str, facts: Mapping[str, Any], is_required: bool, keeps: bool) -> forms.Field:
    """A form field for one value."""
    kind, default = facts.get("type") or "", facts.get("default")
    hint = [str(facts.get("description") or "").strip(), HINTS.get(kind, "")]
    if "default" in facts and not keeps:
        hint.append(f"Left empty: {text_of(default)[:80] or 'nothing'}.")
    shown: dict[str, Any] = {
        "label": facts.get("display_label") or name,
        "help_text": " ".join(part if part[-1] in ".!?" else f"{part}." for part in hint if part),
        "required": is_required,
        "error_messages": {"required": "Enter a value: the blueprint has none of its own for this."},
    }
    allowed = next((rule["valid_values"] for rule in facts.get("constraints") or [] if "valid_values" in rule), None)
    allowed = [True, False] if kind == "boolean" else allowed
    if allowed is not None:
        nothing = [("", "Choose one" if is_required else "Stays as it is" if keeps else "As the blueprint has it")]
        return forms.ChoiceField(choices=nothing + [(text_of(one), text_of(one)) for one in allowed], **shown)
    if kind in ("list", "dict", "textarea"):
        return forms.CharField(widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}), **shown)
    return forms.CharField(widget=forms.TextInput(attrs={"autocomplete": "off"}), strip=False, **shown)
