"""Shapes of runs, steps and events in /api/v1."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from runs.models import Event, Run, Step
from runs.reads import progress, why_waiting
from runs.states import FINAL_RUN_STATES


class StepSerializer(serializers.ModelSerializer[Step]):
    """One operation; `why` says what it waits for, or why it failed."""

    class Meta:
        model = Step
        fields = [
            "id",
            "stage",
            "lane",
            "position",
            "operation",
            "title",
            "state",
            "why",
            "cause",
            "attempt",
            "next_look_at",
            "deadline_at",
            "started_at",
            "ended_at",
        ]


class RunSerializer(serializers.ModelSerializer[Run]):
    """A run in a list."""

    tenant = serializers.CharField(source="tenant.name", read_only=True)
    started_by = serializers.CharField(source="started_by.username", read_only=True, allow_null=True, default=None)

    class Meta:
        model = Run
        fields = [
            "id",
            "title",
            "tenant",
            "started_by",
            "mode",
            "parent",
            "position",
            "state",
            "why",
            "cause",
            "lock",
            "attempt",
            "max_parallel",
            "failure_budget",
            "next_look_at",
            "created_at",
            "started_at",
            "ended_at",
        ]


class RunDetailSerializer(RunSerializer):
    """A run with how far it is, why it waits as things are now, and its steps; children are listed by `?parent=`."""

    why = serializers.SerializerMethodField()
    progress = serializers.SerializerMethodField()
    steps = StepSerializer(many=True, read_only=True)

    class Meta(RunSerializer.Meta):
        fields = [*RunSerializer.Meta.fields, "progress", "steps"]

    def get_why(self, run: Run) -> str:
        return run.why if run.state in FINAL_RUN_STATES else why_waiting(run)

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "integer"}})
    def get_progress(self, run: Run) -> dict[str, Any]:
        return progress(run)


class EventSerializer(serializers.ModelSerializer[Event]):
    """Something that happened; `id` grows."""

    class Meta:
        model = Event
        fields = ["id", "run", "step", "kind", "message", "data", "at"]


class EventPageSerializer(serializers.Serializer[Any]):
    """Events after a cursor, and the cursor to ask with next; events of the last two seconds may come again: drop them by id."""

    events = EventSerializer(many=True)
    cursor = serializers.IntegerField()
