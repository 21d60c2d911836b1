"""Workflows of a component's deployment at the other side: install at its start, uninstall at its stop, and what it offers then."""

from __future__ import annotations

import time
from typing import Any

from inventory import driver
from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.manager import ManagerClient
from inventory.driver import Done, Failed, NotYet, Situation
from orchestration import dependencies
from orchestration.components_looks import ComponentLooks, words_of
from orchestration.models import Execution
from orchestration.runner_types import Look, Row

TIMEOUT = 1800.0
UNINSTALL = "uninstall"
EVENTS_AT_ONCE = 200


class RunWorkflow(ComponentLooks):
    """Have a workflow run there to its end; then read what the deployment offers."""

    def __init__(self, execution: Execution) -> None:
        super().__init__(execution)
        self._began = time.monotonic()
        self._events_read = 0

    def fault(self) -> str:
        if not isinstance(self.start_arguments, dict) or not isinstance(self.parameters, dict):
            return "The parameters of the workflow map names to values. Correct them in the blueprint."
        known = self.known.get("execution") or {}
        if known.get("by") == str(self.execution.pk) and known.get("workflow") == self.workflow:
            self.remote_execution = str(known.get("id") or "")  # caught in the middle: it is followed, not begun again
        return ""

    @property
    def workflow(self) -> str:
        """Which one: as it is said, else what the operation is for."""
        said = self.subject.inputs.get("workflow_id")
        return str(said or (UNINSTALL if self.subject.operation.endswith((".stop", ".delete")) else "install"))

    @property
    def parameters(self) -> Any:
        return self.subject.inputs.get("parameters") or self.start_arguments.get("parameters") or {}

    @property
    def timeout(self) -> float:
        try:
            return float(self.subject.inputs.get("timeout") or TIMEOUT)
        except (TypeError, ValueError):
            return TIMEOUT

    def step(self, client: ManagerClient) -> Look:
        if self.workflow == UNINSTALL and (self.is_external or not self.is_installed(client)):
            return Look(is_done=True)
        if self.workflow == UNINSTALL:  # it is this component itself that takes it away now
            dependencies.forget_component(self.execution, dependencies.COMPONENT, self.subject.instance_id)
        before = self.remote_execution
        found = self.ensure(client)
        if isinstance(found, NotYet):
            if time.monotonic() - self._began > self.timeout:
                return Look(error=self._out_of_time(found))
            look = self.wait(found, self._remembered(before, found))
            self.read_events(client)
            return look
        if isinstance(found, Done) and found.detail and "-" in found.detail:
            self.remote_execution = found.detail
        self.read_events(client)
        if isinstance(found, Failed):
            return Look(
                error=f"The {self.workflow} of {self.deployment_id} {found.status or 'failed'} there. {words_of(found)}"
            )
        properties: Row = {"execution": None}
        if self.workflow != UNINSTALL:
            properties["capabilities"] = client.capabilities(self.deployment_id)
        return Look(is_done=True, properties=properties)

    def ensure(self, client: ManagerClient) -> Done | NotYet | Failed:
        """One look at the workflow."""
        if self.workflow == "install" and not self.parameters:
            return driver.ensure_installed(
                client, self.deployment_id, execution_id=self.remote_execution, looks=self.looks
            )
        return driver.run_workflow(
            client,
            self.deployment_id,
            self.workflow,
            self.parameters,
            execution_id=self.remote_execution,
            looks=self.looks,
        )

    def is_installed(self, client: ManagerClient) -> bool:
        """Is there something to uninstall, or is that under way?"""
        if self.remote_execution:
            return True
        found = driver.survey(client, self.deployment_id)
        if found.situation in (Situation.ABSENT, Situation.CREATION_FAILED, Situation.NOT_INSTALLED):
            return False
        latest = found.deployment
        is_done = latest is not None and latest.latest_workflow == UNINSTALL and latest.latest_status == "completed"
        return not is_done

    def read_events(self, client: ManagerClient) -> None:
        """Copy what its execution told since the last look into this execution's own log."""
        if not self.remote_execution or self.deployment.get("logs") is False:
            return
        try:
            page = client.events(self.remote_execution, offset=self._events_read, size=EVENTS_AT_ONCE)
        except ManagerError:
            return  # the workflow itself is what counts
        self._events_read += len(page.events)
        self.said += [(event.level or "info", f"[{self.deployment_id}] {event.message}") for event in page.events]

    def _remembered(self, before: str, found: NotYet) -> Row | None:
        if not found.execution_id or found.execution_id == before:
            return None
        return {"execution": {"id": found.execution_id, "workflow": self.workflow, "by": str(self.execution.pk)}}

    def _out_of_time(self, found: NotYet) -> str:
        return (
            f"The {self.workflow} of {self.deployment_id} has not ended after {self.timeout:.0f} seconds. {found.why} It is left "
            "running there: resume this execution to go on waiting for it, or cancel it there."
        )


class Refresh(ComponentLooks):
    """Read anew what the deployment offers."""

    def step(self, client: ManagerClient) -> Look:
        return Look(is_done=True, properties={"capabilities": client.capabilities(self.deployment_id)})


class CheckStatus(ComponentLooks):
    """Is the deployment there, installed and well?"""

    def step(self, client: ManagerClient) -> Look:
        found = driver.survey(client, self.deployment_id).deployment
        if found is None:
            raise ManagerError(ErrorKind.GONE, f"Deployment {self.deployment_id} is not there any more.")
        if found.installation_status != "active" or found.deployment_status == "requires_attention":
            return Look(
                error=f"Deployment {self.deployment_id} is {found.installation_status} there and {found.deployment_status}."
            )
        return Look(is_done=True, result=found.deployment_status)
