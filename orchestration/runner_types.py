"""What the portal and the runner's host say to each other: settings, orders, calls, outcomes; plain data and protocols."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

Row = dict[str, Any]
# evaluate(of, payload, context, storage): see RunnerHost.evaluate
Evaluate = Callable[[str, Any, Row | None, "EvaluationStorage"], Any]


class RunnerError(Exception):
    """The runner itself cannot work; the text says what to do."""


class BlueprintProblem(Exception):
    """A blueprint, its inputs or its functions are wrong.

    kind: dsl yaml missing_input unknown_input constraint unknown_secret dynamic_secret function plugin host_agent path
    component custom_workflow no_main_file too_deep too_big limit internal. `code` is the parser's number, `line` counts from 1.
    """

    def __init__(self, kind: str, message: str, code: int | None = None, line: int | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.code = code
        self.line = line


@dataclasses.dataclass(frozen=True)
class RunnerSettings:
    """How this installation runs blueprints. Sizes in bytes, times in seconds."""

    venv: Path
    work_root: Path | None = None
    """Where the children's work folders are made (not noexec); a new folder in the system's temporary folder if None."""
    deployments_root: Path | None = None
    """Below it, `deployments/<tenant>/<id>` is a folder that a deployment's scripts keep between operations; none if None."""
    hidden: Sequence[Path] = ()
    """Files and folders of the portal that children must not see where the kernel lets us hide them."""
    sandbox: str = "auto"
    """auto; or uid, namespace, none; or the name of one cage: namespaces+user, user, namespaces."""
    uid_base: int = 61_234
    uid_count: int = 2_048
    """As root, each deployment's processes run as one of these users."""
    max_operations: int = 16
    """Operation processes at once, over all executions; others wait."""
    memory_limit: int = 1 << 30
    open_files: int = 512
    processes: int = 512
    cancel_grace: float = 10.0
    """How long operations may go on after a cancel before they are ended."""
    parse_cpu: int = 10
    parse_wall: float = 30.0
    evaluate_wall: float = 10.0
    max_logs: int = 50_000
    message_limit: int = 16_384
    workflow_line: int = 64 << 20
    operation_line: int = 4 << 20
    resource_limit: int = 50 << 20


@dataclasses.dataclass(frozen=True)
class WorkflowOrder:
    """One execution to run. `parameters` are complete (defaults merged in), `secret_names` is what its plan may ask for."""

    execution_id: str
    workflow_id: str
    workflow_function: str
    """plan["workflows"][workflow_id]["operation"]."""
    deployment_id: str
    blueprint_id: str
    tenant: str
    blueprint_folder: Path
    older_folder: Path | None = None
    """During an update, the blueprint that it was before: what is uninstalled finds its scripts there."""
    parameters: Row = dataclasses.field(default_factory=dict)
    secret_names: frozenset[str] = frozenset()
    deployment_display_name: str = ""
    creator: str = ""
    resource_tags: Row = dataclasses.field(default_factory=dict)
    resume: bool = False
    dry_run: bool = False
    time_limit: float = 3_600.0
    reports_death: bool = True
    """Store "failed" when the workflow's process is lost; False: whoever asked decides whether it goes on."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How an execution ended: `status` is terminated, failed or cancelled, and is already stored through the gateway."""

    status: str
    error: str | None = None
    died: bool = False
    """The process ended without saying how (killed, out of memory)."""


@dataclasses.dataclass(frozen=True)
class Subject:
    """Whom an operation that the portal carries out is about: an instance of a node, all functions evaluated."""

    instance_id: str
    operation: str
    properties: Row = dataclasses.field(repr=False)
    runtime_properties: Row = dataclasses.field(repr=False)
    inputs: Row = dataclasses.field(repr=False)
    folder: Path = Path()
    """The unpacked blueprint."""


@dataclasses.dataclass(frozen=True)
class Look:
    """What one look at such an operation found: it is done, it has failed (`error`), or it is looked at again after `wait` seconds."""

    is_done: bool = False
    error: str = ""
    wait: float = 1.0
    properties: Row | None = None
    """Runtime properties to set; one that is None is taken away."""
    said: Sequence[tuple[str, str]] = ()
    """Log lines: (level, text)."""
    result: Any = None


