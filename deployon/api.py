"""View sets of /api/v1: services, rollouts, placements. They ask and tell; catalogue, previews and rollouts do the work."""

from __future__ import annotations

import hashlib
from typing import Any, cast

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.parsers import FormParser, JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts.actors import Actor, actor_of
from accounts.models import Tenant
from deployon import catalogue, preview_shapes, previews, reads, rollouts
from deployon import serializers as shapes
from deployon.inputs import canonical
from deployon.matrix_api import Matrix
from deployon.models import Placement, Rollout, Service, ServiceVersion
from deployon.scan_api import Adoptions, Scans
from deployon.sources import Sources
from deployon.tables import table_of
from deployon.workflows import Workflow
from inventory.models import Environment, Filter

KEY_HEADER = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="The same key with the same request again starts nothing and answers with the same rollout.",
)


def tenant_of(request: Request) -> Tenant:
    """The tenant of the request; permissions have seen to it that there is one."""
    return cast(Tenant, request.tenant)  # type: ignore[attr-defined]


def asker(request: Request) -> Actor:
    return actor_of(request, via="api")


def key_of(request: Request) -> rollouts.Key | None:
    """The Idempotency-Key of the request, with what it was sent with."""
    value = request.headers.get("Idempotency-Key", "")
    if not value:
        return None
    if len(value) > 128:
        raise ValidationError({"Idempotency-Key": "The key has at most 128 characters."})
    return rollouts.Key(value, hashlib.sha256(request.path.encode() + b"\n" + canonical(request.data)).hexdigest())


