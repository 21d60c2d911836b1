"""The part of /api/v1/clusters/<name>/ that makes a built cluster an environment, and sets its administrator's password."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from installs.administering import set_administrator_password
from installs.offering import environment_of, expose_cluster
from installs.run_api import KEY
from installs.serializers import Strict
from inventory.models import Environment
from inventory.named import NAME, Named, asker
from inventory.serializers import EnvironmentDetailSerializer, LabelsField


class OfferSerializer(Strict):
    """How the environment is to be; all may be left out."""

    name = serializers.CharField(
        required=False, allow_blank=True, max_length=256, help_text="The cluster's own if empty"
    )
    labels = LabelsField(required=False, help_text="Beside cluster=<name>")
    site = serializers.CharField(
        required=False, allow_blank=True, help_text="Name of a site; the cluster's own if empty"
    )


class AdministratorSerializer(Strict):
    """A new password of the cluster's administrator; never read back."""

    password = serializers.CharField(write_only=True, trim_whitespace=False, max_length=256)


class OfferActions(Named):
    """Use of one cluster."""

    @extend_schema(
        parameters=[NAME, KEY],
        request=OfferSerializer,
        responses={200: EnvironmentDetailSerializer, 201: EnvironmentDetailSerializer},
    )
    @action(detail=True, methods=["post"])
    def expose(self, request: Request, name: str) -> Response:
        """Make a ready cluster an environment; 200 with the one that is there where it is one, whatever the key. 409 says why not."""
        cluster = self.get_object()
        known = environment_of(cluster)
        environment = expose_cluster(by=asker(request), cluster=cluster, **self.written(OfferSerializer))
        fresh = Environment.objects.for_list().get(pk=environment.pk)
        code = status.HTTP_200_OK if known else status.HTTP_201_CREATED
        return Response(EnvironmentDetailSerializer(fresh).data, status=code)

    @extend_schema(parameters=[NAME], request=AdministratorSerializer, responses={204: None})
    @action(detail=True, methods=["post"], url_path="administrator-password", url_name="administrator-password")
    def administrator_password(self, request: Request, name: str) -> Response:
        """Give `admin` at the cluster another password, and keep it; one that holds there already is just kept."""
        password = self.written(AdministratorSerializer)["password"]
        set_administrator_password(by=asker(request), cluster=self.get_object(), password=password)
        return Response(status=status.HTTP_204_NO_CONTENT)
