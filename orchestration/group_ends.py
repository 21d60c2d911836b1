"""What an execution group learns when one of its executions changes its state: an event, and where its deployment goes."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from django.utils import timezone

from accounts.actors import Actor
from inventory.models import Deployment
from orchestration import group_members
from orchestration.group_models import DeploymentGroup, ExecutionGroup
from orchestration.models import Execution, ExecutionEvent

State = Execution.State
CHANGED = "execution_state_change"


def follow(executions: Iterable[Execution]) -> None:
    """Tell the groups of these executions, and put deployments of ended ones into the target groups."""
    for execution in executions:
        if execution.group_id is None:
            continue
        say(execution.group_id, f"execution '{execution.pk}' changed state to '{execution.state}'", CHANGED)
        if execution.state in (State.TERMINATED, State.FAILED):
            group = ExecutionGroup.objects.select_related("success_group__tenant", "failure_group__tenant").get(
                pk=execution.group_id
            )
            target = group.success_group if execution.state == State.TERMINATED else group.failure_group
            if target is not None and execution.local_id is not None:
                send(target, Deployment.objects.filter(local=execution.local_id), group)


def say(group_id: uuid.UUID, message: str, event_type: str = "", level: str = "") -> None:
    """An event of the group itself; with a level, a line of its log."""
    now = timezone.now()
    kind = ExecutionEvent.Kind.LOG if level else ExecutionEvent.Kind.EVENT
    ExecutionEvent.objects.create(
        group_id=group_id,
        kind=kind,
        timestamp=now,
        reported_at=now,
        event_type=event_type,
        level=level,
        logger="execution_group" if level else "",
        message=message,
    )


def send(target: DeploymentGroup, rows: Iterable[Deployment], group: ExecutionGroup) -> None:
    """Put deployments into a target group, in the name of whoever started the execution group."""
    by = Actor(user=group.created_by, via="execution")
    group_members.add(by=by, group=target, rows=list(rows))


def send_ended(group: ExecutionGroup) -> None:
    """What had ended before the target groups were named goes there, too."""
    for target, state in ((group.success_group, State.TERMINATED), (group.failure_group, State.FAILED)):
        if target is not None:
            ended = Execution.objects.filter(group=group, state=state, local__isnull=False)
            send(target, Deployment.objects.filter(local__in=ended.values("local")), group)
