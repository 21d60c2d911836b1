"""A target at work: what its steps need, read for many with one query, and what becomes of its placement and deployment."""

from __future__ import annotations

import dataclasses
import functools
import threading
import time
from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from deployon.models import Placement, Rollout, ServiceVersion, Target
from deployon.orders import order_for
from deployon.settling import Change, store
from deployon.workflows import Workflow
from inventory.driver import NotYet, Order, Outcome
from inventory.models import Archive, Deployment
from runs.operations import Context, OperationError

IN_PROGRESS = "in_progress"  # what lists of v3.1 say of an execution that has not ended
KEPT_SECONDS = 120.0
Key = tuple[int, int, int]  # target, run, attempt of the run
_KEPT: OrderedDict[Key, tuple[float, Work]] = OrderedDict()
_LOCK = threading.Lock()
_PLANS: dict[int, tuple[float, ServiceVersion, dict[str, Any], Workflow]] = {}
_TARGET = (
    "rollout", "run", "inputs", "environment", "environment__deployment", "environment__deployment__wire_id", "has_place",
    "environment__sub_manager", "environment__sub_manager__max_parallel",
)  # fmt: skip
_PLACEMENT = (
    "pk", "state", "actual_digest", "actual_inputs_hash", "remote_blueprint", "remote_deployment", "remote_execution", "capabilities",
)  # fmt: skip
_DEPLOYMENT = (
    "pk", "installation_status", "deployment_status", "latest_execution", "latest_execution_status", "latest_execution_workflow",
    "latest_execution_total", "latest_execution_finished",
)  # fmt: skip
_COLUMNS = (
    *_TARGET,
    *(f"placement__{name}" for name in _PLACEMENT),
    *(f"placement__deployment__{name}" for name in _DEPLOYMENT),
)


