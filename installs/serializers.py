"""How clusters look in /api/v1 and in files. Keys and passwords go in and never come out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError as Refused
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from installs.findings import Severity
from installs.models import Certificate
from inventory.cluster_hosts import read_public_key
from inventory.layout import Part
from inventory.models import Cluster, ClusterNode, HostKey

PARTS = [str(part) for part in Part]


class Strict(serializers.Serializer):
    """Refuses fields that it does not know: in a file of a hundred lines a slip of the pen must not pass."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            known = sorted(name for name, field in self.fields.items() if not field.read_only)
            unknown = [str(name) for name in data if name not in known]
            if unknown:
                raise serializers.ValidationError(
                    {name: [f"There is no such field. Known are: {', '.join(known)}."] for name in unknown}
                )
        return super().to_internal_value(data)


@extend_schema_field({"type": "array", "items": {"type": "string", "enum": PARTS}})
class PartsField(serializers.Field):
    """A list of parts, or a text with commas, plus signs or blanks between them."""

    def to_internal_value(self, data: Any) -> list[str]:
        words = re.split(r"[\s,+;]+", data.strip()) if isinstance(data, str) else data
        if not isinstance(words, list | tuple):
            raise serializers.ValidationError(f"Write a list of parts out of: {', '.join(PARTS)}.")
        unknown = [str(word) for word in words if word not in PARTS and word != ""]
        if unknown:
            raise serializers.ValidationError(f"There is no part {', '.join(unknown)}. Parts are: {', '.join(PARTS)}.")
        return [word for word in PARTS if word in words]

    def to_representation(self, value: Any) -> list[str]:
        return [part for part in PARTS if part in value]


class AccessSerializer(Strict):
    """How hosts are signed in to: the value itself, which becomes a secret, or the name of a stored one."""

    ssh_user = serializers.CharField(required=False, allow_blank=True, max_length=64, help_text="root where left out")
    ssh_address = serializers.CharField(
        required=False, allow_blank=True, max_length=253, help_text="Where it is not the public address"
    )
    private_key = serializers.CharField(required=False, allow_blank=True, write_only=True, trim_whitespace=False)
    password = serializers.CharField(required=False, allow_blank=True, write_only=True, trim_whitespace=False)
    sudo_password = serializers.CharField(required=False, allow_blank=True, write_only=True, trim_whitespace=False)
    private_key_secret = serializers.CharField(required=False, allow_blank=True)
    password_secret = serializers.CharField(required=False, allow_blank=True)
    sudo_password_secret = serializers.CharField(required=False, allow_blank=True)


class HostInSerializer(AccessSerializer):
    """One host as it is described."""

    name = serializers.CharField(max_length=63)
    private_address = serializers.CharField(max_length=64, help_text="Between the hosts")
    public_address = serializers.CharField(
        required=False, allow_blank=True, max_length=64, help_text="For users, where it is another"
    )
    parts = PartsField(required=False, help_text="What it does")
    networks = serializers.DictField(
        child=serializers.CharField(max_length=64), required=False, help_text="Further networks: name -> address"
    )
    machine = serializers.CharField(
        required=False, allow_blank=True, max_length=128, help_text="Physical machine, where known"
    )
    ssh_port = serializers.IntegerField(required=False, min_value=1, max_value=65535)
    host_key = serializers.CharField(
        required=False, allow_blank=True, help_text="Its public key, where known: it is trusted then"
    )

    def validate_host_key(self, value: str) -> str:
        if value:
            try:
                read_public_key(value)
            except Refused as refused:
                raise serializers.ValidationError(refused.messages) from None
        return value


class ExternalSerializer(Strict):
    """A service that somebody else runs."""

    addresses = serializers.ListField(child=serializers.CharField(max_length=253), allow_empty=False)
    port = serializers.IntegerField(min_value=1, max_value=65535)
    ca_bundle = serializers.CharField(allow_blank=True, required=False, help_text="PEM of the CA that signed it")
    management_port = serializers.IntegerField(
        required=False, min_value=0, max_value=65535, help_text="Of RabbitMQ, with TLS; 15671 as a rule"
    )
    user_suffix = serializers.CharField(
        required=False, allow_blank=True, help_text="@server, where user names have one"
    )
    user = serializers.CharField(
        required=False, allow_blank=True, write_only=True, help_text="Administrator there; becomes a secret"
    )
    password = serializers.CharField(required=False, allow_blank=True, write_only=True, trim_whitespace=False)


