"""Forms of the environment and site pages; what they ask for is done by services."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms

from accounts.models import Secret, Tenant, User
from accounts.reads import visible_secrets
from inventory import reuse
from inventory.bulk_labels import additions, removals
from inventory.connections import ConnectionFields, read_target
from inventory.models import Credential, Environment, Site, SubManager
from inventory.value_lists import divided, joined

SECRET_PARTS = ("token", "username", "password")
ASK_AGAIN = "Enter it once more: what is secret is never sent back to the page."


class EnvironmentForm(forms.Form):
    """One remote manager's tenant: endpoint, protocol, port, tenant, trust, credential, site, labels."""

    name = forms.CharField(max_length=200, help_text="Unique here. Letters, digits, - . _")
    protocol = forms.ChoiceField(
        choices=SubManager.Protocol, initial="https", widget=forms.RadioSelect(attrs={"data-shows": ""})
    )
    endpoint = forms.CharField(label="Endpoint", max_length=253, help_text="Host name or address, without https://")
    port = forms.IntegerField(min_value=1, max_value=65535, initial=443)
    remote_tenant = forms.CharField(
        label="Tenant", max_length=256, initial=Tenant.DEFAULT, help_text="The tenant on that manager"
    )
    trust = forms.ChoiceField(
        label="Trust its certificate by",
        choices=SubManager.Trust,
        initial="system",
        widget=forms.RadioSelect(attrs={"data-shows": ""}),
    )
    ca_bundle = forms.CharField(
        label="CA bundle",
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
        help_text="PEM text of the authority that signed its certificate",
    )
    fingerprint = forms.CharField(required=False, max_length=95, help_text="SHA-256 of its certificate: Check shows it")
    insecure_reason = forms.CharField(
        label="Why is it not checked?",
        required=False,
        max_length=256,
        help_text="Shown as a badge wherever this manager appears",
    )
    method = forms.ChoiceField(
        choices=Credential.Kind, initial="token", widget=forms.RadioSelect(attrs={"data-shows": ""})
    )
    token_secret = forms.ModelChoiceField(
        label="Stored token", required=False, queryset=Secret.objects.none(), empty_label="Type a new one"
    )
    token = forms.CharField(
        label="Token",
        required=False,
        strip=True,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}, render_value=False),
    )
    username_secret = forms.ModelChoiceField(
        label="Stored user", required=False, queryset=Secret.objects.none(), empty_label="Type a new one"
    )
    username = forms.CharField(
        label="User", required=False, max_length=256, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    password_secret = forms.ModelChoiceField(
        label="Stored password", required=False, queryset=Secret.objects.none(), empty_label="Type a new one"
    )
    password = forms.CharField(
        label="Password",
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}, render_value=False),
    )
    mint_token = forms.BooleanField(
        label="Have a token made there, and keep that alone",
        required=False,
        help_text="User and password are then used once and not stored",
    )
    may_reuse = forms.BooleanField(
        label="A stored secret may be sent to this manager although it was not used there before", required=False
    )
    site = forms.ModelChoiceField(required=False, queryset=Site.objects.none(), empty_label="No site")
    labels = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "placeholder": "env=prod\nring=1"}),
        help_text="One key=value a line. Rollouts choose environments by these",
    )

    def __init__(
        self, *args: Any, tenant: Tenant, user: User, environment: Environment | None = None, **kwargs: Any
    ) -> None:
        if environment:
            kwargs["initial"] = initial_of(environment)
        super().__init__(*args, **kwargs)
        self.environment, self.tenant = environment, tenant
        stored = visible_secrets(user, tenant).filter(purpose=Secret.Purpose.CREDENTIAL).order_by("name")
        self.has_stored_secrets = stored.exists()
        for name in SECRET_PARTS:
            field = self.fields[f"{name}_secret"]
            assert isinstance(field, forms.ModelChoiceField)
            field.queryset = stored
            if environment:
                field.empty_label = "Keep it, or type a new one"
        site = self.fields["site"]
        assert isinstance(site, forms.ModelChoiceField)
        site.queryset = Site.objects.filter(tenant=tenant)

    def ask_again(self) -> None:
        """Say at secrets that were typed into a form which is shown again that they are lost."""
        for part in ("token", "password"):
            if self.data.get(part) and part not in self.errors:
                self.add_error(part, ASK_AGAIN)

    def clean_labels(self) -> list[tuple[str, str]]:
        return parse_labels(self.cleaned_data["labels"])

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.environment is None or self.is_credential_given(data):
            self.check_credential(data)
        if not data.get("may_reuse"):
            self.warn_of_reuse(data)
        if data.get("protocol") == "https":
            missing = {
                "ca_bundle": "Paste the certificates of its authority, as PEM text.",
                "fingerprint": "Paste the fingerprint, or Check and pin the one that is shown.",
                "insecure": "Say why its certificate is not checked.",
            }
            field = {"ca_bundle": "ca_bundle", "fingerprint": "fingerprint", "insecure": "insecure_reason"}.get(
                data.get("trust", "")
            )
            if field and not data.get(field):
                self.add_error(field, missing[data["trust"]])
        return data

    def warn_of_reuse(self, data: dict[str, Any]) -> None:
        """Before a stored secret goes to a manager that it was not used at, the person says that this is meant."""
        part = "token" if data.get("method") == "token" else "password"
        stored = [data[f"{part}_secret"]] if data.get(f"{part}_secret") else []
        if self.environment is not None and not self.is_credential_given(data):
            stored = reuse.secrets_of(self.environment)
        if not stored or not data.get("endpoint"):
            return
        where = ConnectionFields(endpoint=data["endpoint"], protocol=data.get("protocol", ""), port=data.get("port"))
        try:
            warning = reuse.warning_of(self.tenant, stored, read_target(where))
        except forms.ValidationError:
            return  # what is wrong with the endpoint is told when it is used
        if warning:
            self.add_error("may_reuse", warning)

    def is_credential_given(self, data: dict[str, Any]) -> bool:
        """Was any part of a credential entered or picked?"""
        return any(data.get(name) for part in SECRET_PARTS for name in (part, f"{part}_secret"))

    def check_credential(self, data: dict[str, Any]) -> None:
        """Half a credential is refused here, beside its field."""
        if data.get("method") == "token" and not (data.get("token") or data.get("token_secret")):
            self.add_error("token", "Paste a token of that manager, or pick a stored one.")
        if data.get("method") == "password":
            if not (data.get("username") or data.get("username_secret")):
                self.add_error("username", "Type the user's name, or pick a stored one.")
            if not (data.get("password") or data.get("password_secret")):
                self.add_error("password", "Type the password, or pick a stored one.")