@dataclass
class Work:
    """A target with all that its steps need; `placement` and its deployment hold only the fields that are used here."""

    key: Key
    environment: int
    environment_deployment: int
    version: ServiceVersion
    placement: Placement
    order: Order
    sub_manager: int = 0
    limit: int = 0  # targets at work at once there; 0: no limit
    has_place: bool = False  # see deployon.places
    workflow: Workflow = dataclasses.field(default_factory=Workflow)

    @classmethod
    def load(cls, keys: Collection[Key]) -> dict[Key, Work]:
        """Those that are still there. Plain columns: whole rows of seven tables cost five times as much to read."""
        found = Target.objects.filter(pk__in={target for target, _, _ in keys}).values_list("pk", *_COLUMNS)
        rows = {row[0]: row[1:] for row in found}
        return {key: cls.read(key, rows[key[0]]) for key in keys if key[0] in rows and rows[key[0]][len(_TARGET)]}

    @classmethod
    def read(cls, key: Key, columns: Iterable[Any]) -> Work:
        values = iter(columns)
        rollout, run, own, environment, above, wire_id, has_place, manager, limit = (next(values) for _ in _TARGET)
        placement = Placement(**{name: next(values) for name in _PLACEMENT})
        placement.deployment = Deployment(**{name: next(values) for name in _DEPLOYMENT})
        version, inputs, workflow = plan_of(rollout)
        order = order_for(version, inputs if own is None else own, wire_id, f"R-{run}", placement=placement)
        return cls(key, environment, above, version, placement, order, manager, limit, has_place, workflow)

    @classmethod
    def of(cls, target: int, context: Context) -> Work:
        """Kept for a short while, for the steps of one target follow each other in one process. OperationError where it is gone.

        What another process wrote meanwhile is not seen; the driver looks at the sub-manager itself where that matters. What was
        learnt here and then dropped, because the step was handed on, is not seen either: the run has another attempt by then.
        """
        key = (target, context.run_id, context.run_attempt)
        work = _kept(key) or cls.have([key]).get(key)
        if work is None:
            raise OperationError(
                "This target is not there any more: its rollout was deleted or its environment removed. Start a new rollout.",
                cause="gone",
            )
        return work

    @classmethod
    def have(cls, keys: Collection[Key]) -> dict[Key, Work]:
        """All of them that are there, with one query for those that are not kept."""
        known = {key: work for key in keys if (work := _kept(key))}
        loaded = cls.load([key for key in keys if key not in known]) if len(known) < len(keys) else {}
        until = time.monotonic() + KEPT_SECONDS
        with _LOCK:
            _KEPT.update((key, (until, work)) for key, work in loaded.items())
        return known | loaded

    def drop(self) -> None:
        """Read it again the next time."""
        with _LOCK:
            _KEPT.pop(self.key, None)

    def begin(self, context: Context, state: str, workflow: str = "") -> None:
        """Work starts there: deploying or removing, or a workflow that leaves the placement as it is."""
        workflow = workflow or ("uninstall" if state == Placement.State.REMOVING else "install")
        deployment = self.placement.deployment
        is_said = (deployment.latest_execution_status, deployment.latest_execution_workflow) == (IN_PROGRESS, workflow)
        if self.placement.state == state and is_said:
            return
        begun = {
            "deployment_status": Deployment.DeploymentStatus.IN_PROGRESS,
            "latest_execution_status": IN_PROGRESS,
            "latest_execution_workflow": workflow,
            "latest_execution_finished": 0,
            "latest_execution_total": 0,
        }
        self._change(context, {"state": state, "why": ""}, begun)

    def note(self, context: Context, **changes: Any) -> None:
        """What we learnt of the remote side: ids, digest, hash."""
        self._change(context, changes, {})

    def note_execution(self, context: Context, look: NotYet) -> None:
        """The progress of the remote execution, for the row that lists show."""
        progress = {
            "latest_execution": look.execution_id[:36],
            "latest_execution_total": look.total,
            "latest_execution_finished": look.finished,
        }
        self._change(context, {"remote_execution": look.execution_id}, progress)

    def deployed(self, context: Context, outcome: Outcome) -> None:
        """It is installed there; `outcome` is what it offers and how the sub-manager sees it."""
        is_good = outcome.deployment_status in ("", "good")
        why = "" if is_good else f"The sub-manager says {outcome.deployment_status} of it; look at it there."
        status = Deployment.DeploymentStatus
        installed = {
            "installation_status": Deployment.InstallationStatus.ACTIVE,
            "deployment_status": status.GOOD if is_good else status.REQUIRES_ATTENTION,
            "latest_execution_status": "completed",
        }
        has_it = {"state": Placement.State.DEPLOYED, "why": why, "capabilities": dict(outcome.capabilities)}
        self._change(context, has_it, installed, is_end=True)

    def removed(self, context: Context) -> None:
        """It is gone from there, and so are its rows here; targets keep telling of it."""
        self._change(context, {}, {}, is_end=True, is_gone=True)

    def failed(self, context: Context, why: str, *, differs: bool = False) -> None:
        """It did not come about; or something else is there."""
        attention = Deployment.DeploymentStatus.REQUIRES_ATTENTION
        state = Placement.State.DIFFERS if differs else Placement.State.FAILED
        if self.workflow:  # what was put there stands as it stood
            state = Placement.State(self.placement.state)
        fault = {"deployment_status": attention, "latest_execution_status": "failed"}
        self._change(context, {"state": state, "why": why[:512]}, fault, is_end=True)

    def _change(
        self,
        context: Context,
        of_placement: dict[str, Any],
        of_deployment: dict[str, Any],
        *,
        is_end: bool = False,
        is_gone: bool = False,
    ) -> None:
        """Remember it for the next steps, and have it stored with what comes of this look."""
        placement, deployment = self.placement, self.placement.deployment
        for row, new in ((placement, of_placement), (deployment, of_deployment)):
            for name, value in new.items():
                setattr(row, name, value)
        above = self.environment_deployment if is_end else None
        context.write(store, Change(placement.pk, deployment.pk, of_placement, of_deployment, above, is_gone))
        if is_end:
            self.drop()


def _kept(key: Key) -> Work | None:
    now = time.monotonic()
    with _LOCK:
        while _KEPT and next(iter(_KEPT.values()))[0] < now:
            _KEPT.popitem(last=False)
        found = _KEPT.get(key)
    return found and found[1]


@functools.lru_cache(maxsize=4)
def archive_bytes(digest: str) -> bytes:
    """The content of an archive; safe to keep, for the digest names the content."""
    return bytes(Archive.objects.values_list("content", flat=True).get(pk=digest))


def plan_of(rollout_id: int) -> tuple[ServiceVersion, dict[str, Any], Workflow]:
    """Version, inputs and workflow of a rollout, which never change once it is started; kept a minute for its many targets."""
    known = _PLANS.get(rollout_id)
    if known is None or known[0] < time.monotonic():
        rows = Rollout.objects.select_related("version__service").defer(
            "preview", "rules", "sources", "version__inputs_schema", "version__capabilities"
        )
        rollout = rows.get(pk=rollout_id)
        workflow = Workflow(rollout.workflow, rollout.parameters)
        with _LOCK:
            if len(_PLANS) > 100:
                _PLANS.clear()
            known = _PLANS[rollout_id] = (time.monotonic() + 60, rollout.version, rollout.inputs, workflow)
    return known[1:]


def forget() -> None:
    """Keep nothing."""
    with _LOCK:
        _KEPT.clear()
        _PLANS.clear()
