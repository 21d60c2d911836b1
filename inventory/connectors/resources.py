"""What a manager holds, as typed values: blueprints, deployments, executions, events, nodes; only the fields we use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from inventory.connectors.fields import NEEDED, LacksFieldError
from inventory.connectors.shapes import Json, WrongShapeError, mapping, number, text, text_or_empty

ACTIVE_STATUSES = frozenset(
    ("pending", "started", "cancelling", "force_cancelling", "kill_cancelling", "queued", "scheduled")
)
END_STATUSES = frozenset(("terminated", "failed", "cancelled"))
BLUEPRINT_FAILURES = frozenset(("failed_uploading", "failed_extracting", "failed_parsing", "invalid"))


@dataclass(frozen=True)
class Blueprint:
    """A blueprint there. `state` is uploaded, on its way there, or one of BLUEPRINT_FAILURES with its `error`."""

    id: str
    state: str
    error: str

    @classmethod
    def read(cls, content: Json) -> Blueprint:
        return cls(text(content, "id"), text(content, "state"), text_or_empty(content, "error"))

    @property
    def is_uploaded(self) -> bool:
        return self.state == "uploaded"

    @property
    def has_failed(self) -> bool:
        return self.state in BLUEPRINT_FAILURES


@dataclass(frozen=True)
class BlueprintPlan:
    """What an uploaded blueprint asks for and offers: `inputs` as declared, names of `capabilities`."""

    id: str
    inputs: Mapping[str, dict[str, Any]] = field(repr=False)
    capabilities: tuple[str, ...] = ()
    description: str = ""

    @classmethod
    def read(cls, content: Json) -> BlueprintPlan:
        plan = mapping(content, "plan")
        inputs = mapping(plan, "inputs")
        if not all(isinstance(facts, dict) for facts in inputs.values()):
            raise WrongShapeError("'inputs' of the plan hold something else than inputs")
        return cls(
            text(content, "id"), inputs, tuple(mapping(plan, "capabilities")), text_or_empty(content, "description")
        )


@dataclass(frozen=True)
class Execution:
    """One run of a workflow there."""

    id: str
    status: str
    workflow_id: str = ""
    deployment_id: str = ""
    error: str = field(default="", repr=False)
    finished_operations: int = 0
    total_operations: int = 0
    created_at: str = ""
    ended_at: str = ""

    FIELDS = "id,status,workflow_id,deployment_id,error,finished_operations,total_operations,created_at,ended_at"

    @classmethod
    def read(cls, content: Json) -> Execution:
        return cls(
            text(content, "id"),
            text(content, "status"),
            text_or_empty(content, "workflow_id"),
            text_or_empty(content, "deployment_id"),
            text_or_empty(content, "error"),
            number(content, "finished_operations"),
            number(content, "total_operations"),
            text_or_empty(content, "created_at"),
            text_or_empty(content, "ended_at"),
        )

    @property
    def is_active(self) -> bool:
        return self.status not in END_STATUSES


@dataclass(frozen=True)
class Deployment:
    """A deployment there. Labels map a key to its values; `inputs` is None until the manager has made it."""

    id: str
    blueprint_id: str
    display_name: str
    site_name: str
    labels: Mapping[str, frozenset[str]]
    inputs: Mapping[str, Any] | None = field(repr=False)
    installation_status: str
    deployment_status: str
    create_execution: str
    latest_execution: str
    latest_workflow: str
    latest_status: str
    finished_operations: int
    total_operations: int
    unavailable_instances: int  # that passed no status check, which nobody may have made
    drifted_instances: int

    FIELDS = (
        "id,blueprint_id,display_name,site_name,labels,inputs,installation_status,deployment_status,create_execution,"
        "latest_execution,latest_execution_workflow_id,latest_execution_status,latest_execution_finished_operations,"
        "latest_execution_total_operations,unavailable_instances,drifted_instances"
    )

    @classmethod
    def read(cls, content: Json) -> Deployment:
        """LacksFieldError where what we need most is not told at all; what is told as null is empty."""
        if "id" in content and (lacking := sorted(NEEDED - content.keys())):
            raise LacksFieldError(lacking[0])
        return cls(
            id=text(content, "id"),
            blueprint_id=text_or_empty(content, "blueprint_id"),
            display_name=text_or_empty(content, "display_name"),
            site_name=text_or_empty(content, "site_name"),
            labels=_labels(content),
            inputs=mapping(content, "inputs") if content.get("inputs") is not None else None,
            installation_status=text_or_empty(content, "installation_status"),
            deployment_status=text_or_empty(content, "deployment_status"),
            create_execution=text_or_empty(content, "create_execution"),
            latest_execution=text_or_empty(content, "latest_execution"),
            latest_workflow=text_or_empty(content, "latest_execution_workflow_id"),
            latest_status=text_or_empty(content, "latest_execution_status"),
            finished_operations=number(content, "latest_execution_finished_operations"),
            total_operations=number(content, "latest_execution_total_operations"),
            unavailable_instances=number(content, "unavailable_instances"),
            drifted_instances=number(content, "drifted_instances"),
        )

    def label(self, key: str) -> str:
        """The value of a label that has one value; empty where it is missing or has several."""
        values = self.labels.get(key, frozenset())
        return next(iter(values)) if len(values) == 1 else ""


def _labels(content: Json) -> dict[str, frozenset[str]]:
    rows = content.get("labels") or []
    if not isinstance(rows, list):
        raise WrongShapeError("'labels' is no list")
    found: dict[str, set[str]] = {}
    for row in rows:
        if not isinstance(row, dict):
            raise WrongShapeError("'labels' holds something else than labels")
        found.setdefault(text(row, "key"), set()).add(text(row, "value"))
    return {key: frozenset(values) for key, values in found.items()}


@dataclass(frozen=True)
class Event:
    """One event or log line of a remote execution. `key` identifies it: events and logs count separately."""

    key: tuple[str, int]
    reported_at: str
    message: str
    event_type: str
    level: str
    node_instance_id: str
    operation: str

    @classmethod
    def read(cls, content: Json) -> Event:
        return cls(
            (text(content, "type"), number(content, "_storage_id")),
            text_or_empty(content, "reported_timestamp"),
            text_or_empty(content, "message"),
            text_or_empty(content, "event_type"),
            text_or_empty(content, "level"),
            text_or_empty(content, "node_instance_id"),
            text_or_empty(content, "operation"),
        )


@dataclass(frozen=True)
class EventPage:
    """Some events, oldest first, and how many there are in all."""

    events: tuple[Event, ...]
    total: int


@dataclass(frozen=True)
class Node:
    """One node of a deployment's topology."""

    id: str
    type: str
    instances: int

    @classmethod
    def read(cls, content: Json) -> Node:
        return cls(text(content, "id"), text_or_empty(content, "type"), number(content, "actual_number_of_instances"))


@dataclass(frozen=True)
class NodeInstance:
    """One instance of a node, with the state it is in."""

    id: str
    node_id: str
    state: str
    runtime_properties: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, content: Json) -> NodeInstance:
        return cls(
            text(content, "id"),
            text_or_empty(content, "node_id"),
            text(content, "state"),
            mapping(content, "runtime_properties"),
        )


@dataclass(frozen=True)
class UpdateStep:
    """One difference that an update would carry out: add, remove or modify of something in the topology."""

    action: str
    entity_type: str
    entity_id: str

    @classmethod
    def read_all(cls, content: Json) -> list[UpdateStep]:
        """Of a previewed update."""
        rows = content.get("steps") or []
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise WrongShapeError("'steps' is no list of steps")
        return [cls(text_or_empty(row, "action"), text_or_empty(row, "entity_type"), _path(row)) for row in rows]


def _path(row: Json) -> str:
    """`entity_id` of a step: a text with colons, or the list of its parts."""
    parts = row.get("entity_id")
    return ":".join(map(str, parts)) if isinstance(parts, list) else text_or_empty(row, "entity_id")
