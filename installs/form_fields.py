"""Fields of the cluster pages that hold several values as people write them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from inventory import service_settings
from inventory.host_names import as_usual


class NetworksField(forms.CharField):
    """`agents=10.9.0.1, storage=10.8.0.1` as {name: address}."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, max_length=1024, **kwargs)

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        networks = {}
        for pair in filter(None, (pair.strip() for pair in text.replace(";", ",").split(","))):
            name, sign, address = pair.partition("=")
            if not sign:
                raise forms.ValidationError(f"{pair}: write name=address, such as agents=10.9.0.1.")
            networks[name.strip()] = as_usual(address)
        return networks

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(f"{name}={address}" for name, address in value.items()) if isinstance(value, dict) else value


class SettingsField(forms.CharField):
    """Lines of NAME=value as {name: value}."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.Textarea(
            attrs={"rows": 3, "spellcheck": "false", "placeholder": "ENDPOINT_NETWORKS=10.9.0.0/16"}
        )
        super().__init__(required=False, max_length=4096, widget=widget, **kwargs)

    def clean(self, value: Any) -> Any:
        try:
            return service_settings.checked(service_settings.read_lines(super().clean(value)))
        except ValidationError as fault:
            raise forms.ValidationError(fault.messages) from None

    def prepare_value(self, value: Any) -> Any:
        return service_settings.to_lines(value) if isinstance(value, dict) else value
