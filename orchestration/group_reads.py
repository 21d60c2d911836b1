"""What the pages of execution groups read: how many executions are in which state, the worst of them first, and what is gone."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable

from django.db.models import Case, Count, IntegerField, QuerySet, Value, When

from accounts.models import Tenant, User
from inventory.querysets import visible
from orchestration.execution_groups import status_of
from orchestration.executions import DELETE
from orchestration.group_models import ExecutionGroup
from orchestration.models import Execution
from orchestration.operations import first_line
from runs.models import Run

State = Execution.State
WORST_FIRST = (
    State.FAILED,
    State.STARTED,
    State.CANCELLING,
    State.FORCE_CANCELLING,
    State.KILL_CANCELLING,
    State.PENDING,
    State.QUEUED,
    State.SCHEDULED,
    State.CANCELLED,
    State.TERMINATED,
)


@dataclasses.dataclass
class Progress:
    """How far a group is. `gone`: deployments that it has removed, and with them their executions."""

    counts: dict[str, int]
    gone: int = 0
    run_state: str = ""

    @property
    def total(self) -> int:
        return sum(self.counts.values()) + self.gone

    @property
    def ended(self) -> int:
        return self.gone + sum(count for state, count in self.counts.items() if state in Execution.FINAL)

    @property
    def failed(self) -> int:
        return self.counts.get(State.FAILED, 0)

    @property
    def state(self) -> str:
        """The state of the group by the rules of v3.1; of one that has nothing left, how its run ended."""
        found = status_of([*self.counts, *([State.TERMINATED] if self.gone else [])])
        return found or {"succeeded": "terminated"}.get(self.run_state, self.run_state)

    @property
    def is_final(self) -> bool:
        return self.ended == self.total


def groups_seen(user: User, tenant: Tenant) -> QuerySet[ExecutionGroup]:
    """Execution groups that the user sees, newest first."""
    rows = ExecutionGroup.objects.filter(visible(user, tenant))
    return rows.select_related("tenant", "run", "deployment_group", "created_by").order_by("-created_at")


def executions_seen(group: ExecutionGroup, user: User, tenant: Tenant) -> QuerySet[Execution]:
    """The executions of a group that the user sees."""
    return Execution.objects.filter(visible(user, tenant), group=group)


def worst_first(rows: QuerySet[Execution]) -> QuerySet[Execution]:
    """With their deployments; by severity, then by name."""
    places = [When(state=state, then=Value(place)) for place, state in enumerate(WORST_FIRST)]
    severity = Case(*places, default=Value(99), output_field=IntegerField())
    found = rows.select_related("local__deployment").order_by(severity, "local__deployment__display_name", "pk")
    return found.defer("local__plan", "local__inputs", "local__given_inputs", "parameters")


def progress_of(groups: Iterable[ExecutionGroup], user: User, tenant: Tenant) -> dict[str, Progress]:
    """By id of the group; two queries for all of them."""
    groups = list(groups)
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    rows = Execution.objects.filter(visible(user, tenant), group__in=groups).order_by()
    for group_id, state, count in rows.values_list("group_id", "state").annotate(Count("pk")):
        counts[str(group_id)][state] = count
    parents = [group.run_id for group in groups if group.workflow == DELETE and group.run_id]
    children: dict[int | None, int] = {}
    if parents:
        runs = Run.objects.filter(parent__in=parents).order_by()
        children = dict(runs.values_list("parent_id").annotate(Count("pk")))
    return {
        str(group.pk): Progress(
            counts[str(group.pk)],
            max(0, children.get(group.run_id, 0) - sum(counts[str(group.pk)].values())),
            str(group.run.state) if group.run is not None else "",
        )
        for group in groups
    }


def why_of(execution: Execution) -> str:
    """The first line of its error."""
    return first_line(execution.error)
