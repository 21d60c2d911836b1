"""Shared resources: deployments of others that are read and used, never made and never taken away."""

from __future__ import annotations

from inventory import driver
from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.manager import ManagerClient
from orchestration import dependencies
from orchestration.components_looks import ComponentLooks
from orchestration.components_workflow import RunWorkflow
from orchestration.runner_types import Look


class ConnectDeployment(ComponentLooks):
    """Find the deployment there, and read what it offers."""

    def fault(self) -> str:
        return (
            "" if self.deployment.get("id") else "A shared resource names a deployment: resource_config.deployment.id."
        )

    def step(self, client: ManagerClient) -> Look:
        if driver.survey(client, self.deployment_id).deployment is None:
            raise ManagerError(
                ErrorKind.GONE,
                f"There is no deployment {self.deployment_id} there to share. Check its id, tenant and manager.",
            )
        dependencies.note_component(
            self.execution, dependencies.SHARED, self.subject.instance_id, self.deployment_id, self.client_block
        )
        offered = client.capabilities(self.deployment_id)
        return Look(is_done=True, properties={"deployment": {"id": self.deployment_id}, "capabilities": offered})


class DisconnectDeployment(ComponentLooks):
    """Forget it; at the other side nothing changes."""

    def look(self) -> Look:
        """Nobody is asked."""
        dependencies.forget_component(self.execution, dependencies.SHARED, self.subject.instance_id)
        return Look(is_done=True, properties={"deployment": None, "capabilities": None})


class RunOnShared(RunWorkflow):
    """Have a workflow of the shared deployment run when something is connected to it, or let go of."""

    def step(self, client: ManagerClient) -> Look:
        if not self.subject.inputs.get("workflow_id"):
            return Look(is_done=True)  # the relationship alone asks for nothing
        return super().step(client)
