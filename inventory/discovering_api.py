"""All tenants of one manager over /api/v1: found, and exposed."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Visibility
from inventory import discovering
from inventory.api_bodies import flattened, told_as_given
from inventory.named import Named, asker, place
from inventory.serializers import ConnectionInSerializer, LabelsField


class ManagerInSerializer(ConnectionInSerializer):
    """Where a remote manager is, how far it is trusted and who we are there; `tenant` is not looked at."""


class TenantThereSerializer(serializers.Serializer):
    """One tenant of the remote manager."""

    name = serializers.CharField()
    roles = serializers.ListField(child=serializers.CharField(), help_text="Ours there; empty where it is not told")
    environments = serializers.ListField(child=serializers.CharField(), help_text="That are this tenant here already")
    fault = serializers.CharField(help_text="Why it cannot be exposed; empty where it can")


class TenantsThereSerializer(serializers.Serializer):
    """What a credential sees at one manager."""

    username = serializers.CharField()
    tenants = TenantThereSerializer(many=True)


class ExposeTenantsSerializer(ManagerInSerializer):
    """Which tenants to expose, and what their environments are to be."""

    tenants = serializers.ListField(
        child=serializers.CharField(max_length=256), min_length=1, max_length=discovering.MOST
    )
    name_template = serializers.CharField(
        default=discovering.USUAL_NAME, max_length=256, help_text="{tenant} and {endpoint} are filled in"
    )
    site = serializers.CharField(required=False, allow_null=True, allow_blank=True, help_text="Name of a site")
    labels = LabelsField(required=False)
    visibility = serializers.ChoiceField(Visibility.choices, required=False)


class ExposedSerializer(serializers.Serializer):
    """What was made, and what was there."""

    environments = serializers.ListField(child=serializers.CharField())
    skipped = serializers.ListField(child=serializers.CharField(), help_text="Tenants that were exposed already")
    run = serializers.IntegerField(allow_null=True, help_text="Looks at what was made: /api/v1/runs/<run>/")


class TenantsThere(Named):
    """The two calls; they save nothing, or one environment per tenant that is not exposed yet."""

    @extend_schema(request=ManagerInSerializer, responses=TenantsThereSerializer)
    @action(detail=False, methods=["post"], url_path="discover")
    def discover(self, request: Request) -> Response:
        """Every tenant that the credential sees at one endpoint; saves nothing."""
        _, tenant = place(request)
        fields = flattened(self.written(ManagerInSerializer))
        with told_as_given():
            found = discovering.discover_tenants(by=asker(request), tenant=tenant, **fields)
        return Response(TenantsThereSerializer(found).data)

    @extend_schema(request=ExposeTenantsSerializer, responses={201: ExposedSerializer})
    @action(detail=False, methods=["post"], url_path="expose-tenants")
    def expose_tenants(self, request: Request) -> Response:
        """One environment per tenant, all or none; those that are exposed already are skipped."""
        _, tenant = place(request)
        fields: dict[str, Any] = flattened(self.written(ExposeTenantsSerializer))
        fields["remote_tenants"] = fields.pop("tenants")
        with told_as_given():
            done = discovering.expose_tenants(by=asker(request), tenant=tenant, **fields)
        told = {
            "environments": [str(each.deployment.wire_id) for each in done.made],
            "skipped": done.skipped,
            "run": done.run.pk if done.run else None,
        }
        return Response(ExposedSerializer(told).data, status=status.HTTP_201_CREATED)
