"""The form that looks for the tenants of one manager, and says what their environments are to be."""

from __future__ import annotations

from typing import Any

from django import forms

from inventory.discovering import USUAL_NAME
from inventory.forms import EnvironmentForm


class TenantsForm(EnvironmentForm):
    """Where the manager is and who we are there; names, site and labels are for every environment that is made."""

    name_template = forms.CharField(
        label="Names",
        max_length=200,
        initial=USUAL_NAME,
        help_text="{tenant} and {endpoint} are filled in; letters, digits, - . _",
    )

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        del self.fields["name"], self.fields["remote_tenant"]

    def clean_name_template(self) -> Any:
        text = self.cleaned_data["name_template"]
        if "{tenant}" not in text:
            raise forms.ValidationError("Write {tenant} where the tenant's name goes, as in plant-{tenant}.")
        return text
