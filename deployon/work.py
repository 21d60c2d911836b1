"""One target at work: what its steps need, loaded in one query, and what becomes of its placement and deployment on the way."""

from __future__ import annotations

import functools
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils import timezone

from deployon.models import Placement, Rollout, ServiceVersion, Target
from deployon.orders import order_for
from inventory.deployments import refresh_states
from inventory.driver import NotYet, Order, Outcome
from inventory.models import Archive, Deployment
from runs.operations import OperationError

IN_PROGRESS = "in_progress"  # what lists of v3.1 say of an execution that has not ended
_ALL = tuple(Placement.State)
KEPT_SECONDS = 120.0
_KEPT: OrderedDict[tuple[int, int], tuple[float, Work]] = OrderedDict()
_LOCK = threading.Lock()
_PLANS: dict[int, tuple[float, ServiceVersion, dict[str, Any]]] = {}
_TARGET = (
    "rollout", "run", "environment", "environment__deployment", "environment__deployment__wire_id", "has_place",
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

    key: tuple[int, int]  # target, run
    environment: int
    environment_deployment: int
    version: ServiceVersion
    placement: Placement
    order: Order
    sub_manager: int = 0
    limit: int = 0  # targets at work at once there; 0: no limit
    has_place: bool = False  # see deployon.places
    _news: dict[str, dict[str, Any]] = field(default_factory=dict)  # learnt and not written yet, by model

    @classmethod
    def load(cls, target_id: int) -> Work:
        """OperationError where its rows are gone. Plain columns: whole rows of seven tables cost five times as much to read."""
        found: tuple[Any, ...] | None = Target.objects.filter(pk=target_id).values_list(*_COLUMNS).first()
        if found is None or found[len(_TARGET)] is None:
            raise OperationError(
                "This target is not there any more: its rollout was deleted or its environment removed. Start a new rollout.",
                cause="gone",
            )
        values = iter(found)
        rollout, run, environment, above, wire_id, has_place, manager, limit = (next(values) for _ in _TARGET)
        placement = Placement(**{name: next(values) for name in _PLACEMENT})
        placement.deployment = Deployment(**{name: next(values) for name in _DEPLOYMENT})
        version, inputs = plan_of(rollout)
        order = order_for(version, inputs, wire_id, f"R-{run}")
        return cls((target_id, run), environment, above, version, placement, order, manager, limit, has_place)

    @classmethod
    def of(cls, target_id: int, run_id: int) -> Work:
        """The same, kept for a short while: the steps of one target follow each other in one process.

        What another process wrote meanwhile is not seen; the driver looks at the sub-manager itself where that matters.
        """
        now = time.monotonic()
        with _LOCK:
            while _KEPT and next(iter(_KEPT.values()))[0] < now:
                _KEPT.popitem(last=False)
            found = _KEPT.get((target_id, run_id))
        if found is not None:
            return found[1]
        work = cls.load(target_id)
        with _LOCK:
            _KEPT[target_id, run_id] = (now + KEPT_SECONDS, work)
        return work

    def drop(self) -> None:
        """Read it again the next time."""
        with _LOCK:
            _KEPT.pop(self.key, None)

    def begin(self, state: str) -> None:
        """Work starts there: deploying or removing."""
        if self.placement.state == state:
            return
        self._learn(
            self.placement.deployment,
            deployment_status=Deployment.DeploymentStatus.IN_PROGRESS,
            latest_execution_status=IN_PROGRESS,
            latest_execution_workflow="uninstall" if state == Placement.State.REMOVING else "install",
            latest_execution_finished=0,
            latest_execution_total=0,
        )
        self._move(state)

    def note(self, **changes: Any) -> None:
        """What we learnt of the remote side: ids, digest, hash. Written with the next change; lost with a crash, it is looked up."""
        self._learn(self.placement, **changes)

    def note_execution(self, look: NotYet) -> None:
        """The progress of the remote execution, for the row that lists show; as `note`."""
        self._learn(self.placement, remote_execution=look.execution_id)
        self._learn(
            self.placement.deployment,
            latest_execution=look.execution_id[:36],
            latest_execution_total=look.total,
            latest_execution_finished=look.finished,
        )

    def save(self) -> None:
        """Write what was noted."""
        with transaction.atomic():
            for row in (self.placement, self.placement.deployment):
                if new := self._news.pop(row._meta.label, None):
                    type(row).objects.filter(pk=row.pk).update(**new, updated_at=timezone.now())

    def deployed(self, outcome: Outcome) -> None:
        """It is installed there; `outcome` is what it offers and how the sub-manager sees it."""
        is_good = outcome.deployment_status in ("", "good")
        why = "" if is_good else f"The sub-manager says {outcome.deployment_status} of it; look at it there."
        status = Deployment.DeploymentStatus
        self._learn(self.placement, capabilities=dict(outcome.capabilities))
        self._learn(
            self.placement.deployment,
            installation_status=Deployment.InstallationStatus.ACTIVE,
            deployment_status=status.GOOD if is_good else status.REQUIRES_ATTENTION,
            latest_execution_status="completed",
        )
        self._settle(Placement.State.DEPLOYED, why)

    def removed(self) -> None:
        """It is gone from there, and so are its rows here; targets keep telling of it."""
        deployment = self.placement.deployment
        with transaction.atomic():
            self.placement.delete()
            deployment.delete()
            refresh_states(Deployment(pk=self.environment_deployment))
        self.drop()

    def failed(self, why: str, *, differs: bool = False) -> None:
        """It did not come about; or something else is there."""
        attention = Deployment.DeploymentStatus.REQUIRES_ATTENTION
        self._learn(self.placement.deployment, deployment_status=attention, latest_execution_status="failed")
        self._settle(Placement.State.DIFFERS if differs else Placement.State.FAILED, why[:512])

    def _settle(self, state: str, why: str) -> None:
        """A placement has no children of its own: what changes with it begins at its environment."""
        with transaction.atomic():
            self._move(state, why)
            refresh_states(Deployment(pk=self.environment_deployment))
        self.drop()

    def _move(self, state: str, why: str = "") -> None:
        with transaction.atomic():
            new = self._news.pop(self.placement._meta.label, {})
            self.placement.move(state, only_from=_ALL, **new, why=why, updated_at=timezone.now())
            self.save()

    def _learn(self, row: Placement | Deployment, **changes: Any) -> None:
        new = {name: value for name, value in changes.items() if getattr(row, name) != value}
        if new:
            self._news.setdefault(row._meta.label, {}).update(new)
            for name, value in new.items():
                setattr(row, name, value)


@functools.lru_cache(maxsize=4)
def archive_bytes(digest: str) -> bytes:
    """The content of an archive; safe to keep, for the digest names the content."""
    return bytes(Archive.objects.values_list("content", flat=True).get(pk=digest))


def plan_of(rollout_id: int) -> tuple[ServiceVersion, dict[str, Any]]:
    """Version and inputs of a rollout, which never change once it is started; kept a minute for its many targets."""
    known = _PLANS.get(rollout_id)
    if known is None or known[0] < time.monotonic():
        rows = Rollout.objects.select_related("version__service").defer(
            "preview", "rules", "version__inputs_schema", "version__capabilities"
        )
        rollout = rows.get(pk=rollout_id)
        with _LOCK:
            if len(_PLANS) > 100:
                _PLANS.clear()
            known = _PLANS[rollout_id] = (time.monotonic() + 60, rollout.version, rollout.inputs)
    return known[1], known[2]


def forget() -> None:
    """Keep nothing."""
    with _LOCK:
        _KEPT.clear()
        _PLANS.clear()
