"""View set of /api/v1/environments. It asks and tells; services write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.revisions import seen_by
from inventory import bulk_labels, editable, exposing, labels, serializers
from inventory.api_bodies import flattened, told_as_given
from inventory.discovering_api import TenantsThere
from inventory.listing import LISTING, listed, rows_of_page
from inventory.models import Environment
from inventory.named import IF_MATCH, NAME, asker, place
from inventory.probing import as_json

FORCE = OpenApiParameter(
    "force",
    OpenApiTypes.BOOL,
    description="Forget what stands on it as well; there it is left untouched and goes on running.",
)


@extend_schema_view(retrieve=extend_schema(parameters=[NAME], responses=serializers.EnvironmentDetailSerializer))
class Environments(TenantsThere):
    """Tenants of remote managers, exposed here: where services are put."""

    needs = {
        "list": "environment.view",
        "retrieve": "environment.view",
        "probes": "environment.view",
        "probe": "environment.probe",
        "probe_many": "environment.probe",
        "set_labels": "deployment.change",
        "change_labels": "deployment.change",
        "*": "environment.change",
    }
    reads = frozenset({"list", "retrieve", "probes"})
    queryset = Environment.objects.none()
    serializer_class = serializers.EnvironmentSerializer

    def get_serializer_class(self) -> type:
        return serializers.EnvironmentSerializer if self.action == "list" else serializers.EnvironmentDetailSerializer

    def editable_of(self, row: Environment) -> dict[str, Any]:
        return editable.of_environment(row)

    def get_queryset(self) -> QuerySet[Environment]:
        if getattr(self, "swagger_fake_view", False):
            return Environment.objects.none()
        user, tenant = place(self.request)
        rows = Environment.objects.visible_to(user, tenant)
        if self.action == "list":
            return listed(rows, self.request.query_params, user, tenant)
        rows = rows.for_list().select_related(*editable.SECRETS)
        return rows if self.action in self.reads else rows.filter(deployment__tenant=tenant)

    @extend_schema(parameters=LISTING, responses=serializers.EnvironmentSerializer(many=True))
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Environments that match, a page at a time."""
        # Sorting thousands of wide rows to show fifty is what would cost here: ids first, then the rows of the page.
        ids = self.paginate_queryset(self.get_queryset().values_list("pk", flat=True)) or []
        return self.get_paginated_response(self.get_serializer(rows_of_page(ids), many=True).data)

    @extend_schema(
        request=serializers.EnvironmentInSerializer, responses={201: serializers.EnvironmentDetailSerializer}
    )
    def create(self, request: Request) -> Response:
        """Expose a remote manager's tenant; it is looked at once before the reply, and saved also where it cannot be reached."""
        _, tenant = place(request)
        fields = flattened(self.written(serializers.EnvironmentInSerializer))
        with told_as_given():
            environment = exposing.expose(by=asker(request), tenant=tenant, **fields)
        return self.told(self._again(environment), status.HTTP_201_CREATED)

    @extend_schema(
        parameters=[NAME, IF_MATCH],
        request=serializers.EnvironmentInSerializer,
        responses=serializers.EnvironmentDetailSerializer,
    )
    def partial_update(self, request: Request, name: str) -> Response:
        """Change an environment and look at it again; what is not named stays."""
        environment = self.get_object()
        fields = flattened(self.written(serializers.EnvironmentInSerializer, partial=True))
        if fields.pop("name", environment.deployment.wire_id) != environment.deployment.wire_id:
            raise ValidationError(
                {"name": "A name stays: it is in labels and in the audit trail. Change display_name instead."}
            )
        with told_as_given():
            fields |= {"is_site_given": "site" in fields, "seen": seen_by(request.headers)}
            exposing.update_environment(by=asker(request), environment=environment, **fields)
        return self.told(self._again(environment))

    @extend_schema(parameters=[NAME, FORCE])
    def destroy(self, request: Request, name: str) -> Response:
        """Forget an environment; at the remote manager nothing changes. 409 names what stands on it or is at work there."""
        is_forced = request.query_params.get("force", "").lower() in ("true", "1")
        exposing.hide(by=asker(request), environment=self.get_object(), force=is_forced)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=serializers.ConnectionInSerializer, responses=serializers.CheckSerializer)
    @action(detail=False, methods=["post"])
    def check(self, request: Request) -> Response:
        """Try a connection, rung by rung, without saving anything."""
        _, tenant = place(request)
        fields = flattened(self.written(serializers.ConnectionInSerializer))
        with told_as_given():
            climb = exposing.check_connection(by=asker(request), tenant=tenant, **fields)
        told = {
            "is_ready": climb.is_ready,
            "rungs": as_json(climb),
            "version": climb.version,
            "fingerprint": climb.fingerprint,
            "certificate_expires_at": climb.certificate_expires_at,
        }
        return Response(serializers.CheckSerializer(told).data)

    @extend_schema(parameters=[NAME], request=None, responses=serializers.EnvironmentDetailSerializer)
    @action(detail=True, methods=["post"])
    def probe(self, request: Request, name: str) -> Response:
        """Look at an environment now."""
        environment = self.get_object()
        exposing.probe(environment)
        return self.told(self._again(environment))

    @extend_schema(request=serializers.ProbeManySerializer, responses={201: serializers.RunReferenceSerializer})
    @action(detail=False, methods=["post"], url_path="probe-many")
    def probe_many(self, request: Request) -> Response:
        """Look at many, as a run that can be watched."""
        _, tenant = place(request)
        wanted = self.written(serializers.ProbeManySerializer)["environments"]
        rows = self._named(wanted)
        run = exposing.probe_many(by=asker(request), tenant=tenant, environments=rows)
        return Response({"run": run.pk}, status=status.HTTP_201_CREATED)

    def _named(self, wanted: Sequence[str]) -> Sequence[Environment]:
        """The environments of these names; ValidationError where one is not there."""
        rows = list(self.get_queryset().filter(deployment__wire_id__in=wanted))
        missing = sorted(set(wanted) - {row.deployment.wire_id for row in rows})
        if missing:
            raise ValidationError(
                {"environments": f"There is no environment {', '.join(missing[:5])} here. Check the spelling."}
            )
        return rows

    @extend_schema(request=serializers.ChangeLabelsSerializer, responses={200: serializers.ChangedLabelsSerializer})
    @action(detail=False, methods=["post"], url_path="change-labels")
    def change_labels(self, request: Request) -> Response:
        """Labels of many: add and remove, in one transaction; what others add meanwhile stays."""
        _, tenant = place(request)
        data = self.written(serializers.ChangeLabelsSerializer)
        add, remove = bulk_labels.additions(data.get("add", [])), bulk_labels.removals(data["remove"])
        if not (add or remove):
            raise ValidationError("Nothing would change: name at least one label to add or to remove.")
        ids = [row.deployment_id for row in self._named(data["environments"]) if row.deployment.tenant_id == tenant.pk]
        if data["is_dry_run"]:
            found = bulk_labels.difference(ids, add, remove)
        else:
            found = bulk_labels.change_labels(by=asker(request), tenant=tenant, ids=ids, add=add, remove=remove)
        counts = {
            name: [{"label": label, "environments": count} for label, count in pairs]
            for name, pairs in (("gained", found.gained), ("lost", found.lost))
        }
        return Response({"touched": found.touched, **counts})

    @extend_schema(parameters=[NAME], responses=serializers.ProbeSerializer(many=True))
    @action(detail=True, methods=["get"])
    def probes(self, request: Request, name: str) -> Response:
        """The latest looks at it, newest first."""
        page = self.paginate_queryset(self.get_object().probes.order_by("-at"))
        return self.get_paginated_response(serializers.ProbeSerializer(page, many=True).data)

    @extend_schema(
        parameters=[NAME, IF_MATCH],
        request=serializers.LabelsSerializer,
        responses=serializers.EnvironmentDetailSerializer,
    )
    @action(detail=True, methods=["put"], url_path="labels")
    def set_labels(self, request: Request, name: str) -> Response:
        """Replace the labels; that it is an environment stays."""
        environment = self.get_object()
        given = self.written(serializers.LabelsSerializer)["labels"]
        seen = seen_by(request.headers)
        labels.set_labels(by=asker(request), deployment=environment.deployment, labels=given, seen=seen)
        return self.told(self._again(environment))

    def _again(self, environment: Environment) -> Environment:
        return Environment.objects.for_list().select_related(*editable.SECRETS).get(pk=environment.pk)
