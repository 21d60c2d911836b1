"""View sets of /api/v1: sites, sub-managers, filters, labels; environments are in environment_api. They ask and tell; services write."""

from __future__ import annotations

from typing import Any, cast

from django.core.exceptions import ValidationError
from django.db.models import Count, QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet, ViewSet

from accounts.revisions import seen_by
from inventory import editable, label_rules, labels, saved_filters, serializers, sites, sub_managers
from inventory.environment_api import Environments
from inventory.file_api import EnvironmentFiles
from inventory.models import Filter, Site, SubManager
from inventory.named import IF_MATCH, NAME, Named, asker, place


@extend_schema_view(retrieve=extend_schema(parameters=[NAME]))
class Sites(Named):
    """Places where remote managers stand."""

    needs = {"list": "site.view", "retrieve": "site.view", "*": "site.change"}
    queryset = Site.objects.none()
    serializer_class = serializers.SiteSerializer

    def get_queryset(self) -> QuerySet[Site]:
        if getattr(self, "swagger_fake_view", False):
            return Site.objects.none()
        user, tenant = place(self.request)
        rows = (
            Site.objects.visible_to(user, tenant)
            .select_related("tenant")
            .annotate(environments=Count("deployments__environment"))
        )
        rows = rows if self.action in self.reads else rows.filter(tenant=tenant)
        search = self.request.query_params.get("q", "")
        return cast(
            "QuerySet[Site]", rows.filter(name__icontains=search).order_by("name") if self.action == "list" else rows
        )

    def editable_of(self, row: Site) -> dict[str, Any]:
        return editable.of_site(row)

    @extend_schema(parameters=[OpenApiParameter("q", OpenApiTypes.STR, description="Text in the name")])
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Sites by name."""
        return super().list(request, *args, **kwargs)

    def create(self, request: Request) -> Response:
        """Make a site."""
        _, tenant = place(request)
        site = sites.create_site(by=asker(request), tenant=tenant, **self.written(serializers.SiteSerializer))
        return self.told(site, status.HTTP_201_CREATED)

    @extend_schema(parameters=[NAME, IF_MATCH])
    def partial_update(self, request: Request, name: str) -> Response:
        """Change a site; what is not named stays."""
        site = self.get_object()
        changes = self.written(serializers.SiteSerializer, partial=True)
        return self.told(sites.update_site(by=asker(request), site=site, seen=seen_by(request.headers), **changes))

    @extend_schema(parameters=[NAME])
    def destroy(self, request: Request, name: str) -> Response:
        """Delete a site; what stands there is at no site from then on."""
        sites.delete_site(by=asker(request), site=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema_view(retrieve=extend_schema(parameters=[NAME]))
class Filters(Named):
    """Saved filters: rules over labels and attributes; docs/filters.md has the operators."""

    needs = {"list": "filter.view", "retrieve": "filter.view", "*": "filter.change"}
    queryset = Filter.objects.none()
    serializer_class = serializers.FilterSerializer

    def get_queryset(self) -> QuerySet[Filter]:
        if getattr(self, "swagger_fake_view", False):
            return Filter.objects.none()
        user, tenant = place(self.request)
        rows = Filter.objects.visible_to(user, tenant).select_related("tenant")
        rows = rows if self.action in self.reads else rows.filter(tenant=tenant)
        search = self.request.query_params.get("q", "")
        return cast(
            "QuerySet[Filter]", rows.filter(name__icontains=search).order_by("name") if self.action == "list" else rows
        )

    def editable_of(self, row: Filter) -> dict[str, Any]:
        return editable.of_filter(row)

    @extend_schema(parameters=[OpenApiParameter("q", OpenApiTypes.STR, description="Text in the name")])
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Filters by name, those of the system included."""
        return super().list(request, *args, **kwargs)

    def create(self, request: Request) -> Response:
        """Save a filter."""
        _, tenant = place(request)
        given = self.written(serializers.FilterSerializer)
        saved = saved_filters.create_filter(by=asker(request), tenant=tenant, are_titles_free=True, **given)
        return self.told(saved, status.HTTP_201_CREATED)

    @extend_schema(parameters=[NAME, IF_MATCH])
    def partial_update(self, request: Request, name: str) -> Response:
        """Give it other rules (all of them), or wider visibility."""
        saved = self.get_object()
        given = self.written(serializers.FilterSerializer, partial=True)
        if given.pop("name", saved.name) != saved.name:
            raise ValidationError(
                {"name": "A name stays: rollouts and scripts refer to it. Save another filter instead."}
            )
        given |= {"are_titles_free": True, "seen": seen_by(request.headers)}
        return self.told(saved_filters.update_filter(by=asker(request), saved=saved, **given))

    @extend_schema(parameters=[NAME])
    def destroy(self, request: Request, name: str) -> Response:
        """Delete a filter."""
        saved_filters.delete_filter(by=asker(request), saved=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)


class SubManagers(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet):
    """Remote managers, made with the first environment on them and dropped with the last."""

    needs = {"list": "environment.view", "retrieve": "environment.view", "*": "environment.change"}
    queryset = SubManager.objects.none()
    serializer_class = serializers.SubManagerSerializer
    filter_backends = ()

    def get_queryset(self) -> QuerySet[SubManager]:
        if getattr(self, "swagger_fake_view", False):
            return SubManager.objects.none()
        _, tenant = place(self.request)
        return SubManager.objects.filter(tenant=tenant).with_counts().order_by("endpoint", "port", "pk")

    def partial_update(self, request: Request, pk: str) -> Response:
        """Limit how many targets are worked on at once there; 0: no limit."""
        manager = self.get_object()
        given = self.get_serializer(manager, data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        if given.validated_data:
            sub_managers.set_limit(by=asker(request), manager=manager, **given.validated_data)
        return Response(self.get_serializer(self.get_object()).data)


class Labels(ViewSet):
    """The vocabulary: keys in use, and values of one key."""

    needs = {"*": "deployment.view"}
    lookup_field = "key"
    lookup_value_regex = "[^/]+"
    serializer_class = serializers.VocabularySerializer
    _search = OpenApiParameter("q", OpenApiTypes.STR, description="Text in them")

    @extend_schema(
        parameters=[_search, OpenApiParameter("reserved", OpenApiTypes.BOOL, description="Reserved keys instead")]
    )
    def list(self, request: Request) -> Response:
        """Keys of labels in use."""
        if request.query_params.get("reserved", "").lower() in ("true", "1"):
            return Response({"results": sorted(label_rules.RESERVED_KEYS)})
        return Response({"results": labels.label_keys(*place(request), request.query_params.get("q", ""))})

    @extend_schema(parameters=[_search, OpenApiParameter("key", OpenApiTypes.STR, OpenApiParameter.PATH)])
    def retrieve(self, request: Request, key: str) -> Response:
        """Values of one key in use."""
        return Response({"results": labels.label_values(*place(request), key, request.query_params.get("q", ""))})


routes: list[tuple[str, type, str]] = [
    ("sites", Sites, "site"),
    ("environments", Environments, "environment"),
    ("environment-files", EnvironmentFiles, "environment-file"),
    ("sub-managers", SubManagers, "sub-manager"),
    ("filters", Filters, "filter"),
    ("labels", Labels, "label"),
]
