"""Forms of what is done to many deployments."""

from __future__ import annotations

from django import forms

from orchestration.group_models import DEFAULT_CONCURRENCY

MOST_AT_ONCE = 1000


class PaceForm(forms.Form):
    """How many executions at once, and whether what stands in the way counts."""

    concurrency = forms.IntegerField(
        label="At once",
        min_value=0,
        max_value=MOST_AT_ONCE,
        initial=DEFAULT_CONCURRENCY,
        help_text="Executions at work at the same time. 0: they are made and wait until you raise it",
    )
    force = forms.BooleanField(
        label="Force: also where another execution is under way, or where the state does not allow it", required=False
    )


class ConcurrencyForm(forms.Form):
    """The pace of an execution group that runs."""

    concurrency = forms.IntegerField(label="At once; 0 is a pause", min_value=0, max_value=MOST_AT_ONCE)

    def first_error(self) -> str:
        """What is wrong with it."""
        return next((str(error) for errors in self.errors.values() for error in errors), "")


class RemovalForm(forms.Form):
    """Deletion of many."""

    force = forms.BooleanField(
        label="Force: also what is installed, at work, or has others standing on it", required=False
    )


class UpdateForm(forms.Form):
    """How an update is carried out."""

    install_first = forms.BooleanField(label="Install what is new before what is gone is uninstalled", required=False)
    skip_install = forms.BooleanField(label="Do not install what is new", required=False)
    skip_uninstall = forms.BooleanField(label="Do not uninstall what is gone", required=False)
    skip_reinstall = forms.BooleanField(label="Do not install anew what has changed", required=False)
    force_reinstall = forms.BooleanField(
        label="Install anew what has changed, although it has an operation of its own for that", required=False
    )
    ignore_failure = forms.BooleanField(label="Go on when an operation of an uninstall fails", required=False)
    skip_drift_check = forms.BooleanField(label="Leave alone what has drifted, and do not look for it", required=False)

    def flags(self) -> dict[str, bool]:
        """As updates.Wanted takes them."""
        return dict(self.cleaned_data)


class PlainPaceForm(forms.Form):
    """How many executions at once."""

    concurrency = PaceForm.base_fields["concurrency"]


class GroupForm(forms.Form):
    """The group that deployments are put into."""

    name = forms.CharField(
        label="Group",
        max_length=256,
        widget=forms.TextInput(attrs={"list": "known-groups", "autocomplete": "off"}),
        help_text="A new id, or that of a group that is there: then they are added to it, and get its labels",
    )
