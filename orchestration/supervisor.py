"""The executions that this process runs: a thread each that serves the child's calls, their heartbeats, cancels from elsewhere.

The runner itself is in runner_host; what an execution is and when it is run is decided by operations.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import uuid
from datetime import timedelta
from functools import cached_property, partial
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from orchestration import components
from orchestration.folders import folder_of
from orchestration.gateway_store import DatabaseStore
from orchestration.models import Execution, LocalDeployment
from orchestration.runner_gateway import RestGateway
from orchestration.runner_host import RunnerHost
from orchestration.runner_types import Outcome, RunnerError, RunnerSettings, WorkflowOrder
from orchestration.update_ends import UPDATE
from orchestration.update_models import DeploymentUpdate
from runs import engine
from runs.models import Step
from runs.states import StepState

logger = logging.getLogger(__name__)
TICK_SECONDS = 0.5
UPDATE_FUNCTION = "runner.updating.update"
KINDS = {
    Execution.State.CANCELLING: "cancel",
    Execution.State.FORCE_CANCELLING: "force-cancel",
    Execution.State.KILL_CANCELLING: "kill",
}


class Full(Exception):
    """This process runs as many executions as it may; the text says how many."""


class Supervisor:
    """One a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended: dict[str, threading.Event] = {}
        self._told: dict[str, str] = {}  # the cancel that was passed on last
        self._ticker: threading.Thread | None = None
        self._host: RunnerHost | None = None
        self._host_lock = threading.Lock()

    @cached_property
    def name(self) -> str:
        """Who holds an execution: host, process, and a part that no other process has."""
        return f"{settings.NODE_NAME[:64]}|{os.getpid()}|{uuid.uuid4().hex[:12]}"

    @property
    def host(self) -> RunnerHost:
        """Its runner, made once whichever thread comes first; its processes start with the first use."""
        with self._host_lock:
            if self._host is None:
                self._host = self._make_host()
            return self._host

    def warm(self) -> None:
        """Start the runner ahead of its first use. Where that fails, whoever uses it first is told; here the log is."""
        try:
            self.host.start()
        except (RunnerError, OSError) as error:
            logger.warning("The runner could not be started ahead of its first use. %s", error)

    def _make_host(self) -> RunnerHost:
        data = Path(settings.DATA_DIR)
        host = RunnerHost(
            RunnerSettings(
                venv=Path(settings.RUNNER_PYTHON).parent.parent,
                hidden=(data, Path(settings.BASE_DIR) / ".env"),
                sandbox=settings.RUNNER_SANDBOX,
                uid_base=settings.RUNNER_UID,
                max_operations=settings.RUNNER_SLOTS,
            )
        )
        atexit.register(host.close)
        return host

    # --- beginning and waiting ---

    def begin(self, execution: Execution, *, is_resume: bool) -> None:
        """Claim the execution and run it in a thread; Full where too many run here. Nothing where somebody else was faster."""
        key = str(execution.pk)
        order = order_of(execution, is_resume=is_resume)
        with self._lock:
            if key in self._ended:
                return
            # Those that wait for something elsewhere do not count, or what they wait for might never get a place here.
            waiting = min(self.host.count_waiting(), settings.RUNNER_SLOTS * 12)
            if len(self._ended) - waiting >= settings.RUNNER_SLOTS * 4:
                raise Full(f"Waits for a free place: {len(self._ended)} executions run in this process.")
            self._ended[key] = threading.Event()
        claimed = Execution.objects.filter(pk=execution.pk, state=execution.state, held_by=execution.held_by)
        if not claimed.update(held_by=self.name, heartbeat_at=Now()):
            with self._lock:
                self._ended.pop(key).set()
            return
        execution.held_by = self.name
        threading.Thread(target=self._run, args=(execution, order), name=f"execution-{key[:8]}", daemon=True).start()
        self._watch()

    def wait(self, key: str, seconds: float) -> bool:
        """Has it ended here within this time?"""
        ended = self._ended.get(key)
        return ended is None or ended.wait(seconds)

    def is_held(self, execution: Execution) -> bool:
        """Is some living process at it?"""
        if not execution.held_by:
            return False
        if execution.held_by == self.name:
            return str(execution.pk) in self._ended
        node, _, rest = execution.held_by.partition("|")
        if node == settings.NODE_NAME[:64] and not Path(f"/proc/{rest.partition('|')[0]}").exists():
            return False
        # By the database's clock, which also wrote it: those of two hosts may differ, and what is taken for dead is run twice.
        limit = Now() - timedelta(seconds=settings.RUN_DEAD_AFTER_SECONDS)
        return Execution.objects.filter(pk=execution.pk, heartbeat_at__gt=limit).exclude(held_by="").exists()

    def poke(self, execution: Execution) -> None:
        """Pass a cancel on at once where the execution runs here; elsewhere its own supervisor looks twice a second."""
        kind = KINDS.get(Execution.State(execution.state))
        if kind is not None:
            self._pass_on(str(execution.pk), kind)

    def close(self) -> None:
        """End everything that runs here; other processes, or the next one, go on with it."""
        if self._host is not None:
            self._host.close()

    # --- in threads ---

    def _run(self, execution: Execution, order: WorkflowOrder) -> None:
        key = str(execution.pk)
        try:
            outcome = self.host.run_workflow(
                order, RestGateway(DatabaseStore(execution, self.host), partial(components.serve, execution))
            )
            self._settle(execution, outcome)
        finally:
            Execution.objects.filter(pk=execution.pk, held_by=self.name).update(held_by="")
            with self._lock:
                self._told.pop(key, None)
                self._ended.pop(key).set()
            wake(execution)
            connection.close()

    def _settle(self, execution: Execution, outcome: Outcome) -> None:
        """Where the process was lost the state stays as it is, and the step's next look goes on from there."""
        if outcome.died:
            Execution.objects.filter(pk=execution.pk).exclude(state__in=Execution.FINAL).update(
                error=outcome.error or ""
            )

    def _pass_on(self, key: str, kind: str) -> None:
        with self._lock:
            if key not in self._ended or self._told.get(key) == kind:
                return
            self._told[key] = kind
        if not self.host.cancel(key, kind):
            with self._lock:  # its thread has not got as far as that: the next tick tries again
                self._told.pop(key, None)

    def _watch(self) -> None:
        with self._lock:
            if self._ticker is None or not self._ticker.is_alive():
                self._ticker = threading.Thread(target=self._tick, name="executions", daemon=True)
                self._ticker.start()

    def _tick(self) -> None:
        """While anything runs here: heartbeats, and cancels that another process was asked for."""
        beat = time.monotonic()
        try:
            while keys := list(self._ended):
                for pk, state in Execution.objects.filter(pk__in=keys, state__in=list(KINDS)).values_list(
                    "pk", "state"
                ):
                    self._pass_on(str(pk), KINDS[Execution.State(state)])
                if time.monotonic() - beat >= settings.RUN_HEARTBEAT_SECONDS:
                    beat = time.monotonic()
                    Execution.objects.filter(pk__in=keys, held_by=self.name).update(heartbeat_at=Now())
                time.sleep(TICK_SECONDS)
        finally:
            connection.close()


