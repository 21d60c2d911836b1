"""Dependencies between deployments on the wire: read; what makes and ends them is the deployments themselves."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from orchestration.dependency_models import Dependency
from orchestration.errors import Refused
from orchestration.wire.listing import listed
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
