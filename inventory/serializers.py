"""How the inventory looks in /api/v1. Values of credentials go in and never come out."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.models import Tenant, Visibility
from inventory.connections import DEFAULT_PORTS
from inventory.connectors.rungs import RungState
from inventory.label_rules import pairs_from_json
from inventory.models import Credential, Environment, Filter, Probe, Site, SubManager

RUNG_STATES = [str(state) for state in RungState]
_LABELS_SCHEMA = {
    "oneOf": [
        {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"key": {"type": "string"}, "value": {"type": "string"}},
                "required": ["key", "value"],
            },
        },
        {
            "type": "object",
            "additionalProperties": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        },
    ]
}


@extend_schema_field(_LABELS_SCHEMA)
class LabelsField(serializers.JSONField):
    """In: [{"key", "value"}] or {"key": "value" or [values]}. Out: [{"key", "value"}], in order."""

    def to_internal_value(self, data: Any) -> list[tuple[str, str]]:  # type: ignore[override]
        return pairs_from_json(data)

    def to_representation(self, value: Any) -> list[dict[str, str]]:  # type: ignore[override]
        """Of a deployment; a list has read those of its whole page before."""
        pairs = getattr(value, "shown_labels", None)
        if pairs is None:
            pairs = value.labels.order_by("key", "value").values_list("key", "value")
        return [{"key": key, "value": text} for key, text in pairs]


class SiteSerializer(serializers.ModelSerializer):
    """A place."""

    environments = serializers.IntegerField(read_only=True, help_text="How many stand here")
    tenant = serializers.CharField(source="tenant.name", read_only=True)

    class Meta:
        model = Site
        fields = [
            "id",
            "name",
            "latitude",
            "longitude",
            "time_zone",
            "visibility",
            "tenant",
            "environments",
            "created_at",
        ]
        extra_kwargs: dict[str, Any] = {"name": {"validators": []}}  # the service says whether it is free


class FilterSerializer(serializers.ModelSerializer):
    """A saved list of rules."""

    rules = serializers.ListField(
        child=serializers.JSONField(), help_text='[{"type", "key", "operator", "values"}], all must hold'
    )
    tenant = serializers.CharField(source="tenant.name", read_only=True)

    class Meta:
        model = Filter
        fields = ["id", "name", "rules", "visibility", "is_system", "tenant", "created_at", "updated_at"]
        read_only_fields = ["is_system", "created_at", "updated_at"]
        extra_kwargs: dict[str, Any] = {"name": {"validators": []}}


class SubManagerSerializer(serializers.ModelSerializer):
    """One remote manager; made and dropped with the environments on it."""

    url = serializers.CharField(source="__str__", read_only=True)
    environment_count = serializers.IntegerField(read_only=True)

    class Meta:
        model = SubManager
        fields = [
            "id", "url", "endpoint", "protocol", "port", "trust", "fingerprint", "insecure_reason", "version", "edition",
            "certificate_expires_at", "max_parallel", "environment_count", "created_at",
        ]  # fmt: skip
        read_only_fields = [field for field in fields if field != "max_parallel"]


class RungSerializer(serializers.Serializer):
    """One rung of the connection ladder: name, tcp, tls, http, version, credential, tenant, role."""

    key = serializers.CharField()
    title = serializers.CharField()
    state = serializers.ChoiceField(RUNG_STATES)
    detail = serializers.CharField()
    milliseconds = serializers.IntegerField()
    remedy = serializers.CharField()


class ProbeSerializer(serializers.ModelSerializer):
    """One climb of the ladder."""

    rungs = RungSerializer(many=True)

    class Meta:
        model = Probe
        fields = ["id", "at", "is_ready", "failed_rung", "milliseconds", "rungs"]


class CheckSerializer(serializers.Serializer):
    """What a connection that is not saved would be like."""

    is_ready = serializers.BooleanField()
    rungs = RungSerializer(many=True)
    version = serializers.CharField()
    fingerprint = serializers.CharField(
        help_text="SHA-256 of the certificate shown, accepted or not: compare it at the manager, then pin it"
    )
    certificate_expires_at = serializers.DateTimeField(allow_null=True)


class CredentialInSerializer(serializers.Serializer):
    """A token, or a user and a password; each as a new value, which becomes a secret, or the name of a stored secret."""

    token = serializers.CharField(required=False, write_only=True, max_length=8192)
    token_secret = serializers.CharField(required=False)
    username = serializers.CharField(required=False, write_only=True, max_length=256)
    username_secret = serializers.CharField(required=False)
    password = serializers.CharField(required=False, write_only=True, max_length=1024, trim_whitespace=False)
    password_secret = serializers.CharField(required=False)
    mint_token = serializers.BooleanField(
        required=False, help_text="Have a token made at that manager from user and password, and keep that alone"
    )


class CredentialSerializer(serializers.ModelSerializer):
    """Which secrets are shown there, and how that went; never their values."""

    token_secret = serializers.CharField(source="token.name", read_only=True, default=None)
    username_secret = serializers.CharField(source="username.name", read_only=True, default=None)
    password_secret = serializers.CharField(source="password.name", read_only=True, default=None)

    class Meta:
        model = Credential
        fields = [
            "kind",
            "token_secret",
            "username_secret",
            "password_secret",
            "token_expires_at",
            "last_success_at",
            "last_failure_at",
            "last_failure",
        ]


class ConnectionInSerializer(serializers.Serializer):
    """Where a remote manager's tenant is, how far it is trusted and who we are there."""

    endpoint = serializers.CharField(max_length=2048, help_text="Host name, address, or a whole URL")
    protocol = serializers.ChoiceField(
        SubManager.Protocol.choices, required=False, help_text="https unless the endpoint says otherwise"
    )
    port = serializers.IntegerField(
        required=False, allow_null=True, help_text=f"{DEFAULT_PORTS['https']} or {DEFAULT_PORTS['http']} by default"
    )
    tenant = serializers.CharField(
        required=False, source="remote_tenant", help_text=f"The tenant at that manager, {Tenant.DEFAULT} by default"
    )
    trust = serializers.ChoiceField(SubManager.Trust.choices, required=False)
    ca_bundle = serializers.CharField(
        required=False, allow_blank=True, max_length=512 * 1024, trim_whitespace=False, help_text="PEM"
    )
    fingerprint = serializers.CharField(
        required=False, allow_blank=True, max_length=256, help_text="SHA-256 of the certificate"
    )
    insecure_reason = serializers.CharField(required=False, allow_blank=True, max_length=256)
    credential = CredentialInSerializer(required=False)


