"""Environments as files over /api/v1: import with a report, export."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from inventory import describing, environment_files, serializers
from inventory.described_files import CONTENT_TYPES, FORMATS
from inventory.listing import LISTING, listed
from inventory.models import Environment
from inventory.named import asker, place


class EnvironmentFiles(ViewSet):
    """All environments of the tenant as one file."""

    needs = {"list": "environment.view", "create": "environment.change"}
    serializer_class = serializers.EnvironmentFileSerializer

    @extend_schema(
        parameters=[OpenApiParameter("as", OpenApiTypes.STR, enum=FORMATS, description="yaml by default"), *LISTING],
        responses={(200, "text/csv"): OpenApiTypes.STR, (200, "application/yaml"): OpenApiTypes.STR},
    )
    def list(self, request: Request) -> Any:
        """The environments that match, as the file that can be imported again: names of secrets, never their values."""
        user, tenant = place(request)
        kind = "csv" if request.query_params.get("as") == "csv" else "yaml"
        rows = listed(Environment.objects.visible_to(user, tenant), request.query_params, user, tenant)
        found = Environment.objects.for_describing().filter(deployment__tenant=tenant, pk__in=rows.values("pk"))
        reply = HttpResponse(
            describing.export_environments(found, kind), content_type=f"{CONTENT_TYPES[kind]}; charset=utf-8"
        )
        reply["Content-Disposition"] = f'attachment; filename="environments.{kind}"'
        return reply

    @extend_schema(
        request=serializers.EnvironmentFileSerializer,
        responses={200: serializers.FileReportSerializer, 400: serializers.FileReportSerializer},
    )
    def create(self, request: Request) -> Response:
        """Import a file, whole or not at all; the report names each line. With errors nothing is changed, and the status is 400."""
        _, tenant = place(request)
        given = serializers.EnvironmentFileSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        report = environment_files.import_environments(by=asker(request), tenant=tenant, **given.validated_data)
        told = serializers.FileReportSerializer(report).data
        return Response(told, status.HTTP_400_BAD_REQUEST if report.has_errors else status.HTTP_200_OK)
