"""The form of how many instances there are to be."""

from __future__ import annotations

import re
from typing import Any

from django import forms

from orchestration.scaling import MOST, Scalable


class ScaleForm(forms.Form):
    """A node or scaling group, how many of it, and which instances go or stay where there are to be fewer."""

    entity = forms.ChoiceField(label="Node or scaling group")
    instances = forms.IntegerField(label="How many there are to be", min_value=0, max_value=MOST)
    remove = forms.CharField(
        required=False,
        label="Remove these first",
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
        help_text="Ids of instances, where there are to be fewer; empty: whichever",
    )
    keep = forms.CharField(
        required=False,
        label="Keep these",
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
        help_text="Ids of instances that stay",
    )

    def __init__(self, *args: Any, known: dict[str, Scalable], **more: Any) -> None:
        super().__init__(*args, **more)
        self.known = known
        self.fields["entity"] = forms.ChoiceField(
            label="Node or scaling group",
            choices=[(one.name, f"{one.name} ({one.current} now)") for one in known.values()],
        )
        self.order_fields(["entity", "instances", "remove", "keep"])

    def clean_remove(self) -> list[str]:
        return split(self.cleaned_data["remove"])

    def clean_keep(self) -> list[str]:
        return split(self.cleaned_data["keep"])

    def clean(self) -> None:
        data = self.cleaned_data
        one = self.known.get(data.get("entity", ""))
        if one is None or "instances" not in data:
            return
        if data["instances"] == one.current:
            self.add_error("instances", f"There are {one.current} of {one.name} already. Say another number.")
        elif data["instances"] > one.current and (data.get("remove") or data.get("keep")):
            self.add_error(
                "instances", "Instances to remove or to keep are for fewer instances than now. Leave them empty."
            )


def split(text: str) -> list[str]:
    """Ids, separated by spaces, commas or new lines; each once."""
    return list(dict.fromkeys(part for part in re.split(r"[\s,;]+", text) if part))