class EnvironmentInSerializer(ConnectionInSerializer):
    """An environment to make, or what to change of one."""

    name = serializers.CharField(max_length=256, help_text="Letters, digits, - . _ and ~; unique in the tenant")
    display_name = serializers.CharField(required=False, allow_blank=True, max_length=256)
    labels = LabelsField(required=False)
    site = serializers.CharField(required=False, allow_null=True, allow_blank=True, help_text="Name of a site")
    visibility = serializers.ChoiceField(Visibility.choices, required=False)


class CapabilitiesSerializer(serializers.Serializer):
    """What a service placed here can read of its environment."""

    cloudify_manager_endpoint = serializers.CharField(source="sub_manager.endpoint")
    cloudify_manager_tenant = serializers.CharField(source="remote_tenant")
    cloudify_manager_port = serializers.IntegerField(source="sub_manager.port")
    cloudify_manager_protocol = serializers.CharField(source="sub_manager.protocol")


class EnvironmentSerializer(serializers.ModelSerializer):
    """One tenant of a remote manager, exposed here."""

    name = serializers.CharField(source="deployment.wire_id")
    display_name = serializers.CharField(source="deployment.display_name")
    url = serializers.CharField(source="sub_manager.__str__")
    endpoint = serializers.CharField(source="sub_manager.endpoint")
    protocol = serializers.CharField(source="sub_manager.protocol")
    port = serializers.IntegerField(source="sub_manager.port")
    tenant = serializers.CharField(source="remote_tenant")
    trust = serializers.CharField(source="sub_manager.trust")
    insecure_reason = serializers.CharField(source="sub_manager.insecure_reason")
    labels = LabelsField(source="deployment")
    site = serializers.CharField(source="deployment.site.name", default=None, allow_null=True)
    visibility = serializers.CharField(source="deployment.visibility")
    since = serializers.DateTimeField(source="state_since")
    version = serializers.CharField(source="sub_manager.version")
    certificate_expires_at = serializers.DateTimeField(source="sub_manager.certificate_expires_at", allow_null=True)
    deployment_status = serializers.CharField(source="deployment.deployment_status")
    sub_services_count = serializers.IntegerField(source="deployment.sub_services_count")
    sub_services_status = serializers.CharField(source="deployment.sub_services_status", allow_null=True)
    created_at = serializers.DateTimeField(source="deployment.created_at")
    created_by = serializers.CharField(source="deployment.created_by.username", default=None, allow_null=True)
    owner_tenant = serializers.CharField(source="deployment.tenant.name")

    class Meta:
        model = Environment
        fields = [
            "id", "name", "display_name", "url", "endpoint", "protocol", "port", "tenant", "trust", "insecure_reason", "labels", "site",
            "visibility", "state", "why", "since", "last_seen_at", "last_probe_at", "version", "certificate_expires_at",
            "deployment_status", "sub_services_count", "sub_services_status", "created_at", "created_by", "owner_tenant",
        ]  # fmt: skip


