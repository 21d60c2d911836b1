"""The steps of a rollout at one target, each on top of the driver: push, make, install, read back, remove."""

from __future__ import annotations

import dataclasses
import io
from typing import ClassVar

from deployon.alterations import INSTALL_SECONDS, RunWorkflow, UpdateDeployment
from deployon.clearing import RemoveStray  # noqa: F401  (registers its operation)
from deployon.models import Placement, Rollout, ServiceVersion, Target
from deployon.steps import TargetStep
from deployon.work import Work, archive_bytes
from inventory import driver
from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.manager import ManagerClient
from runs.operations import Context, Later, Operation, OperationError, operation

# Targets whose deployment this process has just made: nothing else can run on it, which saves a request. Lost: it is looked at.
_JUST_MADE: set[int] = set()


@operation("placement.push_blueprint")
@dataclasses.dataclass(frozen=True)
class PushBlueprint(TargetStep):
    """Have the blueprint of the version at the sub-manager: pushed, or found where it is present already."""

    def describe(self) -> str:
        return f"Push the blueprint of {self.what} to {self.where}"

    def is_known(self, work: Work) -> bool:
        return work.placement.remote_blueprint == work.order.blueprint_id

    def look(self, context: Context, work: Work, client: ManagerClient) -> bool | Later:
        try:
            return isinstance(driver.check_blueprint(client, work.order.blueprint_id), driver.Done)
        except ManagerError as error:
            if error.kind in (ErrorKind.GONE, ErrorKind.INPUT):
                return False
            raise

    def act(self, context: Context, work: Work, client: ManagerClient) -> driver.Done | driver.NotYet:
        work.begin(context, Placement.State.DEPLOYING)
        version = work.version
        if version.source == ServiceVersion.Source.PRESENT:
            return driver.check_blueprint(client, work.order.blueprint_id)
        looks = context.memory.get("looks", 0)
        context.memory["asked"] = True
        return driver.push_blueprint(
            client,
            work.order.blueprint_id,
            lambda: io.BytesIO(archive_bytes(str(version.archive_id))),
            version.main_file,
            looks=looks,
        )

    def finish(self, context: Context, work: Work, client: ManagerClient, done: driver.Done) -> None:
        if not work.placement.actual_digest:  # else it stands on another one until the update has ended
            work.note(context, remote_blueprint=done.remote_id)


@operation("placement.ensure_deployment")
@dataclasses.dataclass(frozen=True)
class EnsureDeployment(TargetStep):
    """Have the deployment there with these inputs; another one under its id is left alone."""

    def describe(self) -> str:
        return f"Create the deployment of {self.what} on {self.where}"

    def is_known(self, work: Work) -> bool:
        return bool(work.placement.actual_digest)

    def look(self, context: Context, work: Work, client: ManagerClient) -> bool | Later:
        found = driver.check_deployment(client, work.order)
        if isinstance(found, driver.Differs):
            work.failed(context, found.reason, differs=True)
            raise OperationError(found.reason, cause="differs")
        return isinstance(found, driver.Done)

    def act(self, context: Context, work: Work, client: ManagerClient) -> driver.Done | driver.NotYet | driver.Differs:
        work.begin(context, Placement.State.DEPLOYING)
        context.memory["asked"] = True
        return driver.ensure_deployment(client, work.order, looks=context.memory.get("looks", 0), settle=False)

    def finish(self, context: Context, work: Work, client: ManagerClient, done: driver.Done) -> None:
        work.note(
            context,
            remote_deployment=done.remote_id,
            actual_digest=work.version.content_digest,
            actual_inputs_hash=work.order.inputs_hash,
        )
        if done.is_new:
            _JUST_MADE.add(self.target)


