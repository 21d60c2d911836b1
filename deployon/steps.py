"""What the steps at a target have in common: one look a call, patience with blips, a limit to every wait, cancel that is told on."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

from deployon.places import wait_for_place
from deployon.sessions import is_outdated, open_many, session
from deployon.work import Work
from inventory import driver
from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.manager import ManagerClient
from runs.operations import Context, Later, Operation, OperationError

T = TypeVar("T")
FIRST_LOOK_SECONDS, LOOK_GROWTH, LONGEST_LOOK_SECONDS = 0.3, 1.5, 15.0
BLIP_SECONDS = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # back-off while a sub-manager does not answer or is busy
PATIENCE_AT_START = 10.0  # seconds of blips that are borne before anything was begun there
PATIENCE_IN_THE_MIDDLE = 300.0  # and after
CANCEL_GRACE_SECONDS = 30.0  # before a sharper way to cancel is taken
CANCEL_GIVE_UP_SECONDS = 150.0
PROGRESS_GAP_SECONDS = 0.5


class OutOfTime(ManagerError):
    """A wait passed its limit."""


@dataclasses.dataclass(frozen=True)
class TargetStep(Operation):
    """A step at one target. `target` is a Target's id; `what` and `where` are names for people."""

    target: int
    what: str
    where: str

    is_batchable: ClassVar[bool] = True
    seconds: ClassVar[float] = 900.0  # the limit of the whole wait
    is_last: ClassVar[bool] = False  # of the steps at a target
    workflow: ClassVar[str] = ""  # that it runs at the sub-manager, if any

    @classmethod
    def prepare(cls, begun: Sequence[tuple[Operation, Context]]) -> None:
        """Targets and connections that are not at hand are read together: that is half of what they cost one by one."""
        keys = [(step.target, context.run_id, context.run_attempt) for step, context in begun if isinstance(step, cls)]
        open_many({work.environment for work in Work.have(keys).values()})

    def look(self, context: Context, work: Work, client: ManagerClient) -> bool | Later:
        """Is it as wanted there? Asked only where our knowledge says that something is there."""
        return False

    def act(
        self, context: Context, work: Work, client: ManagerClient
    ) -> driver.Done | driver.NotYet | driver.Differs | driver.Failed:
        """One look of the driver at bringing it about."""
        raise NotImplementedError

    def is_known(self, work: Work) -> bool:
        """Whether, as far as we know, it is there already: only then is it worth a request to look first."""
        return False

    def finish(self, context: Context, work: Work, client: ManagerClient, done: driver.Done) -> None:
        """What is kept of it."""

    def check(self, context: Context) -> bool | Later:
        if context.memory.get("done"):
            return True
        work = Work.of(self.target, context)
        if not self.is_known(work):
            return False
        return self._meet(context, work, self.look)

    def apply(self, context: Context) -> Later | None:
        return self._meet(context, Work.of(self.target, context), self._act)

    def _meet(self, context: Context, work: Work, action: Callable[[Context, Work, ManagerClient], T]) -> T | Later:
        """Do `action` over a connection; blips become Later, everything else a failure with its kind as cause."""
        if waits := wait_for_place(context, work):
            return waits
        client: ManagerClient | None = None
        try:
            with session(work.environment) as client:
                outcome = action(context, work, client)
        except ManagerError as error:
            if error.kind is ErrorKind.CREDENTIAL and client and is_outdated(work.environment, client):
                return Later(0.0, "The credential was replaced a moment ago; the new one is tried.")
            return self._bear(context, work, error)
        context.memory.pop("blips", None)
        return outcome

    def _act(self, context: Context, work: Work, client: ManagerClient) -> Later | None:
        result = self.act(context, work, client)
        if isinstance(result, driver.Done):
            self.finish(context, work, client, result)
            context.memory["done"] = True
            if (
                not self.is_last and context.is_cancelled()
            ):  # the engine begins no other step, so nobody else would say so
                work.failed(context, "Cancelled before it was finished. Retry to go on, or uninstall what is there.")
            return None
        if isinstance(result, driver.Differs):
            work.failed(context, result.reason, differs=True)
            raise OperationError(result.reason, cause="differs")
        if isinstance(result, driver.Failed):
            work.failed(context, result.error)
            if result.detail and result.detail != result.error:
                context.say(result.detail, kind="warning")
            raise OperationError(result.error, cause=result.status if result.status == "cancelled" else "failed")
        return self._wait(context, work, result)

    def _wait(self, context: Context, work: Work, look: driver.NotYet) -> Later:
        memory = context.memory
        begun = memory.setdefault("begun_at", time.time())
        if time.time() - begun > self.seconds:
            raise OutOfTime(
                ErrorKind.BUSY,
                f"{look.why} That has lasted {self.seconds / 60:.0f} minutes, which is the limit. Look at it there, then retry.",
                status=400,
            )
        if look.error is not None:
            return self._blip(context, work, look.error, look.why)
        memory.pop("blips", None)
        if look.execution_id and look.execution_id != memory.get("execution"):
            memory["execution"] = look.execution_id
            memory["looks"] = 0
        self._tell_progress(context, work, look)
        looks = memory["looks"] = memory.get("looks", 0) + 1
        seconds = min(LONGEST_LOOK_SECONDS, FIRST_LOOK_SECONDS * LOOK_GROWTH ** min(looks - 1, 20))
        return Later(seconds if look.seconds else 0.0, look.why, deadline=self._deadline(context))

    def _tell_progress(self, context: Context, work: Work, look: driver.NotYet) -> None:
        memory, seen = context.memory, [look.finished, look.total, look.status]
        if not look.execution_id or memory.get("seen") == seen:
            return
        work.note_execution(context, look)
        memory["seen"], memory["looks"] = seen, 0  # it moves: look again soon
        if time.time() - memory.get("told_at", 0.0) >= PROGRESS_GAP_SECONDS:
            memory["told_at"] = time.time()
            context.say(look.why, kind="progress", finished=look.finished, total=look.total)

    def _bear(self, context: Context, work: Work, error: ManagerError) -> Later:
        if error.is_transient and not isinstance(error, OutOfTime):
            return self._blip(context, work, error, error.message)
        return self._fail(context, work, error)

    def _blip(self, context: Context, work: Work, error: ManagerError, why: str) -> Later:
        memory = context.memory
        count, since = memory.get("blips") or (0, time.time())
        has_begun = bool(memory.get("asked") or memory.get("execution") or work.placement.actual_digest)
        patience = PATIENCE_IN_THE_MIDDLE if has_begun else PATIENCE_AT_START
        if time.time() - since > patience:
            return self._fail(context, work, error)
        memory["blips"] = [count + 1, since]
        memory["looks"] = memory.get("looks", 0) + 1
        if count == 0:
            context.say(why, kind="warning")
        return Later(BLIP_SECONDS[min(count, len(BLIP_SECONDS) - 1)], why, deadline=self._deadline(context))

    def _deadline(self, context: Context) -> float:
        """Of the whole wait; the engine counts from the beginning of the step, which may have waited for a place first."""
        seconds: float = self.seconds + 60 + context.memory.get("queued", 0.0)
        return seconds

    def _fail(self, context: Context, work: Work, error: ManagerError) -> Later:
        work.failed(context, error.message)
        cause = "timeout" if isinstance(error, OutOfTime) else str(error.kind)
        raise OperationError(error.message, cause=cause) from None

    def cancel(self, context: Context) -> Later | None:
        """Tell the sub-manager to end what it runs for us, follow that to its end, and report what it said.

        It gives up by its own clock: a deadline of `Later` would count from the beginning of the step.
        """
        memory = context.memory
        work = Work.of(self.target, context)
        since = memory.setdefault("cancel_since", time.time())
        try:
            with session(work.environment) as client:
                said = self._tell_cancel(context, work, client)
        except ManagerError as error:
            if error.is_transient and time.time() - since < CANCEL_GIVE_UP_SECONDS:
                return Later(3.0, f"The sub-manager could not be told to cancel yet. {error.message}")
            said = f"Cancelled here, but the sub-manager could not be told: {error.message}"
        if isinstance(said, Later):
            return said
        context.say(said, kind="cancel")
        work.failed(context, said)
        return None

    def _tell_cancel(self, context: Context, work: Work, client: ManagerClient) -> str | Later:
        memory: dict[str, Any] = context.memory
        execution = memory.get("execution") or self._running_there(work, client)
        if not execution:
            return "Cancelled; nothing was running for it at the sub-manager."
        memory["execution"] = execution
        asked = memory.get("cancel_asked")  # [stage, when]
        if asked is None or time.time() - asked[1] > CANCEL_GRACE_SECONDS:
            stage = driver.next_stage(asked[0]) if asked else "cancel"
            memory["cancel_asked"] = [stage, time.time()]
            answer = driver.cancel(client, execution, stage)
            if answer.is_ended:
                return f"Cancelled. {answer.words}"
            context.say(answer.words, kind="cancel")
        else:
            row = client.execution(execution)
            if not row.is_active:
                return f"Cancelled. The execution has ended at the sub-manager: {row.status}."
        if time.time() - memory["cancel_since"] > CANCEL_GIVE_UP_SECONDS:
            return "Cancelled here, but the execution still runs at the sub-manager although it was told to end it. Look at it there."
        asked_to = memory["cancel_asked"][0]
        return Later(1.0, f"The sub-manager was asked to {asked_to}; waiting until it has ended there.")

    def _running_there(self, work: Work, client: ManagerClient) -> str:
        """The execution of this step that runs there, where its id was lost or never learnt."""
        if not self.workflow:
            return ""
        found = driver.survey(client, work.order.deployment_id).deployment
        if found is not None and found.latest_status == "in_progress" and found.latest_workflow == self.workflow:
            return found.latest_execution
        return ""
