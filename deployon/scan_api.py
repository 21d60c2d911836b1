"""View sets of /api/v1 for looks at environments: orphans and drift with what is done about them, and adoption."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from deployon import adopting, adoption, clearing, mending, orphans, scans
from deployon import scan_shapes as shapes
from deployon.preview_shapes import PreviewSerializer
from inventory.listing import LISTING, listed
from inventory.models import Environment
from inventory.named import asker, place


def read(shape: type, request: Request) -> dict[str, Any]:
    """The request's body."""
    given = shape(data=request.data)
    given.is_valid(raise_exception=True)
    return dict(given.validated_data)


def wishes_of(data: dict[str, Any]) -> list[adoption.Wish]:
    return [adoption.Wish(**each) for each in data["deployments"]]


class Scans(GenericViewSet):
    """What is there without a record here, the reverse, and what is not as wanted; by the last look at each environment."""

    needs = {
        "list": "rollout.view",
        "drift": "rollout.view",
        "create": "environment.probe",
        "POST": "rollout.start",
    }
    queryset = Environment.objects.none()
    serializer_class = shapes.OrphansSerializer
    filter_backends = ()

    def rows(self, request: Request) -> QuerySet[Environment]:
        """Own environments that match."""
        user, tenant = place(request)
        rows = Environment.objects.visible_to(user, tenant).filter(deployment__tenant=tenant)
        return listed(rows, request.query_params, user, tenant)

    @extend_schema(parameters=LISTING, responses=shapes.OrphansSerializer(many=True))
    def list(self, request: Request) -> Response:
        """Orphans by environment, a page at a time."""
        page = self.paginate_queryset(self.rows(request).select_related("deployment__site")) or []
        found = orphans.reports(place(request)[1], page)
        return self.get_paginated_response(shapes.OrphansSerializer(found, many=True).data)

    @extend_schema(request=shapes.AskSerializer, responses=shapes.OrphansSerializer(many=True), filters=False)
    def create(self, request: Request) -> Response:
        """Ask the sub-managers of these environments now; the reports that follow."""
        user, tenant = place(request)
        rows = Environment.objects.visible_to(user, tenant).filter(deployment__tenant=tenant)
        chosen = rows.filter(pk__in=read(shapes.AskSerializer, request)["environments"])
        scans.scan(scans.for_asking(chosen))
        found = orphans.reports(tenant, chosen.select_related("deployment__site").order_by("deployment__display_name"))
        return Response(shapes.OrphansSerializer(found, many=True).data)

    @extend_schema(
        parameters=[
            *LISTING,
            OpenApiParameter("service", OpenApiTypes.STR, description="Only of this service, by name"),
        ],
        responses=shapes.DriftedSerializer(many=True),
    )
    @action(detail=False, methods=["get"])
    def drift(self, request: Request) -> Response:
        """Placements that the last look found not as wanted."""
        found = orphans.drifted(place(request)[1], self.rows(request))
        if name := request.query_params.get("service"):
            found = [each for each in found if each.placement.service.name == name]
        page = self.paginate_queryset(found) or []
        return self.get_paginated_response(shapes.DriftedSerializer(page, many=True).data)

    @extend_schema(request=shapes.PlacementsSerializer, responses=PreviewSerializer)
    @action(detail=False, methods=["post"])
    def mend(self, request: Request) -> Response:
        """The preview of a rollout that puts these placements as they are wanted; start it by its digest."""
        keys = read(shapes.PlacementsSerializer, request)["placements"]
        preview = mending.preview_mending(by=asker(request), tenant=place(request)[1], placements=keys)
        return Response(PreviewSerializer(preview).data)

    @extend_schema(request=shapes.PlacementsSerializer, responses=shapes.NamesSerializer)
    @action(detail=False, methods=["post"])
    def forget(self, request: Request) -> Response:
        """Forget placements whose deployment is gone there; 409 where one is there, or cannot be asked."""
        data = read(shapes.PlacementsSerializer, request)
        names = mending.forget_placements(by=asker(request), tenant=place(request)[1], **data)
        return Response({"forgotten": names})

    @extend_schema(request=shapes.WishesSerializer, responses=shapes.RemovalsSerializer)
    @action(detail=False, methods=["post"])
    def remove(self, request: Request) -> Response:
        """Uninstall and delete there what has no record here: a preview without `digest`, a run with it."""
        data, by, tenant = read(shapes.WishesSerializer, request), asker(request), place(request)[1]
        wishes, run = wishes_of(data), None
        found = clearing.preview_clearing(by=by, tenant=tenant, wishes=wishes)
        if data["digest"]:
            run = clearing.start_clearing(by=by, tenant=tenant, wishes=wishes, digest=data["digest"])
        told = {"digest": clearing.digest_of(found), "deployments": found, "run": run.pk if run else None}
        code = status.HTTP_201_CREATED if run else status.HTTP_200_OK
        return Response(shapes.RemovalsSerializer(told).data, status=code)


class Adoptions(GenericViewSet):
    """What runs at sub-managers already becomes placements here, without reinstalling."""

    needs = {"*": "service.change"}
    queryset = Environment.objects.none()
    serializer_class = shapes.ProspectsSerializer
    filter_backends = ()

    @extend_schema(request=shapes.WishesSerializer, responses=shapes.ProspectsSerializer)
    def create(self, request: Request) -> Response:
        """A preview without `digest`; with it they are adopted, 409 where the answer is another by now. Again: they stay."""
        data, by, tenant = read(shapes.WishesSerializer, request), asker(request), place(request)[1]
        wishes = wishes_of(data)
        if data["digest"]:
            found = adopting.adopt(by=by, tenant=tenant, wishes=wishes, digest=data["digest"])
        else:
            found = adoption.prospects(by=by, tenant=tenant, wishes=wishes)
        told = {"digest": data["digest"] or adoption.digest_of(found), "deployments": found}
        return Response(shapes.ProspectsSerializer(told).data)
