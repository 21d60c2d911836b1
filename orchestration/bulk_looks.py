"""What many deployments are at the moment, read in a number of queries that does not grow with them; and why some are left out."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from accounts.models import Tenant
from inventory import standing
from inventory.models import Deployment, Environment
from orchestration import states
from orchestration.dependency_models import Dependency
from orchestration.executions import CREATE
from orchestration.models import Execution, LocalDeployment, NodeInstance

MOST = 5000  # deployments that one bulk act may be about
State = Execution.State


@dataclasses.dataclass(frozen=True)
class LeftOut:
    """A deployment that an act leaves as it is, and why."""

    deployment: Deployment
    why: str


@dataclasses.dataclass
class Preview:
    """What an act would touch and what not; nothing has begun."""

    acting: list[Deployment]
    left_out: list[LeftOut]
    asked: dict[str, Any] = dataclasses.field(default_factory=dict)  # how it is to be done, for the digest
    notes: dict[int, Any] = dataclasses.field(default_factory=dict)  # by key of the deployment: what is said beside it
    stamps: dict[int, str] = dataclasses.field(default_factory=dict)  # what each was when it was looked at
    waves: list[list[Deployment]] = dataclasses.field(default_factory=list)  # what goes before what; of some acts
    outlooks: dict[int, Any] = dataclasses.field(default_factory=dict)  # what an update would do to each

    @property
    def digest(self) -> str:
        """Tells whether what would happen is still what somebody looked at."""
        told = [
            sorted(row.pk for row in self.acting),
            self.asked,
            sorted(self.notes.items()),
            sorted(self.stamps.items()),
            [sorted(row.pk for row in wave) for wave in self.waves],
        ]
        return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()

    @property
    def by_reason(self) -> list[tuple[str, list[Deployment]]]:
        """Those left out by why, most first."""
        groups: dict[str, list[Deployment]] = defaultdict(list)
        for one in self.left_out:
            groups[one.why].append(one.deployment)
        return sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))


class Looks:
    """What stands behind these deployments: what was deployed here of each, what runs on it, its instances, its children."""

    def __init__(self, rows: Sequence[Deployment], tenant: Tenant) -> None:
        self.rows, self.tenant = rows, tenant
        keys = [row.pk for row in rows]
        found = LocalDeployment.objects.filter(deployment__in=keys).select_related("deployment__tenant")
        self.locals = {local.deployment_id: local for local in found.defer("plan", "inputs", "given_inputs")}
        self.busy: dict[int, str] = {}  # key of the local deployment: workflow under way
        self.creation: dict[int, str] = {}  # state of a creation that has not succeeded
        local_keys = [local.pk for local in self.locals.values()]
        for local_id, workflow in Execution.objects.filter(
            local__in=local_keys, state__in=states.UNFINISHED
        ).values_list("local_id", "workflow"):
            self.busy[local_id] = workflow
        wanted = {local.create_execution: local.pk for local in self.locals.values() if local.create_execution}
        creations = Execution.objects.filter(local__in=local_keys, workflow=CREATE).exclude(state=State.TERMINATED)
        for pk, state in creations.values_list("pk", "state"):
            if str(pk) in wanted:
                self.creation[wanted[str(pk)]] = state
        self.states: dict[int, set[str]] = defaultdict(set)  # of instances
        instances = NodeInstance.objects.filter(local__in=local_keys).order_by()
        for local_id, state in instances.values_list("local_id", "state").distinct():
            self.states[local_id].add(state)

    def sort_out(self, why: Callable[[Deployment, LocalDeployment], str], force: bool = False) -> Preview:
        """Leave out what cannot be acted on at all, and that for which `why` has a reason."""
        preview = Preview([], [])
        for row in self.rows:
            local = self.locals.get(row.pk)
            reason = self.obstacle(row, local, force)
            if not reason and local is not None:
                reason = why(row, local)
            if reason:
                preview.left_out.append(LeftOut(row, reason))
            else:
                preview.acting.append(row)
        return preview

    def obstacle(self, row: Deployment, local: LocalDeployment | None, force: bool) -> str:
        """Why nothing at all can be started on it; "" where it can."""
        if row.tenant_id != self.tenant.pk:
            return "It belongs to another tenant: switch to that tenant to act on it."
        if local is None and row.kind == Deployment.Kind.ENVIRONMENT:
            return "It is an exposed environment, which is not run by this manager: use its own page."
        if local is None:
            return "It is a service placed on an environment, which is not run by this manager: use a rollout."
        creation = self.creation.get(local.pk)
        if creation in Execution.FINAL:
            return "Its creation has failed: delete it, and create it again."
        if creation is not None:
            return "It is still being created: try again in a minute."
        if local.pk in self.busy and not force:
            return f"Another execution is under way: {self.busy[local.pk]}. Wait for its end, or cancel it."
        return ""

    def dependents(self) -> dict[int, list[Deployment]]:
        """Deployments that stand directly on these, or use something of theirs, by the key of what they need."""
        keys = [row.pk for row in self.rows]
        found: dict[int, dict[int, Deployment]] = defaultdict(dict)
        for child in Deployment.objects.filter(parent__in=keys):
            found[child.parent_id or 0][child.pk] = child
        for one in Dependency.objects.filter(target__in=keys).select_related("source"):
            found[one.target_id or 0][one.source_id] = one.source
        return {pk: sorted(rows.values(), key=lambda row: row.wire_id) for pk, rows in found.items()}

    def standing(self) -> dict[int, list[str]]:
        """Services placed on those that are environments, by the key of the deployment."""
        rows = {row.pk: row for row in Environment.objects.filter(deployment__in=[row.pk for row in self.rows])}
        return {rows[key].deployment_id: names for key, names in standing.names_on_each(list(rows.values())).items()}
