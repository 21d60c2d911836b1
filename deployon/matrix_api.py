"""View set of /api/v1/matrix: what runs where."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.viewsets import GenericViewSet

from deployon import matrix
from deployon.matrix_views import KINDS, STANDING
from inventory.listing import LISTING, listed
from inventory.models import Environment
from inventory.named import place


class MatrixCellSerializer(serializers.Serializer[Any]):
    """One service on one environment; `since` its state is so, `placed_at` it stands there."""

    placement = serializers.IntegerField()
    version = serializers.IntegerField(allow_null=True, help_text="its number; null while it is being removed")
    state = serializers.CharField()
    why = serializers.CharField()
    since = serializers.DateTimeField()
    placed_at = serializers.DateTimeField()


class MatrixLineSerializer(serializers.Serializer[Any]):
    """One environment with what stands on it, by name of the service."""

    environment = serializers.IntegerField()
    name = serializers.CharField()
    site = serializers.CharField()
    state = serializers.CharField()
    services = serializers.DictField(child=MatrixCellSerializer())


class Matrix(GenericViewSet):
    """What runs where: a line for each environment, with every service that stands on it."""

    needs = {"*": "rollout.view"}
    queryset = Environment.objects.none()
    serializer_class = MatrixLineSerializer
    filter_backends = ()

    @extend_schema(
        parameters=[
            *LISTING,
            OpenApiParameter("service", OpenApiTypes.STR, many=True, description="Only these services, by name"),
            OpenApiParameter(
                "standing",
                OpenApiTypes.STR,
                enum=[*STANDING, "none"],
                description="Only environments where one of the services is in that state; none: where nothing stands",
            ),
            OpenApiParameter("as", OpenApiTypes.STR, enum=sorted(KINDS), description="All of it as one file"),
        ],
        responses=MatrixLineSerializer(many=True),
    )
    def list(self, request: Request) -> Any:
        """Environments that match with what stands on them, a page at a time, or all of them as a file."""
        user, tenant = place(request)
        query = request.query_params
        names, state = query.getlist("service"), query.get("standing", "")
        if state not in (*STANDING, "none", ""):
            raise ValidationError({"standing": f"Choose among: {', '.join([*STANDING, 'none'])}."})
        visible = listed(Environment.objects.visible_to(user, tenant), query, user, tenant)
        rows: QuerySet[Environment] = matrix.standing(visible, names, state)
        services = list(matrix.services_of(tenant, names).values_list("pk", flat=True))
        if kind := query.get("as"):
            if kind not in KINDS:
                raise ValidationError({"as": f"Choose among: {', '.join(sorted(KINDS))}."})
            found = matrix.all_lines(tenant, rows, services)
            text = matrix.as_json(found) if kind == "json" else matrix.as_csv(found)
            return HttpResponse(text, content_type=f"{KINDS[kind]}; charset=utf-8")
        page = self.paginate_queryset(rows.select_related("deployment__site")) or []
        return self.get_paginated_response(MatrixLineSerializer(matrix.lines(tenant, page, services), many=True).data)
