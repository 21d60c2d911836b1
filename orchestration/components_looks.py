"""What the operations of components have in common: their configuration, troubles on the way, a cancel that reaches the other side."""

from __future__ import annotations

import time
from typing import Any

from django.db import connection

from inventory import driver
from inventory.connectors.errors import ManagerError
from inventory.connectors.manager import ManagerClient
from inventory.driver import Differs, Failed, NotYet
from inventory.driver.waiting import poll_delay
from orchestration.components_client import connect
from orchestration.models import Execution
from orchestration.runner_types import Look, Row, Subject

PATIENCE = 300.0  # seconds of trouble that may pass by itself before it counts
CANCELLED = "The operation was cancelled."


class ComponentLooks:
    """One operation of one component or shared resource; subclasses say what a look does."""

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.looks = 0
        self.remote_execution = ""
        self.said: list[tuple[str, str]] = []
        self._cancel = self._cancel_sent = ""
        self._trouble_since: float | None = None

    # What it is about.

    def prepare(self, subject: Subject) -> str:
        """Take in what it is about; what is wrong with that, or ""."""
        self.subject = subject
        self.client_block = subject.inputs.get("client") or subject.properties.get("client") or {}
        config = subject.inputs.get("resource_config") or subject.properties.get("resource_config") or {}
        if not isinstance(config, dict):
            return "resource_config holds a blueprint and a deployment. Correct it in the blueprint."
        self.blueprint = section(config, "blueprint")
        self.deployment = section(config, "deployment")
        self.start_arguments = section(config, "executions_start_args")
        return self.fault()

    def fault(self) -> str:
        """What is wrong with the configuration, in words; or ""."""
        return ""

    @property
    def known(self) -> Row:
        """What the instance remembers of earlier operations."""
        return self.subject.runtime_properties

    @property
    def blueprint_id(self) -> str:
        """The id of the blueprint at the other side."""
        return str(self.blueprint.get("id") or self.subject.instance_id)

    @property
    def deployment_id(self) -> str:
        """The id of the deployment at the other side: as it was made, else as it is asked for."""
        made = (self.known.get("deployment") or {}).get("id")
        return str(made or self.deployment.get("id") or self.subject.instance_id)

    @property
    def owner(self) -> str:
        """By which the deployment is known again as this component's own."""
        local = self.execution.local
        return f"{self.execution.tenant.name}/{local.deployment.wire_id if local is not None else ''}"

    @property
    def is_external(self) -> bool:
        """Was the deployment there before, and is it somebody else's to remove?"""
        return is_set(self.deployment.get("external_resource"))

    # Looking.

    def look(self) -> Look:
        """One look; safe to repeat. Trouble that may pass is waited out for some minutes."""
        try:
            with connect(self.execution, self.client_block, self.said) as client:
                found = self._cancelled(client) if self._cancel else self.step(client)
            self._trouble_since = None
        except ManagerError as error:
            found = self._troubled(error)
        finally:
            if not connection.in_atomic_block:
                connection.close()
        self.looks += 1
        said, self.said = self.said, []
        return Look(found.is_done, found.error, found.wait, found.properties, [*said, *found.said], found.result)

    def step(self, client: ManagerClient) -> Look:
        """What is due now."""
        raise NotImplementedError

    def cancel(self, kind: str) -> None:
        """The next looks ask for an end at the other side, and wait for it."""
        self._cancel = kind

    def describe(self) -> str:
        """What goes on elsewhere if it is given up now."""
        if not self.remote_execution:
            return ""
        return f"Execution {self.remote_execution} of {self.deployment_id} was told to stop and may still run there"

    def _cancelled(self, client: ManagerClient) -> Look:
        if not self.remote_execution:
            return Look(error=CANCELLED)
        if self._cancel_sent != self._cancel:
            self._cancel_sent = self._cancel
            said = driver.cancel(client, self.remote_execution, self._cancel)
            told = [("info", said.words)]
            return Look(error=CANCELLED, said=told) if said.is_ended else Look(said=told)
        execution = client.execution(self.remote_execution)
        if execution.is_active:
            return Look(wait=1.0)
        return Look(error=f"{CANCELLED} Its {execution.workflow_id} ended there as {execution.status}.")

    def _troubled(self, error: ManagerError) -> Look:
        if not error.is_transient:
            return Look(error=error.message)
        now = time.monotonic()
        if self._trouble_since is None:
            self._trouble_since = now
            self.said.append(("warning", f"{error.message} It is tried again for {PATIENCE:.0f} seconds."))
        if now - self._trouble_since > PATIENCE:
            return Look(
                error=f"{error.message} That stayed so for {PATIENCE:.0f} seconds. Resume when it is well again."
            )
        return Look(wait=poll_delay(self.looks))

    def wait(self, found: NotYet, properties: Row | None = None) -> Look:
        """Not yet: remember which execution is followed there."""
        self.remote_execution = found.execution_id or self.remote_execution
        return Look(wait=found.seconds, properties=properties)


def section(config: Row, name: str) -> Row:
    """A part of the configuration."""
    found = config.get(name)
    return found if isinstance(found, dict) else {}


def is_set(value: Any) -> bool:
    """A flag of a blueprint, which may be text."""
    return value is True or str(value).strip().lower() in ("true", "yes", "1")


def words_of(found: Failed | Differs) -> str:
    """Why it cannot go on."""
    return found.error if isinstance(found, Failed) else found.reason