class EnvironmentDetailSerializer(EnvironmentSerializer):
    """The same with the credential's story, capabilities, and the rungs of the last look."""

    edition = serializers.CharField(source="sub_manager.edition")
    fingerprint = serializers.CharField(source="sub_manager.fingerprint")
    ca_bundle = serializers.CharField(source="sub_manager.ca_bundle")
    sub_manager = serializers.IntegerField(source="sub_manager_id")
    credential = CredentialSerializer(allow_null=True)
    capabilities = CapabilitiesSerializer(source="*")
    rungs = serializers.SerializerMethodField()

    class Meta(EnvironmentSerializer.Meta):
        fields = [
            *EnvironmentSerializer.Meta.fields, "edition", "fingerprint", "ca_bundle", "sub_manager", "credential", "capabilities", "rungs",
        ]  # fmt: skip

    @extend_schema_field(RungSerializer(many=True))
    def get_rungs(self, environment: Environment) -> list[dict[str, Any]]:
        last = environment.probes.order_by("-at").first()
        return list(last.rungs) if last else []


class LabelsSerializer(serializers.Serializer):
    """Labels alone."""

    labels = LabelsField()


class ProbeManySerializer(serializers.Serializer):
    """Names of environments."""

    environments = serializers.ListField(child=serializers.CharField(), min_length=1, max_length=1000)


class ChangeLabelsSerializer(ProbeManySerializer):
    """Labels that environments get and lose, each by itself: what is not named stays as it is."""

    add = LabelsField(required=False)
    remove = serializers.ListField(
        child=serializers.CharField(max_length=520),
        required=False,
        default=list,
        max_length=200,
        help_text="`key=value`, or a key alone for all its values",
    )
    is_dry_run = serializers.BooleanField(default=False, help_text="Only what would change")


class LabelCountSerializer(serializers.Serializer):
    """A label, and how many environments get or lose it."""

    label = serializers.CharField()  # type: ignore[assignment]  # a field of this name hides one of DRF's own
    environments = serializers.IntegerField()


class ChangedLabelsSerializer(serializers.Serializer):
    """What has changed, or would change."""

    touched = serializers.IntegerField(help_text="Environments that change at all")
    gained = LabelCountSerializer(many=True)
    lost = LabelCountSerializer(many=True)


class EnvironmentFileSerializer(serializers.Serializer):
    """A file of environments, as an export writes it."""

    text = serializers.CharField(trim_whitespace=False)
    format = serializers.ChoiceField(["yaml", "csv"], default="yaml")
    is_dry_run = serializers.BooleanField(default=False, help_text="Only the report; nothing is changed")


class FileLineSerializer(serializers.Serializer):
    """What becomes of one environment of a file."""

    line = serializers.IntegerField(help_text="Of the file, from 1; 0: the file as a whole")
    name = serializers.CharField()
    verdict = serializers.ChoiceField(["new", "changed", "same", "error"])
    messages = serializers.ListField(child=serializers.CharField())


class FileReportSerializer(serializers.Serializer):
    """What a file says, and the run that looks at what was imported."""

    lines = FileLineSerializer(many=True)
    is_done = serializers.BooleanField()
    run = serializers.IntegerField(source="run.pk", default=None, allow_null=True)


class RunReferenceSerializer(serializers.Serializer):
    """A run that was started: see /api/v1/runs/<run>/."""

    run = serializers.IntegerField()


class VocabularySerializer(serializers.Serializer):
    """Keys, or values of one key, in use."""

    results = serializers.ListField(child=serializers.CharField())
