"""Forms of the admin pages of accounts: what a service needs and a model does not hold, passwords and values of secrets."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.admin.widgets import FilteredSelectMultiple

from accounts.models import Group, Secret, User


class UserForm(forms.ModelForm):
    """A user, with a field for a new password."""

    new_password = forms.CharField(
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="At least 10 characters. Leave empty to keep the present one.",
    )

    class Meta:
        model = User
        fields = ["username", "full_name", "email", "role", "is_active", "must_change_password", "groups"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["new_password"].required = self.instance.pk is None


class GroupForm(forms.ModelForm):
    """A group with its users."""

    users = forms.ModelMultipleChoiceField(
        User.objects.all(), required=False, widget=FilteredSelectMultiple("users", False)
    )

    class Meta:
        model = Group
        fields = ["name", "role"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is not None:
            self.initial["users"] = self.instance.users.all()


class SecretForm(forms.ModelForm):
    """A secret, with a field for a new value."""

    new_value = forms.CharField(
        required=False,
        strip=False,
        label="Value",
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="Sealed when saved and never shown. Leave empty to keep the present one.",
    )

    class Meta:
        model = Secret
        fields = ["tenant", "name", "purpose", "visibility", "is_hidden_value"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["new_value"].required = self.instance._state.adding
