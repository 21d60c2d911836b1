"""Steps of runs that look at environments."""

from __future__ import annotations

import dataclasses
from datetime import datetime

from inventory.models import Environment
from inventory.probing import probe
from runs.operations import Context, Operation, OperationError, operation

PROBE_SECONDS = 20.0


@operation("environment.probe")
@dataclasses.dataclass(frozen=True)
class ProbeEnvironment(Operation):
    """Know how an environment is, as of `since` (ISO time) or later; fails where services cannot be put there now."""

    environment_id: int
    name: str
    since: str
    is_batchable = True

    def describe(self) -> str:
        return f"Check the connection to {self.name}"

    def check(self, context: Context) -> bool:
        environment = self._environment()
        is_fresh = environment.last_probe_at is not None and environment.last_probe_at >= datetime.fromisoformat(
            self.since
        )
        if is_fresh:
            self._judge(environment)
        return is_fresh

    def apply(self, context: Context) -> None:
        environment = self._environment()
        probe(environment, cap_seconds=PROBE_SECONDS)
        if environment.state == Environment.State.DEGRADED:
            context.say(environment.why, kind="warning")

    def _environment(self) -> Environment:
        try:
            return Environment.objects.for_connecting().select_related("deployment").get(pk=self.environment_id)
        except Environment.DoesNotExist:
            raise OperationError(f"{self.name} is no environment any more: it was removed.", cause="gone") from None

    def _judge(self, environment: Environment) -> None:
        if environment.state not in (Environment.State.READY, Environment.State.DEGRADED):
            raise OperationError(environment.why, cause=environment.state)
