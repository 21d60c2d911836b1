"""Capabilities and outputs of a deployment for people and clients, evaluated now."""

from __future__ import annotations

from typing import Any

from accounts.models import User
from inventory.models import Deployment
from orchestration.errors import Refused
from orchestration.gateway_functions import evaluated
from orchestration.runner_types import BlueprintProblem, RunnerError
from orchestration.supervisor import supervisor


def section_of(deployment: Deployment, of: str, user: User | None) -> dict[str, Any]:
    """`capabilities` or `outputs` as {name: value}; Refused where they cannot be evaluated."""
    try:
        return evaluated(deployment, of, supervisor.host, user, is_reading=True)
    except (BlueprintProblem, RunnerError) as problem:
        raise Refused(400, f"deployment_{of}_evaluation_error", str(problem)) from None
