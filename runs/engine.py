"""The engine's face to the domain: start a stored plan, or a parent with many children; advance, wake, pause, resume, cancel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max

from accounts.models import Tenant, User
from runs import parents, plans
from runs.bulk import insert_rows
from runs.control import cancel, pause, resume, resume_failed, set_parallel, wake
from runs.models import Event, Plan, Run, Step
from runs.operations import Operation
from runs.parents import TURN, advance
from runs.states import RunState

__all__ = [
    "add_children",
    "advance",
    "cancel",
    "pause",
    "resume",
    "resume_failed",
    "set_parallel",
    "start_parent",
    "start_run",
    "wake",
]

# What a child does, its title, its lock. Operations stand for a plan of one lane that is not stored on its own.
Child = tuple[Plan | Sequence[Operation], str, str]


def start_run(
    *,
    plan: Plan,
    digest: str,
    title: str,
    tenant: Tenant,
    started_by: User | None,
    mode: str = Run.Mode.APPLY,
    lock: str = "",
    parent: Run | None = None,
    position: int = 0,
    is_held: bool = False,
) -> Run:
    """Begin a plan as it was shown: `digest` is that of what the person saw, ValidationError when it is another.

    While another run has the lock the new one is held and its `why` names the holder. A child is held until `advance(parent)`.
    """
    if digest != plan.digest:
        raise ValidationError({"digest": "The plan has changed since it was shown: look at it again, then start it."})
    with transaction.atomic():
        run = Run(
            title=title[:256],
            plan=plan,
            tenant=tenant,
            started_by=started_by,
            mode=mode,
            lock=lock,
            parent=parent,
            position=position,
            state=RunState.HELD,
            why=parents.TURN if is_held or parent else "Waits to start.",
        )
        run.save()
        Step.objects.bulk_create(plans.steps_of(run.pk, plan.stages))
        if not is_held and parent is None:
            admit_new(run)
        else:
            run.record_move("", run.state)
    run.refresh_from_db()
    return run


def admit_new(run: Run) -> None:
    """Start the run or tell why not."""
    if parents.admit(run):
        parents.start(run)
    else:
        run.record_move("", run.state)


def start_parent(
    *,
    title: str,
    tenant: Tenant,
    started_by: User | None,
    max_parallel: int = 0,
    failure_budget: int | None = None,
    lock: str = "",
) -> Run:
    """A run of many runs. In the same transaction: `add_children`, the domain's own rows, then `advance(parent)`."""
    parent = Run(
        title=title[:256],
        tenant=tenant,
        started_by=started_by,
        max_parallel=max_parallel,
        failure_budget=failure_budget,
        lock=lock,
        state=RunState.HELD,
        why="Waits to start.",
    )
    parent.save()
    if not parents.admit(parent):
        parent.record_move("", parent.state)
    return parent


def add_children(parent: Run, children: Iterable[Child]) -> list[Run]:
    """Many held children at once, after those that are there; they start with `advance(parent)`."""
    children = list(children)
    last = parent.children.aggregate(last=Max("position"))["last"]
    first = 0 if last is None else last + 1
    with transaction.atomic():
        runs = Run.objects.bulk_create(
            Run(
                title=title[:256],
                plan=what if isinstance(what, Plan) else None,
                tenant_id=parent.tenant_id,
                started_by_id=parent.started_by_id,
                mode=parent.mode,
                lock=lock,
                parent=parent,
                position=first + number,
                state=RunState.HELD,
                why=TURN,
            )
            for number, (what, title, lock) in enumerate(children)
        )
        steps: list[Step] = []
        for run, (what, _, _) in zip(runs, children, strict=True):
            stages = what.stages if isinstance(what, Plan) else [plans.stage("", [plans.lane("", what)])]
            steps += plans.steps_of(run.pk, stages)
        insert_rows(Step, steps)
        Event.objects.create(run=parent, top=parent, kind="run.children", message=f"{len(runs)} runs to carry out.")
    return runs