class ClusterChangeSerializer(Strict):
    """What of a cluster can be changed."""

    site = serializers.CharField(required=False, allow_blank=True, help_text="Name of a site")
    description = serializers.CharField(required=False, allow_blank=True)
    release = serializers.ChoiceField(choices=Cluster.Release.choices, required=False)
    balancing = serializers.ChoiceField(choices=Cluster.Balancing.choices, required=False)
    entrance = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=253,
        help_text="Where users reach it; virtual address of two balancers",
    )
    failover = serializers.ChoiceField(choices=Cluster.Failover.choices, required=False)
    is_strict = serializers.BooleanField(required=False, help_text="Rather no writes than a lost one")
    external_database = ExternalSerializer(required=False, allow_null=True)
    external_queue = ExternalSerializer(required=False, allow_null=True)
    service_settings = serializers.DictField(
        child=serializers.CharField(max_length=1024, allow_blank=True),
        required=False,
        help_text="By name: ENDPOINT_NETWORKS and others; the next plan brings them to the managers",
    )


class ClusterInSerializer(ClusterChangeSerializer):
    """A whole cluster as it is described."""

    name = serializers.CharField(max_length=63)
    ssh = AccessSerializer(required=False, help_text="For all hosts that say nothing themselves")
    hosts = HostInSerializer(many=True, required=False)


class NewClusterSerializer(ClusterInSerializer):
    """The same, which may be kept while it has errors."""

    is_draft = serializers.BooleanField(
        required=False, default=False, help_text="Keep it in spite of errors; it cannot be built then"
    )


class FindingSerializer(serializers.Serializer):
    """One thing wrong."""

    severity = serializers.ChoiceField(choices=[str(severity) for severity in Severity])
    message = serializers.CharField(help_text="What is wrong, and why that matters")
    remedy = serializers.CharField(help_text="What to do")
    host = serializers.CharField(help_text="Empty: the cluster as a whole")
    field = serializers.CharField()
    rule = serializers.CharField()


class RemainingSerializer(serializers.Serializer):
    """What is left of a host that was forgotten by force, somewhere."""

    at = serializers.CharField(help_text="The host to run the commands at, as root")
    why = serializers.CharField()
    commands = serializers.ListField(child=serializers.CharField())


class ForgottenSerializer(serializers.Serializer):
    """What a host that was forgotten by force leaves to be done."""

    detail = serializers.CharField()
    remains = RemainingSerializer(many=True)


class HostKeySerializer(serializers.ModelSerializer):
    """A key that a host showed."""

    class Meta:
        model = HostKey
        fields = ["key_type", "fingerprint", "state", "seen_at", "trusted_at"]


class HostSerializer(serializers.ModelSerializer):
    """A host as it is kept."""

    parts = PartsField()
    public_address = serializers.CharField(source="host.public_address", read_only=True)
    reach_address = serializers.CharField(read_only=True, help_text="Where SSH goes")
    private_key_secret = serializers.CharField(source="private_key.name", default=None, read_only=True)
    password_secret = serializers.CharField(source="password.name", default=None, read_only=True)
    sudo_password_secret = serializers.CharField(source="sudo_password.name", default=None, read_only=True)
    host_keys = HostKeySerializer(many=True, read_only=True)

    class Meta:
        model = ClusterNode
        fields = [
            "name", "state", "private_address", "public_address", "parts", "networks", "machine", "reach_address",
            "ssh_address", "ssh_port", "ssh_user", "private_key_secret", "password_secret", "sudo_password_secret",
            "host_keys",
        ]  # fmt: skip


class ClusterSerializer(serializers.ModelSerializer):
    """A cluster in a list."""

    site = serializers.CharField(source="site.name", default=None, read_only=True)
    host_count = serializers.IntegerField(read_only=True)

    class Meta:
        model = Cluster
        fields = [
            "id", "name", "state", "why", "state_since", "site", "description", "release", "balancing", "entrance",
            "failover", "is_strict", "service_settings", "host_count", "created_at",
        ]  # fmt: skip


