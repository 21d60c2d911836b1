"""The end of an install that was asked to make an environment: the new cluster is one of this portal's, by the name it has."""

from __future__ import annotations

import dataclasses

from django.core.exceptions import ValidationError

from accounts.actors import Actor
from accounts.errors import Conflict
from installs.offering import environment_of, expose_cluster
from inventory.models import Cluster
from runs.models import Run
from runs.operations import Context, Later, Operation, OperationError, operation


@operation("cluster.expose")
@dataclasses.dataclass(frozen=True)
class ExposeCluster(Operation):
    """Have the cluster as an environment, in the name of whoever started the run."""

    cluster: int

    def describe(self) -> str:
        return "Use the cluster as an environment"

    def check(self, context: Context) -> bool | Later:
        return environment_of(self._cluster()) is not None

    def apply(self, context: Context) -> Later | None:
        started_by = Run.objects.select_related("started_by").get(pk=context.run_id).started_by
        try:
            environment = expose_cluster(by=Actor(started_by, f"run R-{context.run_id}"), cluster=self._cluster())
        except (Conflict, ValidationError) as error:
            said = " ".join(error.messages) if isinstance(error, ValidationError) else str(error)
            raise OperationError(
                f"{said} The cluster itself is ready. Put that right, then resume.", cause="expose"
            ) from None
        context.say(f"The environment {environment} is there.")
        return None

    def _cluster(self) -> Cluster:
        cluster = Cluster.objects.filter(pk=self.cluster).select_related("tenant", "site").first()
        if cluster is None:
            raise OperationError("This cluster is not there any more; no environment was made.", cause="gone")
        return cluster
