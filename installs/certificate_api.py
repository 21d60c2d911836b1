"""The part of /api/v1/clusters/<name>/ that speaks of certificates."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from installs import certificates
from installs import serializers as shapes
from installs.models import Certificate
from installs.pki.making import Pair
from inventory.models import Cluster
from inventory.named import NAME, Named, asker


class CertificateActions(Named):
    """Certificates of one cluster."""

    @extend_schema(parameters=[NAME], responses=shapes.CertificateSerializer(many=True), filters=False)
    @action(detail=True, methods=["get"], pagination_class=None, url_path="certificates")
    def certificates(self, request: Request, name: str) -> Response:
        """Those in use and those that wait for your CA; `days_left` tells when they end."""
        return self._tell(self.get_object())

    @extend_schema(parameters=[NAME], request=None, responses={200: shapes.CertificateSerializer(many=True)})
    @action(detail=True, methods=["post"], url_path="certificates/renew", pagination_class=None)
    def renew_certificates(self, request: Request, name: str) -> Response:
        """Have the cluster's own CA make every host's certificate anew; hosts get them with the next run of the plan."""
        cluster = self.get_object()
        certificates.ensure_certificates(by=asker(request), cluster=cluster, is_renewal=True)
        return self._tell(cluster)

    @extend_schema(parameters=[NAME], request=None, responses={200: shapes.RequestsSerializer})
    @action(detail=True, methods=["post"], url_path="certificates/requests")
    def certificate_requests(self, request: Request, name: str) -> Response:
        """Signing requests for your own CA, a host each; the keys stay here."""
        requests = certificates.request_certificates(by=asker(request), cluster=self.get_object())
        return Response({"requests": requests})

    @extend_schema(
        parameters=[NAME], request=shapes.SignedSerializer, responses={200: shapes.CertificateSerializer(many=True)}
    )
    @action(detail=True, methods=["post"], url_path="certificates/signed", pagination_class=None)
    def accept_certificates(self, request: Request, name: str) -> Response:
        """What your CA made of the requests; everything wrong with it is said at once."""
        cluster, given = self.get_object(), self.written(shapes.SignedSerializer)
        certificates.accept_signed(
            by=asker(request), cluster=cluster, authority=given["authority"], signed=given["hosts"]
        )
        return self._tell(cluster)

    @extend_schema(
        parameters=[NAME], request=shapes.UploadSerializer, responses={200: shapes.CertificateSerializer(many=True)}
    )
    @action(detail=True, methods=["post"], url_path="certificates/upload", pagination_class=None)
    def upload_certificates(self, request: Request, name: str) -> Response:
        """Ready-made certificates with their keys; everything wrong with them is said at once."""
        cluster, given = self.get_object(), self.written(shapes.UploadSerializer)
        certificates.upload_certificates(
            by=asker(request),
            cluster=cluster,
            authority=given["authority"],
            pairs=_pairs(given["hosts"]),
            clients=_pairs(given.get("clients") or {}),
            entrance=_pair(given["entrance"]) if given.get("entrance") else None,
            entrance_authority=given.get("entrance_authority", ""),
        )
        return self._tell(cluster)

    def _tell(self, cluster: Cluster) -> Response:
        rows = Certificate.objects.filter(cluster=cluster).exclude(state=Certificate.State.REPLACED)
        return Response(shapes.CertificateSerializer(rows, many=True).data, status=status.HTTP_200_OK)


def _pair(given: dict[str, Any]) -> Pair:
    return Pair(given["certificate"], given["key"])


def _pairs(given: dict[str, Any]) -> dict[str, Pair]:
    return {name: _pair(pair) for name, pair in given.items()}
