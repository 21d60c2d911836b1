"""View sets of /api/v1: runs, their events, and what may be asked of them. Starting one is the domain's own address."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts.actors import actor_of
from runs import reads, services
from runs.models import Run
from runs.serializers import EventPageSerializer, RunDetailSerializer, RunSerializer
from runs.states import RunState

EVENTS_LIMIT = 1000


class RunFilter(django_filters.FilterSet):
    """`state`, `parent` (children of one; without it, runs that have none), `title` (part of it)."""

    state = django_filters.MultipleChoiceFilter(choices=RunState.choices)
    title = django_filters.CharFilter(lookup_expr="icontains")
    parent = django_filters.NumberFilter(field_name="parent_id")

    class Meta:
        model = Run
        fields = ["state", "title", "parent", "mode"]


class Runs(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet[Run]):
    """What runs and ran in the tenant."""

    needs = {"*": "run.view", "pause": "run.control", "resume": "run.control", "cancel": "run.control"}
    filterset_class = RunFilter
    serializer_class = RunSerializer
    queryset = Run.objects.none()

    def get_queryset(self) -> QuerySet[Run]:
        runs = Run.objects.filter(tenant=self.request.tenant).select_related("tenant", "started_by", "parent")  # type: ignore[attr-defined]
        if self.action == "list" and "parent" in self.request.query_params:
            return runs.order_by("position")
        return runs.filter(parent=None) if self.action == "list" else runs.prefetch_related("steps")

    def get_serializer_class(self) -> Any:
        return RunSerializer if self.action == "list" else RunDetailSerializer

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "after", OpenApiTypes.INT64, description="cursor of the reply before; 0: from the beginning"
            ),
            OpenApiParameter("limit", OpenApiTypes.INT, description=f"at most {EVENTS_LIMIT}"),
        ],
        responses=EventPageSerializer,
    )
    @action(detail=True)
    def events(self, request: Request, pk: str) -> Response:
        """Events of the run and of its children after a cursor, oldest first."""
        after, limit = number(request, "after", 0), number(request, "limit", EVENTS_LIMIT)
        events, cursor = reads.tail(self.get_object(), after, min(max(limit, 1), EVENTS_LIMIT))
        return Response({"events": [reads.event_json(event) for event in events], "cursor": cursor})

    @extend_schema(request=None, responses=RunDetailSerializer)
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, pk: str) -> Response:
        """Begin no new step; what is at work comes to its end."""
        run = self.get_object()
        services.pause_run(by=actor_of(request._request, via="api"), run=run)
        return self.told(run)

    @extend_schema(request=None, responses=RunDetailSerializer)
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: str) -> Response:
        """Go on with a paused run, or with a failed one at its first unfinished step."""
        run = self.get_object()
        services.resume_run(by=actor_of(request._request, via="api"), run=run)
        return self.told(run)

    @extend_schema(request=None, responses=RunDetailSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Begin nothing more; what was begun is cancelled where it runs."""
        run = self.get_object()
        services.cancel_run(by=actor_of(request._request, via="api"), run=run)
        return self.told(run)

    def told(self, run: Run) -> Response:
        """The run as it is now."""
        return Response(
            RunDetailSerializer(Run.objects.select_related("tenant", "started_by", "parent").get(pk=run.pk)).data
        )


def number(request: Request, name: str, default: int) -> int:
    """A whole number in the query."""
    text = request.query_params.get(name, "")
    if text and not (text.isdecimal() and len(text) < 19):
        raise ValidationError({name: "Give a whole number."})
    return int(text) if text else default


routes: list[tuple[str, type, str]] = [("runs", Runs, "run")]
