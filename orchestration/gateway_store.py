"""The rows of one execution's deployment as the runner's gateway reads and writes them; what the calls mean is in runner_routes."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from inventory.models import Deployment
from orchestration import drift, exposed, states
from orchestration.config import items_of
from orchestration.gateway_functions import DeploymentStorage, instance_row
from orchestration.gateway_modifications import Modifications
from orchestration.models import Execution, ExecutionEvent, NodeInstance, StoredOperation, TaskGraph
from orchestration.runner_host import RunnerHost
from orchestration.runner_types import IllegalStatus, Row, VersionConflict

ENDED = ("succeeded", "failed")
TEXTS = ("event_type", "level", "logger", "operation", "node_name", "node_instance_id", "source_id", "target_id")
WIDTHS = {"event_type": 64, "level": 16, "logger": 128}


class DatabaseStore(Modifications, DeploymentStorage):
    """A runner_types.Store on the database, for the thread that runs one execution."""

    def __init__(self, execution: Execution, host: RunnerHost) -> None:
        assert execution.local is not None
        super().__init__(execution.local, host, execution.created_by)
        self._execution = execution
        self._new = self._finished = 0  # operations, since the counts were last written

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; counts of operations are written once at its end."""
        with transaction.atomic():
            yield
            self._write_counts()

    def _write_counts(self) -> None:
        if not self._new and not self._finished:
            return
        key = str(self._execution.pk)
        rows = Execution.objects.filter(pk=self._execution.pk)
        rows.update(
            total_operations=F("total_operations") + self._new,
            finished_operations=F("finished_operations") + self._finished,
        )
        total, finished = rows.values_list("total_operations", "finished_operations").get()
        self._execution.total_operations, self._execution.finished_operations = total, finished
        Deployment.objects.filter(pk=self.local.deployment_id, latest_execution=key).update(
            latest_execution_total=total, latest_execution_finished=finished
        )
        self._new = self._finished = 0

    # --- the execution and what it is about ---

    def execution(self) -> Row:
        row = self._execution
        row.state = Execution.objects.values_list("state", flat=True).get(pk=row.pk)
        return {
            "id": str(row.pk),
            "status": row.state,
            "workflow_id": row.workflow,
            "deployment_id": self.deployment_id,
            "blueprint_id": self.blueprint_id,
            "parameters": row.parameters,
            "error": row.error or None,
            "is_dry_run": row.is_dry_run,
            "tenant_name": self.tenant.name,
        }

    def conclude(self, status: str, error: str | None) -> tuple[str, str | None]:
        return exposed.conclude(self._execution, self._host, status, error)

    def set_execution_status(self, status: str, error: str | None) -> Row:
        try:
            states.report(self._execution, status, error)
        except states.IllegalReport as illegal:
            raise IllegalStatus(str(illegal)) from None
        return self.execution()

    def deployment(self) -> Row:
        plan = self.local.plan or {}
        parts = (
            "scaling_groups",
            "groups",
            "workflows",
            "outputs",
            "capabilities",
            "resource_tags",
            "policy_types",
            "policy_triggers",
        )
        return {
            "id": self.deployment_id,
            "blueprint_id": self.blueprint_id,
            "display_name": self.local.deployment.display_name,
            "inputs": self.local.inputs,
            "tenant_name": self.tenant.name,
            "labels": [{"key": label.key, "value": label.value} for label in self.local.deployment.labels.all()],
            **{name: plan.get(name) or {} for name in parts},
            "workflows": [{"name": name, **workflow} for name, workflow in (plan.get("workflows") or {}).items()],
        }

    def blueprint(self) -> Row:
        row = self.local.blueprint
        return {
            "id": row.wire_id,
            "plan": row.plan,
            "visibility": row.visibility,
            "tenant_name": row.tenant.name,
            "state": row.state,
        }

    def config(self) -> list[Row]:
        return items_of("workflow")

    # --- nodes and instances ---

    def update_node_instance(self, instance_id: str, changes: Row, version: int | None) -> Row:
        with transaction.atomic():
            rows = NodeInstance.objects.select_for_update(of=("self",)).select_related("node")
            row = rows.filter(local=self.local, wire_id=instance_id).first()
            if row is None:
                raise LookupError(f"Node instance {instance_id} not found")
            if version is not None and version < row.version:
                raise VersionConflict(f"{instance_id} is at version {row.version}, not {version}")
            for name, value in changes.items():
                setattr(row, name, value)
            if row.state in drift.GONE:  # it differs from nothing any more
                row.system_properties = drift.without_drift(row.system_properties)
            row.has_drift = drift.is_drifted(row.system_properties)
            row.version += 1
            row.save(update_fields=[*changes, "system_properties", "has_drift", "version"])
        return instance_row(row, self.deployment_id)

    # --- stored graphs ---

    def task_graphs(self, name: str | None) -> list[Row]:
        rows = TaskGraph.objects.filter(execution=self._execution).order_by("created_at")
        return [graph_row(row) for row in (rows.filter(name=name) if name is not None else rows)]

    def create_task_graph(self, name: str, operations: list[Row]) -> Row:
        graph = TaskGraph.objects.create(execution=self._execution, name=name)
        StoredOperation.objects.bulk_create(
            stored_operation(row, graph.pk, position) for position, row in enumerate(operations)
        )
        self._new += len(operations)
        return graph_row(graph)

    def operations(self, graph_id: str) -> list[Row]:
        rows = StoredOperation.objects.filter(graph__execution=self._execution, graph=as_id(graph_id)).order_by(
            "position"
        )
        return [operation_row(row) for row in rows]

    def operation(self, operation_id: str) -> Row:
        return operation_row(self._operation(operation_id))

    def _operation(self, operation_id: str) -> StoredOperation:
        row = StoredOperation.objects.filter(graph__execution=self._execution, pk=as_id(operation_id)).first()
        if row is None:
            raise LookupError(f"Operation {operation_id} not found")
        return row

    def put_operation(self, operation: Row) -> Row:
        graph = TaskGraph.objects.filter(execution=self._execution, pk=as_id(operation["tasks_graph_id"])).first()
        if graph is None:
            raise LookupError(f"Graph {operation['tasks_graph_id']} not found")
        row = stored_operation(operation, graph.pk, graph.operations.count())
        row.save(force_insert=True)
        self._new += 1
        return operation_row(row)

    def update_operation(self, operation_id: str, changes: Row) -> None:
        row = self._operation(operation_id)
        if "state" in changes:
            self._finished += (changes["state"] in ENDED) - (row.state in ENDED)
        for name, value in changes.items():
            setattr(row, name, value)
        row.save(update_fields=list(changes))

    def delete_operation(self, operation_id: str) -> None:
        row = self._operation(operation_id)
        self._new -= 1
        self._finished -= row.state in ENDED
        row.delete()

    # --- events ---

    def add_events(self, records: list[Row]) -> None:
        ExecutionEvent.objects.bulk_create(stored_event(record, self._execution) for record in records)


