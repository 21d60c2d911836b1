"""Forms of the account pages; what they ask for is done by services."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from accounts.models import Secret, TenantRole, User, Visibility
from accounts.revisions import Changed, shown
from accounts.roles import may


def show_errors(form: forms.Form, error: Exception) -> None:
    """Put what a service refused beside the fields it speaks of; the rest, and every other error, above the form."""
    if isinstance(error, Changed):
        form.add_error(None, str(error))
        for field in error.changes.keys() & form.fields.keys():
            form.add_error(field, f"Changed meanwhile: it is now {shown(error.changes[field])}.")
        return
    if not isinstance(error, ValidationError):
        form.add_error(None, str(error))
        return
    for field, words in getattr(error, "message_dict", {"": error.messages}).items():
        form.add_error(field if field in form.fields else None, words)


class SignInForm(AuthenticationForm):
    """Name and password."""

    error_messages = {
        "invalid_login": "This name and password do not match. Check both; after many failures signing in is paused.",
        "inactive": "This account is switched off. Ask a system administrator.",
    }


class PasswordForm(forms.Form):
    """Own password: the old one, the new one twice."""

    old = forms.CharField(
        label="Present password", widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )
    new = forms.CharField(
        label="New password",
        help_text="At least 10 characters, not a common one.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    again = forms.CharField(
        label="New password again", widget=forms.PasswordInput(attrs={"autocomplete": "new-password"})
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_old(self) -> str:
        old: str = self.cleaned_data["old"]
        if not self.user.check_password(old):
            raise forms.ValidationError("This is not your present password.")
        return old

    def clean(self) -> dict[str, object]:
        data = super().clean() or {}
        if data.get("new") and data.get("new") != data.get("again"):
            self.add_error("again", "The two new passwords differ.")
        elif data.get("new"):
            try:
                validate_password(str(data["new"]), self.user)
            except forms.ValidationError as error:
                self.add_error("new", error)
        return data


class TokenForm(forms.Form):
    """A new API token."""

    description = forms.CharField(
        max_length=256, help_text="What uses it: shown in the list, so that you know which to revoke."
    )
    days = forms.TypedChoiceField(
        label="Expires",
        coerce=int,
        choices=[(30, "In 30 days"), (90, "In 90 days"), (365, "In a year"), (0, "Never")],
        initial=90,
    )


class SecretForm(forms.Form):
    """A new secret; the value goes in and does not come out."""

    name = forms.CharField(max_length=256, help_text="Starts with a letter; letters, digits, - . _")
    purpose = forms.ChoiceField(choices=Secret.Purpose, initial=Secret.Purpose.CREDENTIAL)
    value = forms.CharField(
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}, render_value=False),
        strip=False,
        help_text="Sealed when saved. Nobody can read a credential back; you can only replace it.",
    )
    visibility = forms.ChoiceField(choices=Visibility, initial=Visibility.TENANT)

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        visibility = self.fields["visibility"]
        assert isinstance(visibility, forms.ChoiceField)
        if not may(user, "global.create"):
            visibility.choices = [pair for pair in Visibility.choices if pair[0] != Visibility.GLOBAL]


class SecretValueForm(forms.Form):
    """A new value for a stored secret."""

    value = forms.CharField(
        label="New value", strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "off"}, render_value=False)
    )


class TenantForm(forms.Form):
    """A new tenant."""

    name = forms.CharField(max_length=256, help_text="Starts with a letter; letters, digits, - . _")


class MembershipForm(forms.Form):
    """A user's role in a tenant."""

    user = forms.ModelChoiceField(
        queryset=User.objects.filter(is_active=True).order_by("username"),
        to_field_name="username",
        empty_label="Choose a person",
    )
    role = forms.ChoiceField(choices=TenantRole, initial=TenantRole.USER)


class UserForm(forms.Form):
    """A new user with a first password."""

    username = forms.CharField(max_length=256, help_text="Starts with a letter; letters, digits, - . _")
    password = forms.CharField(
        label="First password",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}, render_value=False),
        help_text="At least 10 characters. The user changes it at the first sign-in.",
    )
