"""The part of /api/v1/clusters/<name>/ that plans work, starts it, and tells what was done."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from installs import installing
from installs import run_serializers as shapes
from installs.expected import expected_of
from installs.models import ClusterRun
from installs.preflight.starting import begin_preflight, last_report
from inventory.named import NAME, Named, asker

KEY = OpenApiParameter(
    "Idempotency-Key",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="The same key again gives what it started, and starts nothing",
)


class RunActions(Named):
    """Work on one cluster."""

    @extend_schema(parameters=[NAME], request=shapes.WorkSerializer, responses={200: shapes.PlannedSerializer})
    @action(detail=True, methods=["post"])
    def plan(self, request: Request, name: str) -> Response:
        """What would be done, in order, with its digest; starts nothing and touches no host."""
        given = self.written(shapes.WorkSerializer)
        cluster = self.get_object()
        planned = installing.plan_work(by=asker(request), cluster=cluster, **given)
        context = {"expected": expected_of(cluster, planned)}
        return Response(shapes.PlannedSerializer(planned, context=context).data)

    @extend_schema(parameters=[NAME], responses=shapes.ClusterRunSerializer(many=True), filters=False)
    @action(detail=True, methods=["get"], pagination_class=None)
    def runs(self, request: Request, name: str) -> Response:
        """Work on this cluster, the latest 50 first; /api/v1/runs/<run>/ has steps and events of each."""
        found = ClusterRun.objects.filter(cluster=self.get_object()).select_related("run")[:50]
        return Response(shapes.ClusterRunSerializer(found, many=True).data)

    @extend_schema(
        parameters=[NAME, KEY], request=shapes.StartWorkSerializer, responses={201: shapes.ClusterRunSerializer}
    )
    @runs.mapping.post
    def start_run(self, request: Request, name: str) -> Response:
        """Start what was planned, by its digest. 409 where the plan is another by now, or other work has not ended."""
        key = request.headers.get("Idempotency-Key", "")
        if len(key) > 128:
            raise ValidationError({"Idempotency-Key": "The key has at most 128 characters."})
        given = self.written(shapes.StartWorkSerializer)
        started = installing.start_work(by=asker(request), cluster=self.get_object(), key=key, **given)
        return Response(shapes.ClusterRunSerializer(started).data, status=status.HTTP_201_CREATED)

    @extend_schema(parameters=[NAME], responses=OpenApiTypes.OBJECT)
    @action(detail=True, methods=["get"])
    def preflight(self, request: Request, name: str) -> Response:
        """The report of the last preflight that ended: its run, when, hosts, and every finding."""
        told = last_report(self.get_object())
        if told is None:
            raise NotFound("No preflight of this cluster has ended yet. POST here starts one.")
        run, at, report = told
        return Response({"run": run, "at": at, **report})

    @extend_schema(
        parameters=[NAME],
        request=None,
        responses={200: shapes.ClusterRunSerializer, 201: shapes.ClusterRunSerializer},
    )
    @preflight.mapping.post
    def start_preflight(self, request: Request, name: str) -> Response:
        """Look at all hosts and change nothing, in a run of its own; 200 with the one that is under way already."""
        started, is_new = begin_preflight(by=asker(request), cluster=self.get_object())
        code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
        return Response(shapes.ClusterRunSerializer(started).data, status=code)
