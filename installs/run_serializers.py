"""Shapes of plans and of work on clusters."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from installs.asked import KINDS as ASKED
from installs.expected import Expected
from installs.models import ClusterRun
from installs.serializers import FindingSerializer
from runs.states import RunState

KINDS = [(str(kind), kind.label) for kind in ASKED]


class WorkSerializer(serializers.Serializer):
    """Which work is meant."""

    kind = serializers.ChoiceField(choices=KINDS, default="install")
    host = serializers.CharField(default="", allow_blank=True, help_text="The host to remove, for remove_host")
    is_lost = serializers.BooleanField(
        default=False, help_text="That host is dead and does not come back: nothing is asked of it"
    )
    expose = serializers.BooleanField(
        source="is_exposed", default=False, help_text="An install ends with the cluster as an environment"
    )


class StartWorkSerializer(WorkSerializer):
    """Work that was planned."""

    digest = serializers.CharField(help_text="Of the plan that was shown")


class PlannedSerializer(serializers.Serializer):
    """A plan as it is shown."""

    kind = serializers.CharField()
    title = serializers.CharField()
    digest = serializers.CharField(help_text="Start names it")
    steps = serializers.IntegerField()
    seconds = serializers.FloatField(
        allow_null=True, help_text="By what such steps took in the past; null: nothing is known"
    )
    unknown = serializers.IntegerField(help_text="Steps that never ran here, which that figure leaves out")
    stages = serializers.SerializerMethodField(
        help_text="Stages in order, their lanes side by side, operations of a lane in order; `expected` of an operation: new, leaves, "
        "differs or as wanted (by the last check), empty where nothing is known"
    )
    findings = serializers.SerializerMethodField(
        help_text="What keeps it from being started, or should be known before"
    )

    @extend_schema_field({"type": "array", "items": {"type": "object"}})
    def get_stages(self, planned: Any) -> list[dict[str, Any]]:
        expected: Expected = self.context.get("expected") or Expected()
        return expected.marked(planned.stages)

    @extend_schema_field(FindingSerializer(many=True))
    def get_findings(self, planned: Any) -> list[dict[str, Any]]:
        return [finding.as_json() for finding in planned.findings]


class ClusterRunSerializer(serializers.ModelSerializer):
    """One piece of work; `run` is the id in /api/v1/runs/."""

    state = serializers.ChoiceField(source="run.state", choices=RunState.choices, read_only=True)
    why = serializers.CharField(source="run.why", read_only=True)
    title = serializers.CharField(source="run.title", read_only=True)
    ended_at = serializers.DateTimeField(source="run.ended_at", read_only=True, allow_null=True)

    class Meta:
        model = ClusterRun
        fields = ["run", "kind", "host", "title", "state", "why", "created_at", "ended_at"]
        read_only_fields = fields
