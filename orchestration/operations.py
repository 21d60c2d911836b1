"""What the engine does for the management service: parse a blueprint, prepare and remove a deployment, run a workflow."""

from __future__ import annotations

import dataclasses

from django.core.exceptions import ValidationError

from orchestration import dequeuing, environments, parsing, scaling_ends, states, update_ends, update_plans
from orchestration.errors import Refused
from orchestration.models import Execution
from orchestration.runner_types import BlueprintProblem, RunnerError
from orchestration.supervisor import Full, supervisor
from runs.operations import Cancelled, Context, Later, Operation, OperationError, operation

LOOK_SECONDS = 5.0  # a workflow wakes its step when it ends: this is for one whose process is lost
FULL_SECONDS = 1.0
DEATHS_ALLOWED = 3
TURN_SECONDS = 2.0
INLINE_SECONDS = 0.3  # workflows that end as fast as that need no second look


@dataclasses.dataclass(frozen=True)
class OfExecution(Operation):
    """Carries out one execution; what it is about is found through that row."""

    execution: str
    workflow: str
    subject: str

    def describe(self) -> str:
        return f"{self.workflow} of {self.subject}"

    def row(self) -> Execution | None:
        """The execution; None when it was deleted with its deployment."""
        related = ("tenant", "local__deployment__tenant", "local__blueprint", "blueprint", "created_by", "run")
        rows = Execution.objects.select_related(*related).defer(
            "blueprint__plan", "local__blueprint__plan", "local__plan"
        )
        return rows.filter(pk=self.execution).first()

    def check(self, context: Context) -> bool | Later:
        """Has it ended well? Ended badly is an error, ended by a cancel is Cancelled."""
        row = self.row()
        if row is None or row.state == Execution.State.TERMINATED:
            return True
        if row.state == Execution.State.FAILED:
            raise OperationError(first_line(row.error) or f"{self.describe()} failed", cause="workflow")
        if row.state == Execution.State.CANCELLED:
            raise Cancelled(f"{self.describe()} was cancelled")
        return self.wait(row)

    def wait(self, row: Execution) -> bool | Later:
        """Not ended: False where nobody is at it."""
        return False

    def cancel(self, context: Context) -> Later | None:
        row = self.row()
        if row is not None and row.state not in Execution.FINAL:
            states.report(row, Execution.State.CANCELLED)
        return None

    def work(self, row: Execution) -> None:
        """The work of a short operation, in this process."""
        raise NotImplementedError

    def apply(self, context: Context) -> Later | None:
        row = self.row()
        if row is None or row.state in Execution.FINAL:
            return None
        if row.state in states.CANCELLING:
            states.report(row, Execution.State.CANCELLED)
            return None
        try:
            states.report(row, Execution.State.STARTED)
        except states.IllegalReport:  # cancelled or deleted since it was read
            return None
        states.tell(row, "workflow_started", f"Starting '{row.workflow}' workflow execution")
        try:
            self.work(row)
        except RunnerError as error:
            states.report(row, Execution.State.FAILED, str(error))
        if self.row() is not None:
            states.tell_end(row)
        return None


@operation("blueprint.parse")
class BlueprintParse(OfExecution):
    """Unpack and parse an uploaded blueprint."""

    def work(self, row: Execution) -> None:
        parsing.parse(row)


@operation("deployment.create_environment")
class CreateEnvironment(OfExecution):
    """Put in the inputs and make the nodes and instances of a new deployment."""

    def work(self, row: Execution) -> None:
        environments.create(row)


