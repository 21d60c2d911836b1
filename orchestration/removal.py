"""Takes a deployment away with all its rows; whether it may go is decided in deployments."""

from __future__ import annotations

from django.db import transaction

from accounts.actors import Actor
from inventory.deployments import delete_deployment
from orchestration.models import LocalDeployment


def remove_rows(*, by: Actor, local: LocalDeployment) -> None:
    """With its nodes, instances, executions and events."""
    with transaction.atomic():
        deployment = local.deployment
        local.delete()
        delete_deployment(by=by, deployment=deployment)
