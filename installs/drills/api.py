"""The part of /api/v1/clusters/<name>/ that starts drills, and tells what came of them."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from installs.drills.starting import start_drill
from installs.models import Drill
from installs.run_api import KEY
from installs.serializers import Strict
from inventory.named import NAME, Named, asker


class NewDrillSerializer(Strict):
    """A drill to be started."""

    kind = serializers.ChoiceField(choices=Drill.Kind.choices)
    host = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=63,
        help_text="Which one is struck; the run chooses where it is empty",
    )


class DrillSerializer(serializers.ModelSerializer):
    """One drill; `run` is the id in /api/v1/runs/."""

    state = serializers.CharField(read_only=True, help_text="passed, failed, or the state of its run")
    started_by = serializers.CharField(source="run.started_by.username", default="", read_only=True)
    healed_seconds = serializers.FloatField(
        read_only=True, allow_null=True, help_text="From the blow until every part was well again"
    )
    is_slow = serializers.BooleanField(read_only=True, help_text="The gap was longer than expected")

    class Meta:
        model = Drill
        fields = [
            "run", "kind", "host", "writer", "state", "verdict", "why", "started_by", "created_at", "struck_at", "healed_at",
            "ended_at", "gap_seconds", "expected_seconds", "is_slow", "healed_seconds", "acknowledged", "lost", "messages", "errors",
        ]  # fmt: skip
        read_only_fields = fields


class DrillActions(Named):
    """Drills on one cluster."""

    @extend_schema(parameters=[NAME], responses=DrillSerializer(many=True), filters=False)
    @action(detail=True, methods=["get"], pagination_class=None)
    def drills(self, request: Request, name: str) -> Response:
        """Drills on this cluster, the latest 50 first, with what they found."""
        found = Drill.objects.filter(cluster=self.get_object()).last_ones()[:50]
        return Response(DrillSerializer(found, many=True).data)

    @extend_schema(parameters=[NAME, KEY], request=NewDrillSerializer, responses={201: DrillSerializer})
    @drills.mapping.post
    def start_drill(self, request: Request, name: str) -> Response:
        """Break something on purpose, under a counter. 409 says why the cluster would not bear it now; nothing is broken then."""
        key = request.headers.get("Idempotency-Key", "")
        if len(key) > 128:
            raise ValidationError({"Idempotency-Key": "The key has at most 128 characters."})
        given = self.written(NewDrillSerializer)
        started = start_drill(
            by=asker(request), cluster=self.get_object(), kind=given["kind"], host=given.get("host", ""), key=key
        )
        return Response(DrillSerializer(started).data, status=status.HTTP_201_CREATED)