@operation("deployment.delete_environment")
class DeleteEnvironment(OfExecution):
    """Remove a deployment with all its rows; what still runs on it is ended first."""

    def apply(self, context: Context) -> Later | None:
        row = self.row()
        if row is not None and row.local is not None:
            others = Execution.objects.filter(local=row.local, state__in=states.UNFINISHED).exclude(pk=row.pk)
            for other in others:
                other.move(Execution.State.KILL_CANCELLING, only_from=states.UNFINISHED)
                supervisor.poke(other)
            if any(supervisor.is_held(other) for other in others):
                return Later(0.5, "Waits for the end of what runs on the deployment.", deadline=120.0)
        return super().apply(context)

    def work(self, row: Execution) -> None:
        environments.delete(row)


@operation("execution.run_workflow")
class RunWorkflow(OfExecution):
    """Run a workflow in a child process; resumed from its stored graphs when its process was lost."""

    def wait(self, row: Execution) -> bool | Later:
        if not supervisor.is_held(row):
            return False
        done = f"{row.finished_operations} of {row.total_operations} operations are done."
        return Later(LOOK_SECONDS, f"The workflow runs: {done}" if row.total_operations else "The workflow runs.")

    def apply(self, context: Context) -> Later | None:
        row = self.row()
        if row is None or row.state in Execution.FINAL:
            return None
        if row.state in states.CANCELLING:
            states.report(row, Execution.State.CANCELLED)
            return None
        if turn := dequeuing.waits_for(row):
            return Later(TURN_SECONDS, turn)
        if problem := dequeuing.problem_of(row) or self.prepare_update(row):
            states.report_unless_ended(row, Execution.State.FAILED, problem)
            return None
        is_caught = row.state == Execution.State.STARTED
        if is_caught and not self.may_go_on(row, context):
            return None
        is_resume = scaling_ends.goes_on(row) if row.is_resume or is_caught else False
        if is_resume is None:
            return None
        try:
            supervisor.begin(row, is_resume=is_resume)
        except Full as full:
            return Later(FULL_SECONDS, str(full))
        except RunnerError as error:
            states.report_unless_ended(row, Execution.State.FAILED, str(error))
            return None
        if supervisor.wait(str(row.pk), INLINE_SECONDS):
            return None
        return Later(LOOK_SECONDS, "The workflow runs.")

    def prepare_update(self, row: Execution) -> str:
        """Write the rows that an update works on; why that cannot be, or ""."""
        if row.workflow != update_ends.UPDATE:
            return ""
        try:
            update_plans.begin(row)
        except (BlueprintProblem, RunnerError, Refused) as problem:
            return str(problem)
        except ValidationError as error:
            return " ".join(error.messages)
        return ""

    def may_go_on(self, row: Execution, context: Context) -> bool:
        """Its process is gone: make ready what was caught in the middle and say so; after several losses it fails."""
        deaths = context.memory["losses"] = int(context.memory.get("losses", 0)) + 1
        why = (row.error or "The process that ran the workflow is gone.").removesuffix(
            " Resume the execution to go on."
        )
        if deaths > DEATHS_ALLOWED:
            states.report(
                row, Execution.State.FAILED, f"{why} That happened {deaths} times: look for its cause, then resume."
            )
            return False
        names = states.reset_graphs(row, force=True)
        again = (
            f"Repeated, because they were caught in the middle: {', '.join(names[:20])}."
            if names
            else "Nothing is repeated."
        )
        message = f"{why} The execution goes on from where it stood. {again}"
        context.say(message, kind="warning", execution=str(row.pk), repeated=names[:100])
        states.tell(row, "workflow_resumed", message)
        return True

    def cancel(self, context: Context) -> Later | None:
        row = self.row()
        if row is None or row.state in Execution.FINAL:
            return None
        if not supervisor.is_held(row):
            states.report(row, Execution.State.CANCELLED)
            return None
        row.move(
            Execution.State.CANCELLING,
            only_from={Execution.State.PENDING, Execution.State.QUEUED, Execution.State.STARTED},
        )
        supervisor.poke(row)
        return Later(1.0, "The workflow was told to stop and has not ended yet.")


def first_line(text: str) -> str:
    """What a person reads first of an error with a traceback."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