@operation("placement.ensure_installed")
@dataclasses.dataclass(frozen=True)
class EnsureInstalled(TargetStep):
    """Have it installed: started, or followed where an install runs there already."""

    seconds: ClassVar[float] = INSTALL_SECONDS
    workflow: ClassVar[str] = "install"

    def describe(self) -> str:
        return f"Install {self.what} on {self.where}"

    def is_known(self, work: Work) -> bool:
        return self.target not in _JUST_MADE and work.placement.state == Placement.State.DEPLOYED

    def look(self, context: Context, work: Work, client: ManagerClient) -> bool | Later:
        return driver.survey(client, work.order.deployment_id).situation == driver.Situation.INSTALLED

    def act(self, context: Context, work: Work, client: ManagerClient) -> driver.Done | driver.NotYet | driver.Failed:
        work.begin(context, Placement.State.DEPLOYING)
        memory = context.memory
        is_new = self.target in _JUST_MADE and not memory.get("asked")
        _JUST_MADE.discard(self.target)
        memory["asked"] = True
        return driver.ensure_installed(
            client,
            work.order.deployment_id,
            execution_id=memory.get("execution", ""),
            is_new=is_new,
            looks=memory.get("looks", 0),
        )


@operation("placement.read_back")
@dataclasses.dataclass(frozen=True)
class ReadBack(TargetStep):
    """Keep what the service offers there, and how the sub-manager sees it."""

    is_last: ClassVar[bool] = True

    def describe(self) -> str:
        return f"Read back what {self.what} offers on {self.where}"

    def check(self, context: Context) -> bool | Later:
        if context.memory.get("done"):
            return True
        return Work.of(self.target, context).placement.state == Placement.State.DEPLOYED

    def act(self, context: Context, work: Work, client: ManagerClient) -> driver.Done | driver.NotYet:
        work.deployed(context, driver.read_back(client, work.order.deployment_id))
        return driver.Done(work.order.deployment_id)


@operation("placement.look_after")
@dataclasses.dataclass(frozen=True)
class LookAfter(ReadBack):
    """Keep what the service offers after a change, and how the sub-manager sees it."""

    def check(self, context: Context) -> bool | Later:
        return bool(context.memory.get("done"))


@operation("placement.remove")
@dataclasses.dataclass(frozen=True)
class Remove(TargetStep):
    """Uninstall it, delete its deployment there, and its blueprint where nobody else uses it."""

    is_last: ClassVar[bool] = True
    seconds: ClassVar[float] = INSTALL_SECONDS
    workflow: ClassVar[str] = "uninstall"

    def describe(self) -> str:
        return f"Uninstall {self.what} from {self.where}"

    def check(self, context: Context) -> bool | Later:
        return (
            bool(context.memory.get("done"))
            or not Target.objects.filter(pk=self.target, placement__isnull=False).exists()
        )

    def act(
        self, context: Context, work: Work, client: ManagerClient
    ) -> driver.Done | driver.NotYet | driver.Differs | driver.Failed:
        work.begin(context, Placement.State.REMOVING)
        context.memory["asked"] = True
        is_pushed = work.version.source == ServiceVersion.Source.PUSHED
        return driver.remove(
            client,
            work.placement.remote_deployment or work.order.deployment_id,
            service=work.version.service.name,
            blueprint_id=work.placement.remote_blueprint if is_pushed else "",
            execution_id=context.memory.get("execution", ""),
            looks=context.memory.get("looks", 0),
        )

    def finish(self, context: Context, work: Work, client: ManagerClient, done: driver.Done) -> None:
        context.say(done.detail)
        work.removed(context)


STEPS: dict[str, tuple[type[TargetStep], ...]] = {
    Target.Intent.CREATE: (PushBlueprint, EnsureDeployment, EnsureInstalled, ReadBack),
    Target.Intent.UPDATE: (PushBlueprint, UpdateDeployment, LookAfter),
    Target.Intent.RUN: (RunWorkflow, LookAfter),
    Target.Intent.REMOVE: (Remove,),
}


def steps_for(rollout: Rollout, target: Target, where: str) -> list[Operation]:
    """What is done at one target, in order."""
    what = f"{rollout.workflow} of {rollout.version}" if rollout.workflow else str(rollout.version)
    return [step(target.pk, what, where) for step in STEPS[target.intent]]
