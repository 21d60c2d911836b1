"""Forms of the deployment pages."""

from __future__ import annotations

import json
from typing import Any

from django import forms


class ParametersForm(forms.Form):
    """What a workflow is given, as JSON."""

    parameters = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text='A JSON object, as in {"ratio": 2}; may be empty',
    )

    def clean_parameters(self) -> dict[str, Any]:
        text = self.cleaned_data["parameters"].strip()
        try:
            value = json.loads(text) if text else {}
        except ValueError as error:
            raise forms.ValidationError(f"This is not JSON: {error}.") from error
        if not isinstance(value, dict):
            raise forms.ValidationError('This is not a JSON object. Write {"name": value}.')
        return value


class WorkflowForm(ParametersForm):
    """A workflow to start, with its parameters as JSON."""

    workflow = forms.ChoiceField()
    dry_run = forms.BooleanField(label="Dry run: log what would be done", required=False)
    force = forms.BooleanField(label="Force: although another one is at work", required=False)
    queue = forms.BooleanField(label="Queue: begin when the one at work has ended", required=False)

    def __init__(self, *args: Any, workflows: list[dict[str, Any]], **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["workflow"] = forms.ChoiceField(
            choices=[
                (one["name"], one["name"] if one["is_available"] else f"{one['name']} (not now)") for one in workflows
            ]
        )
        self.order_fields(["workflow", "parameters", "dry_run", "force", "queue"])