class Services(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet):
    """What can be put on environments."""

    needs = {
        "*": "service.view",
        "create": "service.change",
        "partial_update": "service.change",
        "destroy": "service.change",
        "POST": "service.change",
    }
    queryset = Service.objects.none()
    serializer_class = shapes.ServiceSerializer
    parser_classes = [JSONParser, MultiPartParser, FormParser]
    filterset_fields = ["name"]
    lookup_value_regex = r"\d+"

    def get_queryset(self) -> QuerySet[Service]:
        return (
            self.queryset
            if getattr(self, "swagger_fake_view", False)
            else reads.service_list(tenant_of(self.request).pk)
        )

    @extend_schema(
        request={"multipart/form-data": shapes.NewServiceSerializer, "application/json": shapes.NewServiceSerializer},
        responses={201: shapes.ServiceSerializer},
    )
    def create(self, request: Request) -> Response:
        """Register a service with its first version."""
        given = shapes.NewServiceSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        data = given.validated_data
        version = catalogue.register_service(
            by=asker(request),
            tenant=tenant_of(request),
            name=data["name"],
            description=data["description"],
            source=self.source_of(data),
        )
        return Response(
            self.get_serializer(self.get_queryset().get(pk=version.service_id)).data, status=status.HTTP_201_CREATED
        )

    @extend_schema(request=shapes.DescriptionSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change the description."""
        given = shapes.DescriptionSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        catalogue.describe_service(
            by=asker(request), service=self.get_object(), description=given.validated_data["description"]
        )
        return Response(self.get_serializer(self.get_object()).data)

    def destroy(self, request: Request, pk: str) -> Response:
        """Forget a service that stands nowhere and was never rolled out."""
        catalogue.delete_service(by=asker(request), service=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(methods=["GET"], responses=shapes.VersionSerializer(many=True), filters=False)
    @extend_schema(
        methods=["POST"],
        request={"multipart/form-data": shapes.SourceSerializer, "application/json": shapes.SourceSerializer},
        responses={200: shapes.VersionSerializer, 201: shapes.VersionSerializer},
    )
    @action(detail=True, methods=["get", "post"])
    def versions(self, request: Request, pk: str) -> Response:
        """Versions, newest first; POST adds content, 200 with the version that has it where it is known."""
        service = self.get_object()
        if request.method == "GET":
            page = self.paginate_queryset(service.versions.select_related("created_by"))
            return self.get_paginated_response(shapes.VersionSerializer(page, many=True).data)
        given = shapes.SourceSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        version, is_new = catalogue.add_version(
            by=asker(request), service=service, source=self.source_of(given.validated_data)
        )
        return Response(
            shapes.VersionSerializer(version).data, status=status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
        )

    def source_of(self, data: dict[str, Any]) -> catalogue.Source:
        """The catalogue's words for what was sent."""
        archive, environment = data.get("archive"), None
        if data.get("environment"):
            rows = Environment.objects.visible_to(asker(self.request).user, tenant_of(self.request))
            environment = rows.select_related("deployment", "sub_manager", "credential").get(pk=data["environment"])
        return catalogue.Source(
            content=archive.read() if archive else None,
            file_name=archive.name if archive else "",
            main_file=data["main_file"],
            remote_blueprint=data["remote_blueprint"],
            environment=environment,
        )


class Rollouts(mixins.ListModelMixin, GenericViewSet):
    """One service on many environments: preview, start by digest, watch, cancel, retry, uninstall."""

    needs = {"*": "rollout.view", "POST": "rollout.start"}
    queryset = Rollout.objects.none()
    serializer_class = shapes.RolloutSerializer
    filterset_fields = ["action", "version__service", "run__state"]
    lookup_value_regex = r"\d+"

    def get_queryset(self) -> QuerySet[Rollout]:
        return (
            self.queryset
            if getattr(self, "swagger_fake_view", False)
            else reads.rollout_list(tenant_of(self.request).pk)
        )

    @extend_schema(responses=shapes.RolloutDetailSerializer)
    def retrieve(self, request: Request, pk: str) -> Response:
        """A rollout with its counts, its failures by cause and what was left out."""
        return self.tell(int(pk))

    @extend_schema(request=preview_shapes.PreviewRequestSerializer, responses=preview_shapes.PreviewSerializer)
    @action(detail=False, methods=["post"])
    def preview(self, request: Request) -> Response:
        """What would happen, environment by environment; starts nothing. Start names its digest."""
        given = preview_shapes.PreviewRequestSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        data = given.validated_data
        version = self.version_of(data["service"], data.get("version"))
        preview = previews.preview_rollout(
            by=asker(request),
            tenant=tenant_of(request),
            version=version,
            where=self.where_of(data),
            inputs=data["inputs"],
            action=data["action"],
            survey=data["survey"],
            own=Sources.read(data["inputs_from"], table_of(data["table"], version.inputs_schema)),
            workflow=Workflow(data["workflow"], data["parameters"]),
        )
        return Response(preview_shapes.PreviewSerializer(preview).data)

    @extend_schema(
        request=shapes.StartSerializer, responses={201: shapes.RolloutDetailSerializer}, parameters=[KEY_HEADER]
    )
    def create(self, request: Request) -> Response:
        """Start what a preview showed. 409, naming what changed, where the world is another by now."""
        given = shapes.StartSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        data = given.validated_data
        pace = rollouts.Pace(data["max_parallel"], data["failure_budget"])
        rollout = rollouts.start_rollout(
            by=asker(request), tenant=tenant_of(request), digest=data["digest"], pace=pace, key=key_of(request)
        )
        return self.tell(rollout.pk, status.HTTP_201_CREATED)

    @extend_schema(
        responses=shapes.TargetSerializer(many=True),
        filters=False,
        parameters=[OpenApiParameter("state", str, description="only those in this state")],
    )
    @action(detail=True, methods=["get"])
    def targets(self, request: Request, pk: str) -> Response:
        """Its targets, worst first."""
        page = self.paginate_queryset(reads.target_rows(self.the(pk), request.query_params.get("state", "")))
        return self.get_paginated_response(
            shapes.TargetSerializer([reads.as_row(target) for target in page or ()], many=True).data
        )

    @extend_schema(request=None, responses=shapes.RolloutDetailSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Stop it, at the sub-managers too."""
        rollouts.cancel_rollout(by=asker(request), rollout=self.the(pk))
        return self.tell(int(pk))

    @extend_schema(request=None, responses=shapes.RolloutDetailSerializer)
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, pk: str) -> Response:
        """Start no more targets."""
        rollouts.pause_rollout(by=asker(request), rollout=self.the(pk))
        return self.tell(int(pk))

    @extend_schema(request=None, responses=shapes.RolloutDetailSerializer)
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: str) -> Response:
        """Go on after a pause."""
        rollouts.resume_rollout(by=asker(request), rollout=self.the(pk))
        return self.tell(int(pk))

    @extend_schema(request=None, responses=shapes.RolloutDetailSerializer, parameters=[KEY_HEADER])
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str) -> Response:
        """Once more for exactly the targets that failed, were cancelled or never started."""
        rollouts.retry_rollout(by=asker(request), rollout=self.the(pk), key=key_of(request))
        return self.tell(int(pk))

    @extend_schema(
        request=shapes.UninstallSerializer, responses={201: shapes.RolloutDetailSerializer}, parameters=[KEY_HEADER]
    )
    @action(detail=True, methods=["post"])
    def uninstall(self, request: Request, pk: str) -> Response:
        """Take the service away from where this rollout put it: a rollout of its own."""
        given = shapes.UninstallSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        rollout = rollouts.uninstall_rollout(
            by=asker(request), rollout=self.the(pk), digest=given.validated_data["digest"], key=key_of(request)
        )
        return self.tell(rollout.pk, status.HTTP_201_CREATED)

    def the(self, pk: str) -> Rollout:
        """The rollout, in the tenant of the request."""
        return Rollout.objects.select_related("run", "tenant", "version__service").get(
            pk=pk, tenant=tenant_of(self.request)
        )

    def tell(self, pk: int, code: int = status.HTTP_200_OK) -> Response:
        """A rollout in full."""
        rollout = self.get_queryset().defer(None).get(pk=pk)
        rollout.counts = reads.counts(rollout)  # type: ignore[attr-defined]
        rollout.failures = reads.failures_by_cause(rollout)  # type: ignore[attr-defined]
        path = reverse("api-rollout-targets", args=[pk])
        rollout.targets_url = self.request.build_absolute_uri(path)  # type: ignore[attr-defined]
        return Response(shapes.RolloutDetailSerializer(rollout).data, status=code)

    def version_of(self, service: str, number: int | None) -> ServiceVersion:
        """The version with that number, or the newest, of a service by name or id."""
        rows = ServiceVersion.objects.filter(service__tenant=tenant_of(self.request)).select_related("service")
        rows = rows.filter(service=int(service)) if service.isdigit() else rows.filter(service__name=service)
        found = (rows.filter(number=number) if number else rows).order_by("-number").first()
        if found is None:
            raise ValidationError(
                {
                    "service": f"There is no service {service!r}{f' with version {number}' if number else ''} here. Look at /api/v1/services/."
                }
            )
        return found

    def where_of(self, data: dict[str, Any]) -> previews.Where:
        """Which environments are meant."""
        if "filter" in data:
            if "rules" in data or "environments" in data:
                raise ValidationError({"filter": "Give rules, a filter or environments: one of the three."})
            tenant = tenant_of(self.request)
            return previews.Where(
                rules=Filter.objects.visible_to(asker(self.request).user, tenant).named(data["filter"], tenant).rules
            )
        rules = [dict(rule) for rule in data["rules"]] if "rules" in data else None
        return previews.Where(rules=rules, environments=data.get("environments"))


class Placements(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet):
    """Which service is on which environment, and what it offers there."""

    needs = {"*": "rollout.view"}
    queryset = Placement.objects.none()
    serializer_class = shapes.PlacementSerializer
    filterset_fields = ["service", "environment", "state"]
    lookup_value_regex = r"\d+"

    def get_queryset(self) -> QuerySet[Placement]:
        return (
            self.queryset if getattr(self, "swagger_fake_view", False) else reads.placements(tenant_of(self.request).pk)
        )


routes: list[tuple[str, type, str]] = [
    ("services", Services, "api-service"),
    ("rollouts", Rollouts, "api-rollout"),
    ("placements", Placements, "api-placement"),
    ("matrix", Matrix, "api-matrix"),
    ("scans", Scans, "api-scan"),
    ("adoptions", Adoptions, "api-adoption"),
]
