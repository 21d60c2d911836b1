"""The part of /api/v1/clusters/<name>/ that says how the cluster is."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from installs.health.looking import checkup_of
from installs.health.shown import as_shown
from inventory.health.values import Health
from inventory.layout import Part
from inventory.named import NAME, Named

STATES = [each.value for each in Health]
PARTS = [each.value for each in Part]


class PartOnHostSerializer(serializers.Serializer[object]):
    """One part on one host."""

    part = serializers.ChoiceField(PARTS)
    state = serializers.ChoiceField(STATES)
    role = serializers.CharField()
    why = serializers.CharField(help_text="Empty where it is healthy")
    version = serializers.CharField()
    lag_bytes = serializers.FloatField(allow_null=True)
    lag_seconds = serializers.FloatField(allow_null=True)


class HostHealthSerializer(serializers.Serializer[object]):
    """One host; what nobody said is null."""

    name = serializers.CharField()
    address = serializers.CharField()
    state = serializers.ChoiceField(STATES)
    why = serializers.CharField()
    seen_by = serializers.CharField(help_text="Whose Prometheus told it: its own, a manager's, or nobody's")
    parts = PartOnHostSerializer(many=True)
    services = serializers.DictField(child=serializers.BooleanField(), help_text="Unit of systemd: is it active")
    load = serializers.FloatField(allow_null=True)
    memory_used = serializers.FloatField(allow_null=True, help_text="Share of 1")
    disk_used = serializers.FloatField(allow_null=True, help_text="Share of 1")
    up_since = serializers.FloatField(allow_null=True, help_text="Seconds since 1970")


class QueueSerializer(serializers.Serializer[object]):
    """One quorum queue."""

    name = serializers.CharField()
    state = serializers.ChoiceField(STATES)
    online = serializers.ListField(child=serializers.CharField(), help_text="Hosts on which a copy of it runs")
    missing = serializers.ListField(child=serializers.CharField(), help_text="Hosts that work and have none")
    leader = serializers.CharField()


class PartHealthSerializer(serializers.Serializer[object]):
    """One part over all hosts that have it."""

    part = serializers.ChoiceField(PARTS)
    state = serializers.ChoiceField(STATES)
    total = serializers.IntegerField()
    working = serializers.IntegerField()
    needed = serializers.IntegerField(help_text="How many must work for the whole to work")
    says = serializers.CharField()
    more = serializers.CharField()
    why = serializers.CharField()
    leader = serializers.CharField()
    is_external = serializers.BooleanField()
    queues = QueueSerializer(many=True, required=False, help_text="Of the queue: each quorum queue, the worst first")


class AlertSerializer(serializers.Serializer[object]):
    """A rule that fires."""

    name = serializers.CharField()
    severity = serializers.CharField()
    host = serializers.CharField()
    says = serializers.CharField(help_text="The service or exporter that it is about")


class ExpirySerializer(serializers.Serializer[object]):
    """When a certificate ends."""

    kind = serializers.CharField()
    owner = serializers.CharField()
    ends_at = serializers.DateTimeField()
    days_left = serializers.IntegerField()


class LastDrillSerializer(serializers.Serializer[object]):
    """The last drill that ended."""

    run = serializers.IntegerField()
    state = serializers.CharField()
    host = serializers.CharField()
    ended_at = serializers.DateTimeField()


class ClusterHealthSerializer(serializers.Serializer[object]):
    """How a cluster is, by what the Prometheus servers of its hosts say."""

    verdict = serializers.ChoiceField(STATES)
    why = serializers.ListField(child=serializers.CharField(), help_text="The worst first; empty where it is healthy")
    looked_at = serializers.DateTimeField(allow_null=True)
    known_at = serializers.DateTimeField(allow_null=True, help_text="When a host last said something")
    parts = PartHealthSerializer(many=True)
    hosts = HostHealthSerializer(many=True)
    alerts = AlertSerializer(many=True)
    certificates = ExpirySerializer(many=True)
    last_drill = LastDrillSerializer(allow_null=True)


class HealthActions(Named):
    """How one cluster is."""

    @extend_schema(parameters=[NAME], responses=ClusterHealthSerializer)
    @action(detail=True, methods=["get"])
    def health(self, request: Request, name: str) -> Response:
        """Parts, hosts, services, versions, lag, alarms, certificates; from 5 seconds ago at most. Hosts that hang cost 3 s."""
        cluster = self.get_object()
        return Response(ClusterHealthSerializer(as_shown(cluster, checkup_of(cluster))).data)
