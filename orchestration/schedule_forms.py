"""The form of a schedule."""

from __future__ import annotations

import datetime
from typing import Any

from django import forms

from orchestration.forms import ParametersForm
from orchestration.schedules import Changes

NOW = "%Y-%m-%dT%H:%M"


class ScheduleForm(ParametersForm):
    """A workflow, when it runs, and what happens to a time that was missed. Times are UTC."""

    name = forms.CharField(label="Id", max_length=256, help_text="Its own within the deployment, as in nightly")
    workflow = forms.ChoiceField()
    since = forms.DateTimeField(
        label="First time, UTC",
        input_formats=[NOW],
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format=NOW),
    )
    recurrence = forms.CharField(
        required=False, label="Again every", max_length=64, help_text="As in 30 min, 1 day, 2 weeks; empty: once"
    )
    until = forms.DateTimeField(
        required=False,
        label="Until, UTC",
        input_formats=[NOW],
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format=NOW),
    )
    slip = forms.IntegerField(
        label="Slip",
        min_value=0,
        max_value=100_000,
        initial=0,
        help_text="Minutes for which a time that was missed still runs",
    )
    stop_on_fail = forms.BooleanField(label="Switch it off when its execution fails", required=False)

    def __init__(self, *args: Any, workflows: list[dict[str, Any]], **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["workflow"] = forms.ChoiceField(choices=[(one["name"], one["name"]) for one in workflows])
        self.order_fields(["name", "workflow", "parameters", "since", "recurrence", "until", "slip", "stop_on_fail"])

    def changes(self) -> Changes:
        """As schedules.create takes them."""
        data = self.cleaned_data
        return Changes(
            workflow=data["workflow"],
            parameters=data["parameters"],
            since=in_utc(data["since"]),
            until=in_utc(data["until"]),
            recurrence=data["recurrence"].strip() or None,
            slip=data["slip"],
            stop_on_fail=data["stop_on_fail"],
        )


def in_utc(moment: datetime.datetime | None) -> Any:
    """The time that was typed is one of UTC."""
    return moment.replace(tzinfo=datetime.UTC) if moment is not None else None
