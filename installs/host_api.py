"""The part of /api/v1/clusters/<name>/ that speaks of hosts."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.revisions import seen_by, tag_of
from installs import serializers as shapes
from installs.describing import read_access, read_host
from installs.forgetting import take_out
from installs.host_keys import look_at_host_key
from inventory import cluster_hosts, editable
from inventory.models import Cluster, ClusterNode
from inventory.named import IF_MATCH, NAME, Named, asker

HOST = OpenApiParameter("host", OpenApiTypes.STR, OpenApiParameter.PATH, description="Name of the host")
FORCE = OpenApiParameter("force", OpenApiTypes.BOOL, description="Forget it, also where something runs on it")
ONE = "hosts/(?P<host>[^/]+)"


def is_forced(request: Request) -> bool:
    return request.query_params.get("force", "").lower() in ("true", "1")


class HostActions(Named):
    """Hosts of one cluster."""

    @extend_schema(parameters=[NAME], responses=shapes.HostSerializer(many=True), filters=False)
    @action(detail=True, methods=["get"], pagination_class=None)
    def hosts(self, request: Request, name: str) -> Response:
        """The cluster's hosts in their order."""
        return Response(shapes.HostSerializer(self.get_object().nodes.all(), many=True).data)

    @extend_schema(parameters=[NAME], request=shapes.HostInSerializer, responses={201: shapes.ClusterDetailSerializer})
    @hosts.mapping.post
    def add_host(self, request: Request, name: str) -> Response:
        """Add a host; what that makes of the layout stands in the reply's findings."""
        cluster = self.get_object()
        given = self.written(shapes.HostInSerializer)
        node = cluster_hosts.add_host(
            by=asker(request), cluster=cluster, host=read_host(given), access=read_access(given)
        )
        if given.get("host_key"):
            cluster_hosts.trust_host_key(by=asker(request), node=node, public_key=given["host_key"])
        return self.tell_cluster(cluster, status.HTTP_201_CREATED)

    @extend_schema(parameters=[NAME, HOST], responses=shapes.HostSerializer)
    @action(detail=True, methods=["get"], url_path=ONE)
    def host(self, request: Request, name: str, host: str) -> Response:
        """One host."""
        node = self.the_host(host)
        return Response(shapes.HostSerializer(node).data, headers={"ETag": tag_of(editable.of_host(node))})

    @extend_schema(
        parameters=[NAME, HOST, IF_MATCH], request=shapes.HostInSerializer, responses=shapes.ClusterDetailSerializer
    )
    @host.mapping.patch
    def change_host(self, request: Request, name: str, host: str) -> Response:
        """Change a host; what is not named stays."""
        node = self.the_host(host)
        given = self.written(shapes.HostInSerializer, partial=True)
        access = read_access(given, {"ssh_user": node.ssh_user})
        cluster_hosts.change_host(
            by=asker(request),
            node=node,
            host=read_host(given, node.host()),
            access=access,
            seen=seen_by(request.headers),
        )
        if given.get("host_key"):
            cluster_hosts.trust_host_key(by=asker(request), node=node, public_key=given["host_key"])
        return self.tell_cluster(node.cluster)

    @extend_schema(parameters=[NAME, HOST, FORCE], request=None, responses={200: shapes.ForgottenSerializer, 204: None})
    @host.mapping.delete
    def remove_host(self, request: Request, name: str, host: str) -> Response:
        """Take a host out of the description. 409 where it is installed; `force` forgets it, and 200 tells what remains to be done."""
        remaining = take_out(by=asker(request), node=self.the_host(host), is_forced=is_forced(request))
        if remaining:
            detail = "Forgotten, not removed: switch it off, then plan changes, which has the others let it go, or run these commands."
            return Response(shapes.ForgottenSerializer({"detail": detail, "remains": remaining}).data)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(parameters=[NAME, HOST], request=None, responses={200: shapes.HostKeySerializer})
    @action(detail=True, methods=["post"], url_path=f"{ONE}/look-at-key")
    def look_at_key(self, request: Request, name: str, host: str) -> Response:
        """Ask the host for its key, to compare and trust; nobody signs in."""
        return Response(shapes.HostKeySerializer(look_at_host_key(self.the_host(host))).data)

    @extend_schema(parameters=[NAME, HOST], request=shapes.TrustSerializer, responses={200: shapes.HostKeySerializer})
    @action(detail=True, methods=["post"], url_path=f"{ONE}/trust-key")
    def trust_key(self, request: Request, name: str, host: str) -> Response:
        """Trust a key that the host showed, by fingerprint, or a whole key that is known from elsewhere."""
        node, given = self.the_host(host), self.written(shapes.TrustSerializer)
        if not given.get("fingerprint") and not given.get("public_key"):
            raise ValidationError(
                {"fingerprint": "Name the fingerprint that you compared, or give the whole public key."}
            )
        key = cluster_hosts.trust_host_key(by=asker(request), node=node, **given)
        return Response(shapes.HostKeySerializer(key).data)

    def the_host(self, name: str) -> ClusterNode:
        """The host of that name, or id, in the cluster of the address."""
        cluster: Cluster = self.get_object()
        for node in cluster.nodes.all():
            if name in (node.name, str(node.pk)):
                return node
        raise NotFound(f"{cluster.name} has no host {name}. Check the spelling.")

    def tell_cluster(self, cluster: Cluster, code: int = status.HTTP_200_OK) -> Response:
        raise NotImplementedError