def initial_of(environment: Environment) -> dict[str, Any]:
    """What is known of an environment, without its credential's values."""
    manager, deployment = environment.sub_manager, environment.deployment
    known = {
        name: getattr(manager, name)
        for name in ("protocol", "endpoint", "port", "trust", "ca_bundle", "fingerprint", "insecure_reason")
    }
    pairs = deployment.labels.order_by("key", "value")
    return known | {
        "name": deployment.display_name,
        "remote_tenant": environment.remote_tenant,
        "method": environment.credential.kind if environment.credential else Credential.Kind.TOKEN,
        "site": deployment.site_id,
        "labels": shown_labels((each.key, each.value) for each in pairs if not each.key.startswith("csys-")),
    }


def shown_labels(pairs: Iterable[tuple[str, str]]) -> str:
    """Pairs as `parse_labels` reads them, one a line."""
    return "\n".join(joined([f"{key}={value}"]) for key, value in pairs)


def parse_labels(text: str) -> list[tuple[str, str]]:
    """Pairs from "key=value" lines (or commas); ValidationError names the line that is not one."""
    pairs = []
    for line in (pair for row in text.splitlines() for pair in divided(row)):
        key, sign, value = line.partition("=")
        if not sign or not key.strip() or not value.strip():
            raise forms.ValidationError(f"“{line}” is not key=value. Write one label a line, as in env=prod.")
        pairs.append((key.strip(), value.strip()))
    return pairs


class LabelsForm(forms.Form):
    """All labels of one environment."""

    labels = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 5}),
        help_text="One key=value a line; \\, is a comma of a value",
    )

    def clean_labels(self) -> list[tuple[str, str]]:
        return parse_labels(self.cleaned_data["labels"])


class FilterForm(forms.Form):
    """Name and reach of a saved filter; its rules are fields of their own."""

    name = forms.CharField(max_length=256, help_text="Letters, digits, - . _")

    def __init__(self, *args: Any, may_be_global: bool = False, **more: Any) -> None:
        super().__init__(*args, **more)
        reach = [("tenant", "Everybody in this tenant"), ("private", "Only me")]
        self.fields["visibility"] = forms.ChoiceField(
            label="Seen by",
            choices=[*reach, ("global", "Every tenant")] if may_be_global else reach,
            help_text="Can be widened later, never narrowed",
        )


class BulkLabelsForm(forms.Form):
    """Labels that many environments get, and those that they lose."""

    add = forms.CharField(
        required=False, widget=forms.Textarea(attrs={"rows": 4}), help_text="One key=value a line; what is there stays"
    )
    remove = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="One key=value a line, or a key alone for all its values",
    )

    def clean_add(self) -> list[tuple[str, str]]:
        return additions(parse_labels(self.cleaned_data["add"]))

    def clean_remove(self) -> list[tuple[str, str | None]]:
        return removals([pair for row in self.cleaned_data["remove"].splitlines() for pair in divided(row)])

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not self.errors and not (data.get("add") or data.get("remove")):
            raise forms.ValidationError("Nothing would change: write at least one label to add or to remove.")
        return data


class SiteForm(forms.Form):
    """A place."""

    name = forms.CharField(max_length=256, help_text="Starts with a letter; letters, digits, - . _")
    latitude = forms.FloatField(required=False, min_value=-90, max_value=90, help_text="-90 to 90")
    longitude = forms.FloatField(required=False, min_value=-180, max_value=180, help_text="-180 to 180")
    time_zone = forms.CharField(required=False, max_length=64, help_text="As in Europe/London")
