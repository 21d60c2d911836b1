"""Dependencies between deployments on the wire: read; what makes and ends them is the deployments themselves."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from inventory.models import Deployment
from orchestration.dependency_models import Dependency
from orchestration.dependency_reads import USED_BY, USES, Edge, count_above, neighbours
from orchestration.errors import Refused, bad_parameters
from orchestration.wire.listing import envelope, find, listed, read_page
from orchestration.wire.shapes import Field, Shape, column, owned, time
from orchestration.wire.views import WireView

DEPENDENCY = Shape(
    "InterDeploymentDependencies",
    {
        "created_at": time("created_at"),
        "id": Field(lambda row: str(row.pk), "pk"),
        "visibility": column("source__visibility"),
        "dependency_creator": column("creator"),
        "source_deployment_id": column("source__wire_id"),
        "target_deployment_id": column("target__wire_id"),
        "target_deployment_func": Field(lambda row: None),
        "external_source": Field(lambda row: None),
        "external_target": column("external_target"),
        **owned("source__tenant__name", "source__visibility"),
    },
)
DERIVED = (
    "Dependencies are kept by this manager itself: get_capability, components and shared resources of a deployment make them, "
    "and they end with it. Change the blueprint, or remove the deployment that depends."
)


class Dependencies(WireView):
    """GET /deployments/inter-deployment-dependencies; writing is refused in words."""

    needs = {"GET": "deployment.view", **dict.fromkeys(("PUT", "POST", "DELETE"), "deployment.change")}
    resource = "inter_deployment_dependency"

    def get(self, request: Request) -> Response:
        """As visible as the deployment that depends."""
        return listed(self.visible(Dependency.objects.all(), "source__"), request.query_params, DEPENDENCY)

    def refuse(self, request: Request, **kwargs: Any) -> Response:
        """400 with the reason."""
        raise Refused(400, "illegal_action_error", DERIVED)

    put = post = delete = refuse


class Neighbours(WireView):
    """GET /deployments/ID/dependencies: what a deployment uses and what uses it, directly; the page of them for programs."""

    needs = {"GET": "deployment.view"}
    resource = "inter_deployment_dependency"

    def get(self, request: Request, wire_id: str) -> Response:
        """`direction`: `uses` or `used_by`; without it both. Those that the caller may not see are a number."""
        direction = request.query_params.get("direction", "")
        if direction not in ("", USES, USED_BY):
            raise bad_parameters(f"direction is `{direction}`: write {USES} or {USED_BY}, or leave it out for both.")
        row = find(self.visible(Deployment.objects.all()), "Deployment", wire_id)
        found = neighbours(row, self.user, self.tenant)
        page = read_page(request.query_params)
        edges = [one for one in found.edges if direction in ("", one.direction)]
        reply = envelope([told(one) for one in page.cut(edges)], len(edges), page)
        reply.data["metadata"] |= {"hidden": found.hidden, "needed_by": count_above(row)}
        return reply


def told(edge: Edge) -> dict[str, Any]:
    """One of them as the reply has it."""
    there = {"host": edge.host, "tenant": edge.tenant} if edge.host else None
    return {
        "direction": edge.direction,
        "kind": edge.kind,
        "deployment_id": edge.name,
        "tenant_name": edge.deployment.tenant.name if edge.deployment is not None else None,
        "deployment_status": edge.deployment.deployment_status if edge.deployment is not None else None,
        "external": there,
        "creators": list(edge.creators),
    }
