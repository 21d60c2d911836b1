"""The names of what deployments export, before anything is evaluated."""

from __future__ import annotations

from inventory import capabilities
from inventory.models import Deployment
from orchestration.models import LocalDeployment


def names_of(deployment: Deployment) -> set[str]:
    """The names of what a deployment exports."""
    if capabilities.is_kept(deployment):
        return set(capabilities.read(deployment))
    local = LocalDeployment.objects.filter(deployment=deployment).first()
    return set((local.plan or {}).get("capabilities") or {}) if local is not None else set()
