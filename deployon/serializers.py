"""Shapes of /api/v1 for services, placements and rollouts; what they mean is decided in the services."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from deployon.models import Placement, Rollout, Service, ServiceVersion
from deployon.preview_shapes import PreviewRowSerializer, ShownInputs
from runs.states import RunState


class VersionSerializer(serializers.ModelSerializer[ServiceVersion]):
    """One content of a service."""

    created_by = serializers.CharField(source="created_by.username", default="", read_only=True)

    class Meta:
        model = ServiceVersion
        fields = (
            "id",
            "number",
            "source",
            "digest",
            "main_file",
            "remote_blueprint",
            "inputs_schema",
            "capabilities",
            "created_by",
            "created_at",
        )
        read_only_fields = fields


class ServiceSerializer(serializers.ModelSerializer[Service]):
    """A service with its newest version; `deployed` is on how many environments it is."""

    newest = serializers.SerializerMethodField()
    deployed = serializers.IntegerField(read_only=True, default=0)
    created_by = serializers.CharField(source="created_by.username", default="", read_only=True)

    class Meta:
        model = Service
        fields = ("id", "name", "description", "newest", "deployed", "created_by", "created_at")
        read_only_fields = fields

    @extend_schema_field(VersionSerializer(allow_null=True))
    def get_newest(self, service: Service) -> dict[str, Any] | None:
        versions = list(service.versions.all())
        return dict(VersionSerializer(versions[0]).data) if versions else None


class SourceSerializer(serializers.Serializer[Any]):
    """Content of a version: `archive` (multipart upload), or `remote_blueprint`, the name of one that is present already."""

    archive = serializers.FileField(required=False, help_text="zip, tar, tar.gz or tar.bz2 with one folder at the top")
    main_file = serializers.CharField(required=False, default="blueprint.yaml", max_length=256)
    remote_blueprint = serializers.CharField(required=False, default="", max_length=256, allow_blank=True)
    environment = serializers.IntegerField(
        required=False, help_text="where to read the inputs of a blueprint that is present already"
    )


class NewServiceSerializer(SourceSerializer):
    """A service with its first version."""

    name = serializers.CharField(max_length=200)
    description = serializers.CharField(required=False, default="", allow_blank=True)


class DescriptionSerializer(serializers.Serializer[Any]):
    """What may be changed of a service."""

    description = serializers.CharField(allow_blank=True)


class StartSerializer(serializers.Serializer[Any]):
    """Start what a preview showed."""

    digest = serializers.CharField(help_text="of the preview")
    max_parallel = serializers.IntegerField(default=10, min_value=0, help_text="targets at once; 0: no limit")
    failure_budget = serializers.IntegerField(
        required=False,
        allow_null=True,
        default=None,
        min_value=0,
        help_text="failures after which no more targets are started; null: no limit",
    )


class UninstallSerializer(serializers.Serializer[Any]):
    """`digest` of a preview of the uninstall; without one it is planned and started at once."""

    digest = serializers.CharField(required=False, default="", allow_blank=True)


class RolloutSerializer(serializers.ModelSerializer[Rollout]):
    """A rollout as in lists; `state` is that of its latest run."""

    service = serializers.IntegerField(source="version.service_id", read_only=True)
    service_name = serializers.CharField(source="version.service.name", read_only=True)
    version = serializers.IntegerField(source="version.number", read_only=True)
    state = serializers.ChoiceField(choices=RunState.choices, source="run.state", default=RunState.HELD, read_only=True)
    why = serializers.CharField(source="run.why", default="", read_only=True)
    started_at = serializers.DateTimeField(source="run.started_at", default=None, read_only=True)
    ended_at = serializers.DateTimeField(source="run.ended_at", default=None, read_only=True)
    targets_count = serializers.IntegerField(read_only=True, help_text="targets that it acts on")
    created_by = serializers.CharField(source="created_by.username", default="", read_only=True)

    class Meta:
        model = Rollout
        fields: tuple[str, ...] = (
            "id", "action", "service", "service_name", "version", "digest", "state", "why", "run", "targets_count", "max_parallel", "failure_budget",
            "created_by", "created_at", "started_at", "ended_at",
        )  # fmt: skip
        read_only_fields = fields


class CauseSerializer(serializers.Serializer[Any]):
    """Failures of one cause and one wording, but for addresses, names and ids: how many, and the message of the first."""

    cause = serializers.CharField()
    message = serializers.CharField()
    count = serializers.IntegerField()
    example = serializers.IntegerField(help_text="id of one of their runs")


class RolloutDetailSerializer(RolloutSerializer):
    """A rollout in full: `counts` by state, failures by cause, what was left out and why."""

    inputs = ShownInputs(read_only=True)
    inputs_from = serializers.SerializerMethodField()
    parameters = ShownInputs(read_only=True)
    counts = serializers.DictField(child=serializers.IntegerField(), read_only=True)
    failures = CauseSerializer(many=True, read_only=True)
    excluded = PreviewRowSerializer(many=True, source="preview.excluded", read_only=True)
    targets = serializers.CharField(source="targets_url", read_only=True, help_text="address of its targets")

    class Meta(RolloutSerializer.Meta):
        fields = (
            *RolloutSerializer.Meta.fields,
            "inputs",
            "inputs_from",
            "workflow",
            "parameters",
            "rules",
            "counts",
            "failures",
            "excluded",
            "targets",
        )
        read_only_fields = fields

    @extend_schema_field(serializers.DictField(child=serializers.CharField()))
    def get_inputs_from(self, rollout: Rollout) -> dict[str, str]:
        return dict(rollout.sources.get("values", {}))


class TargetSerializer(serializers.Serializer[Any]):
    """One environment of a rollout; `state` is its run's, or stays or differs where nothing is done."""

    target = serializers.IntegerField()
    environment = serializers.IntegerField(allow_null=True, help_text="null where it is removed since; its name stays")
    name = serializers.CharField()
    site = serializers.CharField()
    intent = serializers.CharField()
    state = serializers.CharField()
    why = serializers.CharField()
    cause = serializers.CharField()
    run = serializers.IntegerField(allow_null=True)
    attempts = serializers.IntegerField()
    seconds = serializers.FloatField(allow_null=True)
    finished = serializers.IntegerField()
    total = serializers.IntegerField()
    capabilities = serializers.DictField()


class PlacementSerializer(serializers.ModelSerializer[Placement]):
    """A service on an environment: what is wanted there, what is there."""

    service_name = serializers.CharField(source="service.name", read_only=True)
    environment_name = serializers.CharField(source="environment.deployment.display_name", read_only=True)
    deployment = serializers.CharField(source="deployment.wire_id", read_only=True)
    desired_inputs = ShownInputs(read_only=True)
    version = serializers.IntegerField(source="desired_version.number", default=None, read_only=True)

    class Meta:
        model = Placement
        fields = (
            "id", "service", "service_name", "environment", "environment_name", "deployment", "version", "desired_inputs", "state", "why",
            "actual_digest", "remote_blueprint", "remote_deployment", "remote_execution", "capabilities", "updated_at",
        )  # fmt: skip
        read_only_fields = fields
