"""Many executions as children of one run of the engine: the most at once is the group's concurrency, and 0 of them is a pause."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

from accounts.actors import Actor
from inventory.models import Deployment
from inventory.rollup import refresh_many
from orchestration import executions as single
from orchestration.group_models import ExecutionGroup
from orchestration.models import Execution
from orchestration.states import summary_of
from runs import engine
from runs.bulk import update_columns
from runs.models import Run
from runs.states import FINAL_RUN_STATES

State = Execution.State


@transaction.atomic
def begin_many(*, by: Actor, group: ExecutionGroup, executions: Sequence[Execution], in_order: bool = False) -> None:
    """Store new executions of the group and start them as its concurrency allows; `in_order`: strictly one after another."""
    first = engine_parent(by, group, len(executions), in_order=in_order)
    wait_in_line(executions, group.concurrency)
    children = engine.add_children(first, [child_of(execution) for execution in executions])
    for execution, run in zip(executions, children, strict=True):
        execution.run = run
    Execution.objects.bulk_create(executions)
    go(by, group, first)


@transaction.atomic
def begin_again(*, by: Actor, group: ExecutionGroup, executions: Sequence[Execution]) -> None:
    """The same for executions that are stored already and go on where they stood."""
    parent = engine_parent(by, group, len(executions), in_order=False)
    children = engine.add_children(parent, [child_of(execution) for execution in executions])
    for execution, run in zip(executions, children, strict=True):
        Execution.objects.filter(pk=execution.pk).update(run=run)
    go(by, group, parent)


def engine_parent(by: Actor, group: ExecutionGroup, count: int, *, in_order: bool) -> Run:
    """The run of all of them."""
    several = f"{count:,} deployment{'' if count == 1 else 's'}"
    return engine.start_parent(
        title=f"{group.workflow} of {group.deployment_group or several}",
        tenant=group.tenant,
        started_by=by.user,
        max_parallel=1 if in_order else group.concurrency or 1,
    )


def go(by: Actor, group: ExecutionGroup, parent: Run) -> None:
    """Let the parent release its first children, or hold all of them back."""
    group.run = parent
    ExecutionGroup.objects.filter(pk=group.pk).update(run=parent)
    if group.concurrency == 0:
        engine.pause(parent, by)
    else:
        engine.advance(parent)


def wait_in_line(executions: Sequence[Execution], concurrency: int) -> None:
    """The first ones begin at once, the others are queued."""
    for number, execution in enumerate(executions):
        execution.state = State.PENDING if number < concurrency else State.QUEUED


def child_of(execution: Execution) -> engine.Child:
    """The run of one execution, which has its deployment for itself unless it is forced."""
    operation = single.operation_of(execution)
    is_alone = execution.local is None or execution.is_forced or execution.workflow == single.DELETE
    return [operation], operation.describe(), "" if is_alone else single.lock_of(execution.local)  # type: ignore[arg-type]


def show_latest(executions: Sequence[Execution]) -> None:
    """Those that begin are now the latest ones of their deployments."""
    changes = {
        execution.local.deployment_id: {
            "latest_execution": str(execution.pk),
            "latest_execution_workflow": execution.workflow,
            "latest_execution_status": summary_of(execution.state),
            "latest_execution_total": 0,
            "latest_execution_finished": 0,
        }
        for execution in executions
        if execution.local is not None and execution.state == State.PENDING
    }
    update_columns(Deployment, changes)
    refresh_many(list(changes))


@transaction.atomic
def set_concurrency(*, by: Actor, group: ExecutionGroup, concurrency: int) -> None:
    """Change how many may be at work at once; those that are stay at work. 0 holds back all that have not begun."""
    group.concurrency = concurrency
    ExecutionGroup.objects.filter(pk=group.pk).update(concurrency=concurrency)
    run = group.run
    if run is None or run.state in FINAL_RUN_STATES or run.is_cancel_requested:
        return
    if concurrency == 0:
        if not run.is_pause_requested:
            engine.pause(run, by)
        return
    engine.set_parallel(run, concurrency)
    if run.is_pause_requested:
        engine.resume(run, by)
