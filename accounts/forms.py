"""Forms of the account pages; what they ask for is done by services."""
from __future__ import annotations

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.password_validation import validate_password

from accounts.models import Secret, Tenant, TenantRole, User, Visibility


class SignInForm(AuthenticationForm):
    """Name and password."""

    error_messages = {
        "invalid_login": "This name and password do not match. Check both; after many failures signing in is paused.",
        "inactive": "This account is switched off. Ask a system administrator.",
    }


class PasswordForm(forms.Form):
    """Own password: the old one, the new one twice."""

    old = forms.CharField(label="Present password", widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}))
    new = forms.CharField(
        label="New password",
        help_text="At least 10 characters, not a common one.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    again = forms.CharField(label="New password again", widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}))

    def __init__(self, *args: object, user: User, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
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

    description = forms.CharField(max_length=256, help_text="What uses it: shown in the list, so that you know which to revoke.")
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

    user = forms.ModelChoiceField(queryset=User.objects.none())
    role = forms.ChoiceField(choices=TenantRole, initial=TenantRole.USER)

    def __init__(self, *args: object, tenant: Tenant, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        users = forms.ModelChoiceField(queryset=User.objects.filter(is_active=True).order_by("username"), to_field_name="username")
        self.fields["user"] = users
        self.tenant = tenant


class UserForm(forms.Form):
    """A new user with a first password."""

    username = forms.CharField(max_length=256, help_text="Starts with a letter; letters, digits, - . _")
    password = forms.CharField(
        label="First password",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}, render_value=False),
        help_text="At least 10 characters. The user changes it at the first sign-in.",
    )
