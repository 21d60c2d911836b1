"""One target at work: its rows, loaded in one query, and what becomes of its placement and deployment on the way."""

from __future__ import annotations

import functools
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from deployon.models import Placement, Rollout, ServiceVersion, Target
from deployon.orders import order_for
from inventory.deployments import refresh_states
from inventory.driver import NotYet, Order, Outcome
from inventory.models import Archive, Deployment, Environment
from runs.operations import OperationError

IN_PROGRESS = "in_progress"  # what lists of v3.1 say of an execution that has not ended
_ALL = tuple(Placement.State)
KEPT_SECONDS = 20.0
_KEPT: OrderedDict[tuple[int, int], tuple[float, Work]] = OrderedDict()
_LOCK = threading.Lock()
_UNUSED = ("rollout__preview", "rollout__rules", "rollout__version__inputs_schema", "rollout__version__capabilities")


@dataclass
class Work:
    """A target with all that its steps need."""

    target: Target
    placement: Placement
    order: Order

    @property
    def environment(self) -> Environment:
        return self.target.environment

    @property
    def version(self) -> ServiceVersion:
        return self.target.rollout.version

    @classmethod
    def load(cls, target_id: int) -> Work:
        """OperationError where its rows are gone."""
        target = (
            Target.objects.select_related(
                "rollout__version__service",
                "placement__deployment",
                "environment__deployment",
            )
            .defer(*_UNUSED)
            .filter(pk=target_id)
            .first()
        )
        if target is None or target.placement is None:
            raise OperationError("This target is not there any more: its rollout was deleted. Start a new rollout.", cause="gone")
        rollout: Rollout = target.rollout
        order = order_for(rollout.version, rollout.inputs, target.environment, f"R-{target.run_id}")
        return cls(target, target.placement, order)

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
            _KEPT.pop((self.target.pk, self.target.run_id or 0), None)

    def begin(self, state: str) -> None:
        """Work starts there: deploying or removing."""
        if self.placement.state == state:
            return
        self.placement.move(state, only_from=_ALL, why="", updated_at=timezone.now())
        workflow = "uninstall" if state == Placement.State.REMOVING else "install"
        self._deployment(
            deployment_status=Deployment.DeploymentStatus.IN_PROGRESS,
            latest_execution_status=IN_PROGRESS,
            latest_execution_workflow=workflow,
            latest_execution_finished=0,
            latest_execution_total=0,
        )

    def note(self, **changes: Any) -> None:
        """Keep what we learnt of the remote side: ids, digest, hash; writes only what is new."""
        new = {name: value for name, value in changes.items() if getattr(self.placement, name) != value}
        if new:
            Placement.objects.filter(pk=self.placement.pk).update(**new, updated_at=timezone.now())
            for name, value in new.items():
                setattr(self.placement, name, value)

    def note_execution(self, look: NotYet) -> None:
        """Copy the progress of the remote execution to the row that lists show."""
        self.note(remote_execution=look.execution_id)
        self._deployment(
            latest_execution=look.execution_id[:36],
            latest_execution_total=look.total,
            latest_execution_finished=look.finished,
        )

    def deployed(self, outcome: Outcome) -> None:
        """It is installed there; `outcome` is what it offers and how the sub-manager sees it."""
        is_good = outcome.deployment_status in ("", "good")
        why = "" if is_good else f"The sub-manager says {outcome.deployment_status} of it; look at it there."
        self.placement.move(
            Placement.State.DEPLOYED, only_from=_ALL, why=why, capabilities=dict(outcome.capabilities), updated_at=timezone.now()
        )
        status = Deployment.DeploymentStatus
        self._deployment(
            installation_status=Deployment.InstallationStatus.ACTIVE,
            deployment_status=status.GOOD if is_good else status.REQUIRES_ATTENTION,
            latest_execution_status="completed",
        )
        self._settled()

    def removed(self) -> None:
        """It is gone from there, and so are its rows here; targets keep telling of it."""
        deployment = self.placement.deployment
        with transaction.atomic():
            self.placement.delete()
            deployment.delete()
            self._settled()

    def failed(self, why: str, *, differs: bool = False) -> None:
        """It did not come about; or something else is there."""
        state = Placement.State.DIFFERS if differs else Placement.State.FAILED
        self.placement.move(state, only_from=_ALL, why=why[:512], updated_at=timezone.now())
        self._deployment(deployment_status=Deployment.DeploymentStatus.REQUIRES_ATTENTION, latest_execution_status="failed")
        self._settled()

    def _settled(self) -> None:
        """It has no children of its own: what changes with it begins at its environment."""
        refresh_states(self.environment.deployment)
        self.drop()

    def _deployment(self, **changes: Any) -> None:
        row = self.placement.deployment
        new = {name: value for name, value in changes.items() if getattr(row, name) != value}
        if new:
            Deployment.objects.filter(pk=row.pk).update(**new, updated_at=timezone.now())
            for name, value in new.items():
                setattr(row, name, value)


@functools.lru_cache(maxsize=4)
def archive_bytes(digest: str) -> bytes:
    """The content of an archive; safe to keep, for the digest names the content."""
    return bytes(Archive.objects.values_list("content", flat=True).get(pk=digest))


def forget() -> None:
    """Keep nothing."""
    with _LOCK:
        _KEPT.clear()
