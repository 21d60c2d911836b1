"""Capabilities and outputs of a deployment, evaluated now from the runtime properties of its instances."""

from __future__ import annotations

from typing import Any

from inventory.models import Deployment
from orchestration.capabilities import of_environment
from orchestration.errors import Refused
from orchestration.gateway_store import DeploymentStorage
from orchestration.models import LocalDeployment
from orchestration.runner_gateway import has_functions
from orchestration.runner_types import BlueprintProblem, RunnerError
from orchestration.supervisor import supervisor


def capabilities_of(deployment: Deployment) -> dict[str, Any]:
    """{name: value}; {} before the environment is created."""
    if deployment.kind == Deployment.Kind.ENVIRONMENT:
        return of_environment(deployment)
    return evaluated(deployment, "capabilities")


def outputs_of(deployment: Deployment) -> dict[str, Any]:
    """{name: value}; {} before the environment is created."""
    return evaluated(deployment, "outputs")


def evaluated(deployment: Deployment, of: str) -> dict[str, Any]:
    """A section of the plan with its functions evaluated in the runner, under limits; Refused where that fails."""
    local = LocalDeployment.objects.select_related("deployment__tenant", "blueprint").defer("blueprint__plan").filter(deployment=deployment).first()
    section = (local.plan or {}).get(of) if local is not None else None
    if local is None or not section:
        return {}
    if not has_functions(section):
        return {name: entry.get("value") for name, entry in section.items()}
    try:
        found = supervisor.host.evaluate(of, section, None, DeploymentStorage(local))
    except (BlueprintProblem, RunnerError) as problem:
        raise Refused(400, f"deployment_{of}_evaluation_error", str(problem)) from None
    return dict(found)
