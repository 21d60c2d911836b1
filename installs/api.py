"""View set of /api/v1/clusters. It asks and tells; services write."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Count, QuerySet
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.revisions import seen_by, tag_of
from installs import importing, services
from installs import serializers as shapes
from installs.certificate_api import CertificateActions
from installs.describing import SERVICES, read_description, read_external
from installs.drills.api import DrillActions
from installs.fetching import fetch_authority
from installs.health.api import HealthActions
from installs.host_api import FORCE, HostActions, is_forced
from installs.offer_api import OfferActions
from installs.run_api import RunActions
from inventory import clusters, editable
from inventory.models import Cluster
from inventory.named import IF_MATCH, NAME, asker, place

READS = (
    "list",
    "retrieve",
    "hosts",
    "host",
    "findings",
    "export",
    "certificates",
    "runs",
    "preflight",
    "drills",
    "health",
)


@extend_schema_view(retrieve=extend_schema(parameters=[NAME], responses=shapes.ClusterDetailSerializer))
class Clusters(HostActions, CertificateActions, RunActions, OfferActions, DrillActions, HealthActions):
    """Manager clusters: what they are to be, their hosts and certificates. docs/clusters.md has the topologies."""

    needs = {**dict.fromkeys(READS, "cluster.view"), "*": "cluster.change"}
    queryset = Cluster.objects.none()
    serializer_class = shapes.ClusterSerializer

    def get_serializer_class(self) -> type:
        return shapes.ClusterSerializer if self.action == "list" else shapes.ClusterDetailSerializer

    def get_queryset(self) -> QuerySet[Cluster]:
        if getattr(self, "swagger_fake_view", False):
            return Cluster.objects.none()
        _, tenant = place(self.request)
        rows = Cluster.objects.filter(tenant=tenant).annotate(host_count=Count("nodes")).order_by("name")
        if self.action == "list":
            return rows.select_related("site").filter(name__icontains=self.request.query_params.get("q", ""))
        return with_all(rows)

    @extend_schema(parameters=[OpenApiParameter("q", OpenApiTypes.STR, description="Text in the name")])
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Clusters by name."""
        return super().list(request, *args, **kwargs)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """A cluster with its hosts and everything that is wrong with it."""
        return self.tell_cluster(self.get_object())

    @extend_schema(request=shapes.NewClusterSerializer, responses={201: shapes.ClusterDetailSerializer})
    def create(self, request: Request) -> Response:
        """Describe a cluster; touches no machine. 400 has every error of its layout; `is_draft` keeps it in spite of them."""
        _, tenant = place(request)
        given = self.written(shapes.NewClusterSerializer)
        cluster = services.describe_cluster(
            by=asker(request), tenant=tenant, description=read_description(given), is_draft=given["is_draft"]
        )
        return self.tell_cluster(cluster, status.HTTP_201_CREATED)

    @extend_schema(
        parameters=[NAME, IF_MATCH], request=shapes.ClusterChangeSerializer, responses=shapes.ClusterDetailSerializer
    )
    def partial_update(self, request: Request, name: str) -> Response:
        """Change what is wanted; what is not named stays. Findings of the reply say what that makes of the layout."""
        cluster = self.get_object()
        given, logins = self.written(shapes.ClusterChangeSerializer, partial=True), {}
        if "site" in given:
            given["site"] = services.site_named(cluster.tenant, given["site"])
        for service in SERVICES:
            external = given.get(service) or {}
            if service in given:
                given[service] = read_external(external)
            if external.get("user") or external.get("password"):
                logins[service] = (external.get("user", ""), external.get("password", ""))
        seen = seen_by(request.headers)
        clusters.change_cluster(by=asker(request), cluster=cluster, seen=seen, logins=logins, **given)
        return self.tell_cluster(cluster)

    @extend_schema(parameters=[NAME, FORCE])
    def destroy(self, request: Request, name: str) -> Response:
        """Forget a cluster; on its hosts nothing changes. 409 where something runs on them; `force` forgets it."""
        clusters.delete_cluster(by=asker(request), cluster=self.get_object(), is_forced=is_forced(request))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(parameters=[NAME], responses=shapes.FindingSerializer(many=True), filters=False)
    @action(detail=True, methods=["get"], pagination_class=None)
    def findings(self, request: Request, name: str) -> Response:
        """Everything wrong with layout and certificates, errors first. Preflight adds what the hosts say."""
        found = [finding.as_json() for finding in services.cluster_findings(self.get_object())]
        return Response(shapes.FindingSerializer(found, many=True).data)

    @extend_schema(
        parameters=[NAME, OpenApiParameter("as", OpenApiTypes.STR, enum=["yaml", "csv"])],
        responses={(200, "text/plain"): OpenApiTypes.STR},
    )
    @action(detail=True, methods=["get"])
    def export(self, request: Request, name: str) -> HttpResponse:
        """The description as a file that import reads: YAML whole, CSV its hosts. Names of secrets, never values."""
        kind = request.query_params.get("as", "yaml")
        if kind not in ("yaml", "csv"):
            raise ValidationError({"as": "Choose yaml or csv."})
        cluster = self.get_object()
        reply = HttpResponse(importing.export_layout(cluster, kind), content_type="text/plain; charset=utf-8")
        reply["Content-Disposition"] = f'attachment; filename="{cluster.name}.{kind}"'
        return reply

    @extend_schema(request=shapes.ImportSerializer, responses={200: shapes.ReportSerializer})
    @action(detail=False, methods=["post"], url_path="import", url_name="import")
    def import_file(self, request: Request) -> Response:
        """Read a file with a line by line report. Unless it is a dry run, the cluster is described, or brought to it."""
        _, tenant = place(request)
        given = self.written(shapes.ImportSerializer)
        report = importing.import_layout(
            by=asker(request), tenant=tenant, text=given["text"], format=given["format"],
            name=given.get("cluster", ""), is_dry_run=given["is_dry_run"], is_draft=given["is_draft"],
        )  # fmt: skip
        told = {
            "is_done": report.is_done,
            "lines": report.lines,
            "findings": [finding.as_json() for finding in report.findings],
            "cluster": report.cluster.name if report.cluster else None,
        }
        return Response(shapes.ReportSerializer(told).data)

    @extend_schema(request=shapes.FetchSerializer, responses={200: shapes.FetchedSerializer})
    @action(detail=False, methods=["post"], url_path="fetch-ca")
    def fetch_ca(self, request: Request) -> Response:
        """Look at the CA of an external service, to compare it; trusts nothing. 409 where the service does not show it."""
        return Response(shapes.FetchedSerializer(fetch_authority(**self.written(shapes.FetchSerializer))).data)

    def tell_cluster(self, cluster: Cluster, code: int = status.HTTP_200_OK) -> Response:
        """A cluster as it is now."""
        rows = Cluster.objects.annotate(host_count=Count("nodes"))
        fresh = with_all(rows).get(pk=cluster.pk)
        fresh.findings = [finding.as_json() for finding in services.cluster_findings(fresh)]
        headers = {"ETag": tag_of(editable.of_cluster(fresh))}
        return Response(shapes.ClusterDetailSerializer(fresh).data, status=code, headers=headers)


def with_all(rows: QuerySet[Any]) -> QuerySet[Any]:
    """With everything that the detail shows."""
    return rows.select_related("tenant", "site").prefetch_related(
        "nodes__host_keys", "nodes__private_key", "nodes__password", "nodes__sudo_password"
    )


routes: list[tuple[str, type, str]] = [("clusters", Clusters, "cluster")]
