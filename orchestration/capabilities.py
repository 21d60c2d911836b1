"""Capabilities and outputs of deployments, evaluated now."""

from __future__ import annotations

from typing import Any

from inventory.models import Deployment, Environment
from orchestration.models import LocalDeployment

# What an environment exports, as the discovery blueprint of managers of managers does.
ENDPOINT, TENANT, PORT, PROTOCOL = (
    "cloudify_manager_endpoint",
    "cloudify_manager_tenant",
    "cloudify_manager_port",
    "cloudify_manager_protocol",
)


def names_of(deployment: Deployment) -> set[str]:
    """The names of what a deployment exports."""
    if deployment.kind == Deployment.Kind.ENVIRONMENT:
        return {ENDPOINT, TENANT, PORT, PROTOCOL}
    local = LocalDeployment.objects.filter(deployment=deployment).first()
    return set((local.plan or {}).get("capabilities") or {}) if local is not None else set()


def of_environment(deployment: Deployment) -> dict[str, Any]:
    """Where the remote manager of an environment answers."""
    environment = Environment.objects.select_related("sub_manager").filter(deployment=deployment).first()
    if environment is None:
        return {}
    return {
        ENDPOINT: environment.sub_manager.endpoint,
        TENANT: environment.remote_tenant,
        PORT: str(environment.sub_manager.port),
        PROTOCOL: environment.sub_manager.protocol,
    }
