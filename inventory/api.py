"""View sets of /api/v1: sites, environments, sub-managers, filters, labels. They ask and tell; services write."""
from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from django.core.exceptions import ValidationError
from django.db.models import Count, QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet, ViewSet

from accounts.actors import Actor, actor_of
from accounts.models import Tenant, User
from inventory import exposing, label_rules, labels, saved_filters, serializers, sites, sub_managers
from inventory.listing import LISTING, listed
from inventory.models import Environment, Filter, Site, SubManager
from inventory.probing import as_json

NAME = OpenApiParameter("name", OpenApiTypes.STR, OpenApiParameter.PATH, description="Name (or id)")


def asker(request: Request) -> Actor:
    """Who asks."""
    return actor_of(request, via="api")


def place(request: Request) -> tuple[User, Tenant]:
    """Who asks, and in which tenant; permissions have seen to both."""
    return cast(User, request.user), cast(Tenant, request.tenant)  # type: ignore[attr-defined]


class Named(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet):
    """Rows with a name that is unique in their tenant: `/<name>/`; a number that is no name is an id.

    Global rows of other tenants are seen, and changed only from the tenant that owns them.
    """

    lookup_field = "name"
    lookup_value_regex = "[^/]+"
    filter_backends = ()
    reads = frozenset({"list", "retrieve"})

    def get_object(self) -> Any:
        name, (_, tenant) = self.kwargs["name"], place(self.request)
        rows: Any = self.get_queryset()
        try:
            found = rows.named(name, tenant)
        except rows.model.DoesNotExist as error:
            found = rows.filter(pk=name).first() if re.fullmatch(r"[0-9]{1,18}", name) else None
            if found is None:
                raise NotFound(str(error)) from None
        self.check_object_permissions(self.request, found)
        return found

    def written(self, given_to: type, *, partial: bool = False) -> dict[str, Any]:
        """The request's body, read by a serializer."""
        given = given_to(data=self.request.data, partial=partial)
        given.is_valid(raise_exception=True)
        return dict(given.validated_data)

    def told(self, row: Any, code: int = status.HTTP_200_OK) -> Response:
        return Response(self.get_serializer(row).data, status=code)


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
        rows = Site.objects.visible_to(user, tenant).select_related("tenant").annotate(environments=Count("deployments__environment"))
        rows = rows if self.action in self.reads else rows.filter(tenant=tenant)
        search = self.request.query_params.get("q", "")
        return cast("QuerySet[Site]", rows.filter(name__icontains=search).order_by("name") if self.action == "list" else rows)

    @extend_schema(parameters=[OpenApiParameter("q", OpenApiTypes.STR, description="Text in the name")])
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Sites by name."""
        return super().list(request, *args, **kwargs)

    def create(self, request: Request) -> Response:
        """Make a site."""
        _, tenant = place(request)
        site = sites.create_site(by=asker(request), tenant=tenant, **self.written(serializers.SiteSerializer))
        return self.told(site, status.HTTP_201_CREATED)

    @extend_schema(parameters=[NAME])
    def partial_update(self, request: Request, name: str) -> Response:
        """Change a site; what is not named stays."""
        site = self.get_object()
        changes = self.written(serializers.SiteSerializer, partial=True)
        return self.told(sites.update_site(by=asker(request), site=site, **changes))

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
        return cast("QuerySet[Filter]", rows.filter(name__icontains=search).order_by("name") if self.action == "list" else rows)

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

    @extend_schema(parameters=[NAME])
    def partial_update(self, request: Request, name: str) -> Response:
        """Give it other rules (all of them), or wider visibility."""
        saved = self.get_object()
        given = self.written(serializers.FilterSerializer, partial=True)
        if given.pop("name", saved.name) != saved.name:
            raise ValidationError({"name": "A name stays: rollouts and scripts refer to it. Save another filter instead."})
        return self.told(saved_filters.update_filter(by=asker(request), saved=saved, are_titles_free=True, **given))

    @extend_schema(parameters=[NAME])
    def destroy(self, request: Request, name: str) -> Response:
        """Delete a filter."""
        saved_filters.delete_filter(by=asker(request), saved=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema_view(retrieve=extend_schema(parameters=[NAME], responses=serializers.EnvironmentDetailSerializer))
class Environments(Named):
    """Tenants of remote managers, exposed here: where services are put."""

    needs = {
        "list": "environment.view",
        "retrieve": "environment.view",
        "probes": "environment.view",
        "probe": "environment.probe",
        "probe_many": "environment.probe",
        "set_labels": "deployment.change",
        "*": "environment.change",
    }
    reads = frozenset({"list", "retrieve", "probes", "probe", "probe_many"})
    queryset = Environment.objects.none()
    serializer_class = serializers.EnvironmentSerializer

    def get_serializer_class(self) -> type:
        return serializers.EnvironmentSerializer if self.action == "list" else serializers.EnvironmentDetailSerializer

    def get_queryset(self) -> QuerySet[Environment]:
        if getattr(self, "swagger_fake_view", False):
            return Environment.objects.none()
        user, tenant = place(self.request)
        rows = Environment.objects.visible_to(user, tenant).for_list()
        if self.action == "list":
            return listed(rows, self.request.query_params, user, tenant)
        rows = rows.select_related("credential__token", "credential__username", "credential__password")
        return rows if self.action in self.reads else rows.filter(deployment__tenant=tenant)

    @extend_schema(parameters=LISTING, responses=serializers.EnvironmentSerializer(many=True))
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Environments that match, a page at a time."""
        return super().list(request, *args, **kwargs)

    @extend_schema(request=serializers.EnvironmentInSerializer, responses={201: serializers.EnvironmentDetailSerializer})
    def create(self, request: Request) -> Response:
        """Expose a remote manager's tenant; it is looked at once before the reply, and saved also where it cannot be reached."""
        _, tenant = place(request)
        fields = flattened(self.written(serializers.EnvironmentInSerializer))
        with told_as_given():
            environment = exposing.expose(by=asker(request), tenant=tenant, **fields)
        return self.told(self._again(environment), status.HTTP_201_CREATED)

    @extend_schema(parameters=[NAME], request=serializers.EnvironmentInSerializer, responses=serializers.EnvironmentDetailSerializer)
    def partial_update(self, request: Request, name: str) -> Response:
        """Change an environment and look at it again; what is not named stays."""
        environment = self.get_object()
        fields = flattened(self.written(serializers.EnvironmentInSerializer, partial=True))
        if fields.pop("name", environment.deployment.wire_id) != environment.deployment.wire_id:
            raise ValidationError({"name": "A name stays: it is in labels and in the audit trail. Change display_name instead."})
        with told_as_given():
            exposing.update_environment(
                by=asker(request), environment=environment, is_site_given="site" in fields, **fields
            )
        return self.told(self._again(environment))

    @extend_schema(parameters=[NAME])
    def destroy(self, request: Request, name: str) -> Response:
        """Forget an environment; at the remote manager nothing changes. 409 names what stands on it."""
        exposing.hide(by=asker(request), environment=self.get_object())
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
        rows = list(self.get_queryset().filter(deployment__wire_id__in=wanted))
        missing = sorted(set(wanted) - {row.deployment.wire_id for row in rows})
        if missing:
            raise ValidationError({"environments": f"There is no environment {', '.join(missing[:5])} here. Check the spelling."})
        run = exposing.probe_many(by=asker(request), tenant=tenant, environments=rows)
        return Response({"run": run.pk}, status=status.HTTP_201_CREATED)

    @extend_schema(parameters=[NAME], responses=serializers.ProbeSerializer(many=True))
    @action(detail=True, methods=["get"])
    def probes(self, request: Request, name: str) -> Response:
        """The latest looks at it, newest first."""
        page = self.paginate_queryset(self.get_object().probes.order_by("-at"))
        return self.get_paginated_response(serializers.ProbeSerializer(page, many=True).data)

    @extend_schema(parameters=[NAME], request=serializers.LabelsSerializer, responses=serializers.EnvironmentDetailSerializer)
    @action(detail=True, methods=["put"], url_path="labels")
    def set_labels(self, request: Request, name: str) -> Response:
        """Replace the labels; that it is an environment stays."""
        environment = self.get_object()
        given = self.written(serializers.LabelsSerializer)["labels"]
        labels.set_labels(by=asker(request), deployment=environment.deployment, labels=given)
        return self.told(self._again(environment))

    def _again(self, environment: Environment) -> Environment:
        return Environment.objects.for_list().get(pk=environment.pk)


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

    @extend_schema(parameters=[_search, OpenApiParameter("reserved", OpenApiTypes.BOOL, description="Reserved keys instead")])
    def list(self, request: Request) -> Response:
        """Keys of labels in use."""
        if request.query_params.get("reserved", "").lower() in ("true", "1"):
            return Response({"results": sorted(label_rules.RESERVED_KEYS)})
        return Response({"results": labels.label_keys(*place(request), request.query_params.get("q", ""))})

    @extend_schema(parameters=[_search, OpenApiParameter("key", OpenApiTypes.STR, OpenApiParameter.PATH)])
    def retrieve(self, request: Request, key: str) -> Response:
        """Values of one key in use."""
        return Response({"results": labels.label_values(*place(request), key, request.query_params.get("q", ""))})


def flattened(given: dict[str, Any]) -> dict[str, Any]:
    """The body as the services take it: what was inside `credential` beside the rest."""
    return {name: value for name, value in given.items() if name != "credential"} | dict(given.get("credential") or {})


CREDENTIAL_FIELDS = frozenset({"token", "token_secret", "username", "username_secret", "password", "password_secret"})


@contextmanager
def told_as_given() -> Iterator[None]:
    """Faults of the services under the names of the request's body: `tenant`, and credential parts inside `credential`."""
    try:
        yield
    except ValidationError as error:
        if not hasattr(error, "error_dict"):
            raise
        faults: dict[str, list[str]] = {}
        for field, messages in error.message_dict.items():
            if field in CREDENTIAL_FIELDS:
                faults.setdefault("credential", []).extend(f"{field}: {message}" for message in messages)
            else:
                faults["tenant" if field == "remote_tenant" else field] = messages
        raise ValidationError(cast(Any, faults)) from None


routes: list[tuple[str, type, str]] = [
    ("sites", Sites, "site"),
    ("environments", Environments, "environment"),
    ("sub-managers", SubManagers, "sub-manager"),
    ("filters", Filters, "filter"),
    ("labels", Labels, "label"),
]