def order_of(execution: Execution, *, is_resume: bool) -> WorkflowOrder:
    """What the runner needs to know."""
    local = (
        LocalDeployment.objects.select_related("deployment", "blueprint")
        .defer("blueprint__plan")
        .get(executions=execution)
    )
    plan = local.plan or {}
    assert local.blueprint.archive_id is not None
    return WorkflowOrder(
        execution_id=str(execution.pk),
        workflow_id=execution.workflow,
        workflow_function=UPDATE_FUNCTION
        if execution.workflow == UPDATE
        else plan["workflows"][execution.workflow]["operation"],
        deployment_id=local.deployment.wire_id,
        blueprint_id=local.blueprint.wire_id,
        tenant=execution.tenant.name,
        blueprint_folder=folder_of(local.blueprint.archive_id),
        older_folder=older_folder_of(execution),
        parameters=execution.parameters,
        secret_names=frozenset(local.secret_names),
        deployment_display_name=local.deployment.display_name,
        creator=execution.created_by.username if execution.created_by else "",
        resource_tags=plan.get("resource_tags") or {},
        resume=is_resume,
        dry_run=execution.is_dry_run,
        time_limit=float(settings.RUNNER_EXECUTION_SECONDS),
        reports_death=False,
    )


def older_folder_of(execution: Execution) -> Path | None:
    """The folder of the blueprint that an update replaces; None where there is none, or it is the same."""
    update = (
        DeploymentUpdate.objects.filter(execution=execution).select_related("old_blueprint", "new_blueprint").first()
    )
    old = update.old_blueprint if update is not None else None
    is_other = old is not None and update is not None and old != update.new_blueprint
    return folder_of(old.archive_id) if is_other and old is not None and old.archive_id is not None else None


def wake(execution: Execution) -> None:
    """Have the engine look at the step now. One that is being looked at just now is waited for, a second at most."""
    found = Execution.objects.select_related("run").filter(pk=execution.pk).first()
    run = found.run if found is not None else None
    if run is None:
        return
    for _ in range(40):
        if not Step.objects.filter(run=run, state=StepState.RUNNING).exists():
            break
        time.sleep(0.025)
    engine.wake(run)


supervisor = Supervisor()
