"""Is a component's deployment at the other side as its blueprint wants it, and what brings it back; of a shared one only whether it is well."""

from __future__ import annotations

from inventory import driver
from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.manager import ManagerClient
from inventory.connectors.resources import Deployment
from inventory.driver import Differs, Done, Failed, NotYet, Situation
from orchestration.components_blueprint import UploadBlueprint
from orchestration.components_deployment import CreateDeployment
from orchestration.components_looks import words_of
from orchestration.runner_types import Look, Row

AT_WORK = (Situation.CREATING, Situation.INSTALLING, Situation.REMOVING, Situation.BUSY)
NOT_THERE = "It is not there any more"


class CheckDrift(CreateDeployment):
    """What differs there, as {in what: words}; {} where nothing does, or something is at work there. Never a value of an input."""

    is_shared = False

    @property
    def wanted_id(self) -> str:
        """The id under which it was made."""
        return self.deployment_id

    def step(self, client: ManagerClient) -> Look:
        found = driver.survey(client, self.deployment_id)
        if found.situation in AT_WORK:
            said = [("info", f"Something is at work on {self.deployment_id} there: it was not compared this time.")]
            return Look(is_done=True, result={}, said=said)
        drift = self.drift_of(found.situation, found.deployment)
        said = [("warning", f"{self.deployment_id} has drifted. {what}: {words}") for what, words in drift.items()]
        return Look(is_done=True, result=drift, said=said)

    def drift_of(self, situation: Situation, found: Deployment | None) -> Row:
        """In what it is not as wanted."""
        if found is None:
            return {"deployment": NOT_THERE}
        drift: Row = {}
        if situation is not Situation.INSTALLED:
            drift["installation"] = f"It is not installed there ({str(situation).replace('_', ' ')})"
        if not self.is_shared and not self.is_external and situation is not Situation.CREATION_FAILED:
            for each in driver.compare(found, self.order()):
                drift[each.what] = f"Other inputs there: {', '.join(each.names)}" if each.names else each.words
        if found.drifted_instances:
            drift["instances"] = f"{found.drifted_instances} of its instances have drifted there, by check_drift"
        return drift


class CheckSharedDrift(CheckDrift):
    """The same of a shared resource: it is somebody else's, so only whether it is there, installed and undrifted."""

    is_shared = True


class BringBlueprint(UploadBlueprint):
    """Before an update: the blueprint that is wanted is there. The one that it has stays as it was remembered."""

    def step(self, client: ManagerClient) -> Look:
        if (self.known.get("blueprint") or {}).get("id") == self.blueprint_id and not self._content:
            try:
                found = driver.check_blueprint(client, self.blueprint_id)
                return self.wait(found) if isinstance(found, NotYet) else Look(is_done=True)
            except ManagerError as error:
                if error.kind not in (ErrorKind.GONE, ErrorKind.INPUT):
                    raise
        return super().step(client)


class UpdateDeployment(CreateDeployment):
    """Bring the deployment there to the inputs and the blueprint that are wanted, and have it installed; made where it is gone."""

    _is_absent: bool | None = None
    _is_brought = False
    _is_updated = False

    @property
    def wanted_id(self) -> str:
        """The id under which it was made."""
        return self.deployment_id

    def step(self, client: ManagerClient) -> Look:
        if self.is_external:
            return Look(is_done=True, properties={"capabilities": client.capabilities(self.deployment_id)})
        if not self._is_brought:
            return self._bring(client)
        found = driver.ensure_installed(
            client, self.deployment_id, execution_id=self.remote_execution, looks=self.looks
        )
        if isinstance(found, NotYet):
            return self.wait(found)
        if isinstance(found, Failed):
            return Look(error=f"The install of {self.deployment_id} failed there. {words_of(found)}")
        return Look(is_done=True, properties={"capabilities": client.capabilities(self.deployment_id)})

    def _bring(self, client: ManagerClient) -> Look:
        if self._is_absent is None:
            there = driver.survey(client, self.deployment_id).deployment
            self._is_absent = there is None
            if there is not None and there.drifted_instances and there.latest_status != "in_progress":
                # An update without changes looks for what has drifted there, and sets it right.
                order = self.order()
                self.remote_execution = client.update_deployment(there.id, order.blueprint_id, order.inputs)
        if self._is_absent:
            look = super().step(client)
            return self._go_on(look.properties) if look.is_done else look
        found: Done | NotYet | Differs | Failed = driver.update_deployment(
            client,
            self.order(),
            execution_id=self.remote_execution,
            is_updated=self._is_updated,
            looks=self.looks,
        )
        if isinstance(found, NotYet):
            self._is_updated = self._is_updated or bool(found.execution_id)
            return self.wait(found)
        if isinstance(found, Failed):
            return Look(error=f"The update of {self.deployment_id} failed there. {words_of(found)}")
        if isinstance(found, Differs):
            return Look(error=f"{self.deployment_id} is not this component's any more. {words_of(found)}")
        return self._go_on(None)

    def _go_on(self, properties: Row | None) -> Look:
        """What follows has looks and an execution of its own."""
        self._is_brought, self.remote_execution, self.looks = True, "", -1
        return Look(wait=0.0, properties=properties)