class ClusterDetailSerializer(ClusterSerializer):
    """A cluster with its hosts and what is wrong with it."""

    hosts = HostSerializer(source="nodes", many=True, read_only=True)
    findings = FindingSerializer(many=True, read_only=True)

    class Meta(ClusterSerializer.Meta):
        fields = [*ClusterSerializer.Meta.fields, "external_database", "external_queue", "hosts", "findings"]


class CertificateSerializer(serializers.ModelSerializer):
    """A certificate; its key stays sealed."""

    days_left = serializers.IntegerField(read_only=True, allow_null=True)

    class Meta:
        model = Certificate
        fields = [
            "kind", "owner", "state", "source", "subject", "names", "issuer", "not_before", "not_after", "days_left",
            "serial", "fingerprint", "pem", "request", "created_at",
        ]  # fmt: skip


class TrustSerializer(Strict):
    """Which key to trust."""

    fingerprint = serializers.CharField(
        required=False, allow_blank=True, help_text="SHA256:... of a key that it showed"
    )
    public_key = serializers.CharField(
        required=False, allow_blank=True, help_text="The whole key, known from elsewhere"
    )


class ImportSerializer(Strict):
    """A file to read."""

    text = serializers.CharField(trim_whitespace=False)
    format = serializers.ChoiceField(choices=["yaml", "csv"], default="yaml")
    cluster = serializers.CharField(required=False, allow_blank=True, help_text="Name, where CSV does not say it")
    is_dry_run = serializers.BooleanField(default=True, help_text="Only report")
    is_draft = serializers.BooleanField(default=False, help_text="Keep it in spite of errors")


class ReportLineSerializer(serializers.Serializer):
    """What becomes of one line."""

    line = serializers.IntegerField(help_text="0: the cluster as a whole")
    host = serializers.CharField(source="name")
    verdict = serializers.ChoiceField(choices=["new", "changed", "same", "removed", "error"])
    messages = serializers.ListField(child=serializers.CharField())


class ReportSerializer(serializers.Serializer):
    """What a file says, line by line, and what is wrong with the whole."""

    is_done = serializers.BooleanField(help_text="It was imported")
    lines = ReportLineSerializer(many=True)
    findings = FindingSerializer(many=True)
    cluster = serializers.CharField(allow_null=True)


class SignedSerializer(Strict):
    """What a company's CA made of the requests."""

    authority = serializers.CharField(trim_whitespace=False, help_text="PEM of the CA")
    hosts = serializers.DictField(child=serializers.CharField(), help_text="Host -> certificate, PEM")


class PairSerializer(Strict):
    """A certificate and its key."""

    certificate = serializers.CharField(trim_whitespace=False)
    key = serializers.CharField(trim_whitespace=False, write_only=True)


class UploadSerializer(Strict):
    """Ready-made certificates."""

    authority = serializers.CharField(trim_whitespace=False, help_text="PEM of the CA")
    hosts = serializers.DictField(child=PairSerializer(), help_text="Host -> certificate and key")
    clients = serializers.DictField(child=PairSerializer(), required=False, help_text="Database user -> the same")
    entrance = PairSerializer(required=False, help_text="For users, where it is not the hosts' own")
    entrance_authority = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False)


class RequestsSerializer(serializers.Serializer):
    """Signing requests."""

    requests = serializers.DictField(child=serializers.CharField(), help_text="Host -> request, PEM")


class FetchSerializer(Strict):
    """Where to look at a CA."""

    service = serializers.ChoiceField(choices=["external_database", "external_queue"])
    address = serializers.CharField(max_length=253)
    port = serializers.IntegerField(min_value=1, max_value=65535)


class FetchedCertificateSerializer(serializers.Serializer):
    """One certificate of it."""

    subject = serializers.CharField()
    fingerprint = serializers.CharField(help_text="SHA-256: compare it with what the provider says")
    not_after = serializers.DateTimeField()


class FetchedSerializer(serializers.Serializer):
    """A CA that a service shows; nothing trusts it before it is put into a description as `ca_bundle`."""

    ca_bundle = serializers.CharField()
    certificates = FetchedCertificateSerializer(many=True)
