"""The deployment of a component at the other side: made once, known again by its labels, taken away with its blueprint."""

from __future__ import annotations

from typing import Any

from inventory import driver
from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.manager import ManagerClient
from inventory.driver import Differs, Done, Failed, NotYet, Order
from orchestration import dependencies
from orchestration.components_looks import ComponentLooks, is_set, words_of
from orchestration.runner_types import Look

MOST_SUFFIXES = 10


class CreateDeployment(ComponentLooks):
    """Have the deployment there, with its inputs; one of somebody else under its id is left alone."""

    _suffix = -1

    def fault(self) -> str:
        if not isinstance(self.deployment.get("inputs") or {}, dict):
            return "resource_config.deployment.inputs maps names to values. Correct it in the blueprint."
        return ""

    @property
    def wanted_id(self) -> str:
        """With a number, where the plain id is taken and that was allowed."""
        plain = str(self.deployment.get("id") or self.subject.instance_id)
        return plain if self._suffix < 0 else f"{plain}-{self._suffix}"

    def order(self) -> Order:
        """What is wanted there."""
        return Order(
            deployment_id=self.wanted_id,
            blueprint_id=str((self.known.get("blueprint") or {}).get("id") or self.blueprint_id),
            service=self.owner,
            environment=self.subject.instance_id,
            run=str(self.execution.pk),
            inputs=self.deployment.get("inputs") or {},
            labels=labels_of(self.deployment.get("labels")),
        )

    def step(self, client: ManagerClient) -> Look:
        if self.is_external:
            if driver.survey(client, self.wanted_id).deployment is None:
                raise ManagerError(
                    ErrorKind.GONE,
                    f"There is no deployment {self.wanted_id} there, and this component does not make it (external_resource). "
                    "Create it there first, or correct its id.",
                )
            return self.made()
        found = driver.ensure_deployment(client, self.order(), looks=self.looks)
        if isinstance(found, NotYet):
            return self.wait(found)
        if isinstance(found, Differs):
            if is_set(self.deployment.get("auto_inc_suffix")) and self._suffix < MOST_SUFFIXES - 1:
                self._suffix += 1
                self.looks = -1  # a new id: the next look is the first one of it
                return Look(wait=0.0)
            return Look(
                error=f"Deployment {self.wanted_id} is there already. {words_of(found)} Choose another id, or set auto_inc_suffix."
            )
        return self.made()

    def made(self) -> Look:
        """It is there: who removes it is told that it is used."""
        dependencies.note_component(
            self.execution, dependencies.COMPONENT, self.subject.instance_id, self.wanted_id, self.client_block
        )
        return Look(is_done=True, properties={"deployment": {"id": self.wanted_id}})


class DeleteDeployment(ComponentLooks):
    """Take the deployment away, and its blueprint where nobody else uses it; what is not ours stays."""

    def step(self, client: ManagerClient) -> Look:
        dependencies.forget_component(self.execution, dependencies.COMPONENT, self.subject.instance_id)
        gone = {"deployment": None, "blueprint": None, "capabilities": None, "execution": None}
        if not self.known.get("deployment") or self.is_external:
            return Look(is_done=True, properties=gone)
        blueprint = self.known.get("blueprint") or {}
        is_external = is_set(self.blueprint.get("external_resource")) or not blueprint.get("is_ours", True)
        found: Done | NotYet | Differs | Failed = driver.remove(
            client,
            self.deployment_id,
            service=self.owner,
            blueprint_id="" if is_external else str(blueprint.get("id") or ""),
            execution_id=self.remote_execution,
            looks=self.looks,
        )
        if isinstance(found, NotYet):
            return self.wait(found)
        if isinstance(found, Failed):
            return Look(error=words_of(found))
        if isinstance(found, Differs):
            said = [("warning", f"Deployment {self.deployment_id} is left there. {words_of(found)}")]
            return Look(is_done=True, properties=gone, said=said)
        return Look(is_done=True, properties=gone, said=[("info", found.detail)] if found.detail else [])


def labels_of(given: Any) -> dict[str, str]:
    """Labels of the blueprint, [{key: value}] or {key: value}, as the wire of the driver takes them; of several values the last."""
    pairs: dict[str, str] = {}
    for entry in [given] if isinstance(given, dict) else given if isinstance(given, list) else []:
        if isinstance(entry, dict):
            for key, value in entry.items():
                pairs[str(key)] = str(value[-1] if isinstance(value, list) and value else value)
    return pairs