def as_id(text: Any) -> uuid.UUID:
    """The id of a stored row; LookupError for a text that is none."""
    try:
        return uuid.UUID(str(text))
    except ValueError:
        raise LookupError(f"{text} not found") from None


def graph_row(row: TaskGraph) -> Row:
    """A graph as the library reads one."""
    return {"id": str(row.pk), "name": row.name, "execution_id": str(row.execution_id)}


def stored_operation(row: Row, graph_id: uuid.UUID, position: int) -> StoredOperation:
    """The row of an operation, not stored yet."""
    return StoredOperation(
        id=as_id(row["id"]),
        graph_id=graph_id,
        position=position,
        name=str(row.get("name") or "")[:512],
        type=row["type"],
        state=row["state"],
        dependencies=row.get("dependencies") or [],
        parameters=row.get("parameters") or {},
    )


def operation_row(row: StoredOperation) -> Row:
    """An operation as the library reads one."""
    return {
        "id": str(row.pk),
        "name": row.name,
        "state": row.state,
        "type": row.type,
        "dependencies": row.dependencies,
        "parameters": row.parameters,
        "tasks_graph_id": str(row.graph_id),
    }


def stored_event(record: Row, execution: Execution) -> ExecutionEvent:
    """The row of an event or a log, not stored yet."""
    texts = {name: str(record.get(name) or "")[: WIDTHS.get(name, 256)] for name in TEXTS}
    return ExecutionEvent(
        execution=execution,
        kind=record["type"],
        timestamp=read_timestamp(record.get("timestamp")),
        message=str(record.get("message") or "").replace("\x00", ""),
        error_causes=record.get("error_causes"),
        **{name: text.replace("\x00", "") for name, text in texts.items()},
    )


def read_timestamp(text: Any) -> Any:
    """A time as a child wrote it; now where that is none."""
    try:
        moment = parse_datetime(str(text))
    except ValueError:
        moment = None
    if moment is None:
        return timezone.now()
    return moment if moment.tzinfo else timezone.make_aware(moment)
