"""What the double holds for one tenant: blueprints, deployments, executions; states follow from the clock, nothing runs."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from inventory.doubles.script import Script

CREATE, DELETE = "create_deployment_environment", "delete_deployment_environment"


@dataclass
class Run:
    """One execution: its status is a function of the time since it was made."""

    workflow: str
    deployment_id: str
    script: Script
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created: float = field(default_factory=time.time)
    cancel_kind: str = ""
    cancelled: float = 0.0

    @property
    def status(self) -> str:
        now = time.time()
        if self.cancel_kind == "kill" or (self.cancel_kind and not self.script.ignores_cancel):
            if now >= self.cancelled + self.script.cancelling:
                return "cancelled"
            return {"cancel": "cancelling", "force-cancel": "force_cancelling", "kill": "kill_cancelling"}[
                self.cancel_kind
            ]
        if self.script.stays_pending and self.workflow != CREATE:
            return "pending"
        seconds = self.script.seconds(self.workflow)
        if now >= self.created + seconds:
            return "failed" if self.script.error(self.workflow) else "terminated"
        if self.cancel_kind:
            return "cancelling"
        return "pending" if now < self.created + min(0.2, seconds / 10) else "started"

    @property
    def is_active(self) -> bool:
        return self.status not in ("terminated", "failed", "cancelled")

    @property
    def ended(self) -> float:
        return (
            self.cancelled + self.script.cancelling
            if self.cancel_kind
            else self.created + self.script.seconds(self.workflow)
        )

    @property
    def summary(self) -> str:
        status = self.status
        if status == "terminated":
            return "completed"
        return status if status in ("failed", "cancelled") else "in_progress"

    def progress(self) -> tuple[int, int]:
        """(finished, total) operations."""
        total = self.script.operations if self.workflow in ("install", "uninstall") else 0
        status = self.status
        if status == "pending" or not total:
            return 0, 0
        if status == "terminated":
            return total, total
        seconds = self.script.seconds(self.workflow) or 1.0
        until = self.cancelled if self.cancel_kind else time.time()
        return max(0, min(total - 1, int(total * (until - self.created) / seconds))), total

    def answer(self) -> dict[str, Any]:
        """As the wire shows it."""
        finished, total = self.progress()
        status = self.status
        is_over, skew = not self.is_active, self.script.clock_skew
        return {
            "id": self.id,
            "status": status,
            "status_display": "completed" if status == "terminated" else status,
            "workflow_id": self.workflow,
            "deployment_id": self.deployment_id,
            "error": (self.script.error(self.workflow) if status == "failed" else "") or ("" if is_over else None),
            "finished_operations": finished,
            "total_operations": total,
            "created_at": stamp(self.created + skew),
            "started_at": None if status == "pending" else stamp(self.created + skew),
            "ended_at": stamp(self.ended + skew) if is_over else None,
            "is_system_workflow": self.workflow in (CREATE, DELETE),
            "is_dry_run": False,
            "parameters": {},
        }


@dataclass
class DeploymentRow:
    """One deployment of the double."""

    id: str
    blueprint_id: str
    display_name: str
    site_name: str | None
    labels: list[dict[str, str]]
    inputs: dict[str, Any]
    script: Script
    runs: list[Run] = field(default_factory=list)

    @property
    def latest(self) -> Run:
        return self.runs[-1]

    @property
    def is_made(self) -> bool:
        return self.runs[0].status == "terminated"

    @property
    def instance_state(self) -> str:
        """Where the node instances stand: after the last install or uninstall that changed anything."""
        for run in reversed(self.runs):
            if run.workflow == "install":
                if run.status == "terminated":
                    return "started"
                if run.status != "pending":
                    return "creating"
            if run.workflow == "uninstall" and run.status == "terminated":
                return "deleted"
        return "uninitialized"

    @property
    def is_live(self) -> bool:
        return bool(self.script.nodes) and self.instance_state not in ("uninitialized", "deleted") and self.is_made

    @property
    def is_installed(self) -> bool:
        return not self.is_made or not self.script.nodes or self.instance_state == "started"

    def answer(self) -> dict[str, Any]:
        """As the wire shows it."""
        latest = self.latest
        summary = latest.summary
        finished, total = latest.progress()
        is_creating = self.runs[0].is_active
        is_installed = self.is_installed and not is_creating
        status = "in_progress" if summary == "in_progress" else "good"
        if summary == "failed" or (not is_installed and summary != "in_progress"):
            status = "requires_attention"
        return {
            "id": self.id,
            "blueprint_id": self.blueprint_id,
            "display_name": self.display_name,
            "site_name": self.site_name,
            "labels": self.labels if self.is_made else [],
            "inputs": self.inputs if self.is_made else None,
            "installation_status": "active" if is_installed else "inactive",
            "deployment_status": status,
            "create_execution": self.runs[0].id,
            "latest_execution": latest.id,
            "latest_execution_workflow_id": latest.workflow,
            "latest_execution_status": summary,
            "latest_execution_finished_operations": finished,
            "latest_execution_total_operations": total,
            "unavailable_instances": 0 if is_installed else self.script.nodes,
            "visibility": "tenant",
        }


@dataclass
class BlueprintRow:
    """One blueprint of the double."""

    id: str
    state: str
    error: str
    ready: float
    size: int
    plan: dict[str, Any] | None = None  # what a test wants it to tell of its inputs and capabilities

    @property
    def present_state(self) -> str:
        return self.state if time.time() >= self.ready else "extracting"

    def answer(self) -> dict[str, Any]:
        state = self.present_state
        return {
            "id": self.id,
            "state": state,
            "error": self.error or None if state == self.state else None,
            "labels": [],
            "description": None,
            "plan": self.plan or {},
        }


class TenantWorld:
    """All that one tenant holds."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.blueprints: dict[str, BlueprintRow] = {}
        self.deployments: dict[str, DeploymentRow] = {}
        self.runs: dict[str, Run] = {}

    def deployment(self, name: str) -> DeploymentRow | None:
        """The deployment, unless its removal has ended meanwhile."""
        row = self.deployments.get(name)
        if row is not None and row.latest.workflow == DELETE and not row.latest.is_active:
            del self.deployments[name]
            for run in row.runs:
                self.runs.pop(run.id, None)
            return None
        return row

    def start(self, row: DeploymentRow, workflow: str) -> Run:
        """Begin a workflow of a deployment."""
        run = Run(workflow, row.id, replace(self.script))  # what is begun keeps its plot, whatever a test changes later
        row.runs.append(run)
        self.runs[run.id] = run
        return run


def stamp(seconds: float) -> str:
    """A time as the wire writes it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
