"""Takes a deployment away with all its rows; whether it may go is decided in deployments."""

from __future__ import annotations

from django.db import transaction

from accounts.actors import Actor
from inventory.deployments import delete_deployment
from inventory.hiding import conceal, detach_children
from orchestration.exposed import environment_of
from orchestration.models import LocalDeployment


def remove_rows(*, by: Actor, local: LocalDeployment, force: bool = False) -> None:
    """With its nodes, instances, executions and events. Conflict names what stands on it, which `force` detaches."""
    with transaction.atomic():
        deployment = local.deployment
        environment = environment_of(deployment)
        if environment is not None:
            conceal(by=by, environment=environment, force=force)
        if force:
            detach_children(by=by, deployment=deployment)
        LocalDeployment.objects.filter(pk=local.pk).delete()  # so that the row given keeps its id when this is undone
        delete_deployment(by=by, deployment=deployment)