class Served(Protocol):
    """An operation that the portal carries out: prepared once, then looked at until it is done or has failed."""

    def prepare(self, subject: Subject) -> str:
        """Take in what it is about; what is wrong with that, or ""."""

    def look(self) -> Look:
        """One look, in a thread of its own; safe to repeat, also by another process after a crash."""

    def cancel(self, kind: str) -> None:
        """The next looks bring about its end."""

    def describe(self) -> str:
        """What is left elsewhere if it is given up now, in words for a person; or ""."""


@dataclasses.dataclass(frozen=True)
class Call:
    """One REST call of a child, already checked by the host: of a v3.1 path without /api/v3.1."""

    method: str
    path: str
    query: Row
    body: Any
    evaluate: Evaluate


@dataclasses.dataclass(frozen=True)
class Answer:
    """Status and JSON body."""

    status: int
    body: Any = None


class Gateway(Protocol):
    """What answers the calls of one execution; called only from the thread that runs the execution."""

    def handle(self, call: Call) -> Answer:
        """Answer one call. Errors are answers ({message, error_code}), not exceptions."""

    def handle_batch(self, calls: Sequence[Call]) -> None:
        """Store several calls at once, in order, in one transaction: POST /events and PATCH /operations/ID, already answered."""

    def served(self, function: str) -> Served | None:
        """What carries out this operation of components and shared resources."""


class EvaluationStorage(Protocol):
    """What intrinsic functions are evaluated against. LookupError: no such thing."""

    def get_input(self, name: str) -> Any: ...
    def get_node(self, node_id: str) -> Row: ...
    def get_node_instance(self, instance_id: str) -> Row: ...
    def get_node_instances(self, node_id: str) -> list[Row]: ...
    def get_secret(self, name: str) -> Any: ...
    def get_capability(self, path: list[Any]) -> Any: ...
    def get_group_capability(self, path: list[Any]) -> Any: ...
    def get_environment_capability(self, path: list[Any]) -> Any: ...
    def get_label(self, key: str, index: int | None) -> Any: ...
    def get_sys(self, entity: str, prop: str) -> Any: ...
    def get_consumers(self, prop: str) -> Any: ...


class PlanStorage(Protocol):
    """What is asked while a deployment is prepared."""

    def secret_exists(self, name: str) -> bool:
        """May the person who creates the deployment read this secret?"""

    def matching_values(self, data_type: str, value: Any, constraints: Row) -> list[Any]:
        """For inputs of type deployment_id and the like: the values that match."""


class JobHost(Protocol):
    """What starts children; RunnerHost."""

    settings: RunnerSettings

    def job(self, key: str, message: Row, storage: Any, wall: float, **more: Any) -> Any:
        """Run a short job in a child."""


class VersionConflict(Exception):
    """A node instance was changed by somebody else since it was read."""


class IllegalStatus(Exception):
    """An execution cannot go from its present status to this one."""


class Store(EvaluationStorage, Protocol):
    """The rows of one execution's deployment, in v3.1 shape; implemented on the database (and in memory by the tests)."""

    def transaction(self) -> AbstractContextManager[Any]: ...
    def execution(self) -> Row: ...
    def conclude(self, status: str, error: str | None) -> tuple[str, str | None]:
        """What the end that a workflow reports is to be stored as, after what it leads to; called outside of a transaction."""

    def set_execution_status(self, status: str, error: str | None) -> Row: ...
    def deployment(self) -> Row: ...
    def blueprint(self) -> Row: ...
    def config(self) -> list[Row]:
        """[{name, value}]: task_retries, task_retry_interval, subgraph_retries, max_workflow_threads..."""

    def nodes(self) -> list[Row]: ...
    def node_instances(self) -> list[Row]: ...
    def update_node_instance(self, instance_id: str, changes: Row, version: int | None) -> Row:
        """Raises VersionConflict when `version` is older than the stored one, LookupError when there is none; adds 1 to it."""

    def task_graphs(self, name: str | None) -> list[Row]: ...
    def create_task_graph(self, name: str, operations: list[Row]) -> Row: ...
    def operations(self, graph_id: str) -> list[Row]: ...
    def operation(self, operation_id: str) -> Row: ...
    def put_operation(self, operation: Row) -> Row: ...
    def update_operation(self, operation_id: str, changes: Row) -> None: ...
    def delete_operation(self, operation_id: str) -> None: ...
    def add_events(self, records: list[Row]) -> None:
        """Append records: type, timestamp, event_type or logger and level, message, operation, node_instance_id, node_name,
        source_id, target_id, error_causes."""
