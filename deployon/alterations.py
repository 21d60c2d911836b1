"""The steps of a rollout that change what stands at a target: an update, and any workflow of the service."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from deployon.models import Placement
from deployon.steps import TargetStep
from deployon.work import Work
from inventory import driver
from inventory.connectors.manager import ManagerClient
from runs.operations import Context, Later, operation

INSTALL_SECONDS = 2 * 3600.0  # the limit of what runs at a sub-manager


@operation("placement.update_deployment")
@dataclasses.dataclass(frozen=True)
class UpdateDeployment(TargetStep):
    """Have what stands there changed to this version and these inputs, by an update of the sub-manager."""

    seconds: ClassVar[float] = INSTALL_SECONDS
    workflow: ClassVar[str] = "update"

    def describe(self) -> str:
        return f"Update {self.what} on {self.where}"

    def is_known(self, work: Work) -> bool:
        return work.placement.actual_digest == work.version.content_digest

    def look(self, context: Context, work: Work, client: ManagerClient) -> bool | Later:
        seen = driver.survey(client, work.order.deployment_id, work.order)
        return seen.situation is driver.Situation.INSTALLED and not seen.differences

    def act(
        self, context: Context, work: Work, client: ManagerClient
    ) -> driver.Done | driver.NotYet | driver.Differs | driver.Failed:
        work.begin(context, Placement.State.DEPLOYING, "update")
        memory = context.memory
        memory["asked"] = True
        return driver.update_deployment(
            client, work.order, execution_id=memory.get("execution", ""), looks=memory.get("looks", 0)
        )

    def finish(self, context: Context, work: Work, client: ManagerClient, done: driver.Done) -> None:
        work.note(
            context,
            remote_deployment=done.remote_id,
            remote_blueprint=work.order.blueprint_id,
            actual_digest=work.version.content_digest,
            actual_inputs_hash=work.order.inputs_hash,
        )


@operation("placement.run_workflow")
@dataclasses.dataclass(frozen=True)
class RunWorkflow(TargetStep):
    """Have a workflow of the service run once where it stands; what it stands for stays as it is."""

    seconds: ClassVar[float] = INSTALL_SECONDS

    def describe(self) -> str:
        return f"Run the workflow of {self.what} on {self.where}"

    def act(self, context: Context, work: Work, client: ManagerClient) -> driver.Done | driver.NotYet | driver.Failed:
        work.begin(context, work.placement.state, work.workflow.name)
        memory = context.memory
        memory["asked"] = True
        return driver.run_workflow(
            client,
            work.placement.remote_deployment or work.order.deployment_id,
            work.workflow.name,
            work.workflow.parameters,
            execution_id=memory.get("execution", ""),
            looks=memory.get("looks", 0),
        )
