"""A Store in memory: what the database holds for one deployment, for tests of the runner without Django."""

from __future__ import annotations

import contextlib
import copy
import uuid
from typing import Any

from orchestration.runner_types import IllegalStatus, VersionConflict


class MemoryStore:
    """Rows of one deployment and its executions; made from a prepared plan."""

    def __init__(self, plan: dict[str, Any], deployment_id: str = "dep", secrets: dict[str, Any] | None = None) -> None:
        self.plan = plan
        self.deployment_id = deployment_id
        self.secrets = secrets or {}
        self.status = "pending"
        self.error: str | None = None
        self.execution_id = ""
        self.workflow_id = ""
        self.events: list[dict[str, Any]] = []
        self.graphs: dict[str, dict[str, Any]] = {}
        self.stored_operations: dict[str, dict[str, Any]] = {}
        self.settings = {"task_retries": 0, "task_retry_interval": 0, "subgraph_retries": 0, "max_workflow_threads": 8}
        self.patches = 0
        self.node_rows = [self._node(node) for node in plan["nodes"]]
        self.instances = {row["id"]: self._instance(row) for row in plan["node_instances"]}

    def _node(self, node: dict[str, Any]) -> dict[str, Any]:
        scale = node["capabilities"]["scalable"]["properties"]
        return {
            **node, "node_name": node["name"], "deployment_id": self.deployment_id, "blueprint_id": "bp",
            "number_of_instances": scale["current_instances"], "planned_number_of_instances": scale["current_instances"],
            "deploy_number_of_instances": scale["default_instances"], "min_number_of_instances": scale["min_instances"],
            "max_number_of_instances": scale["max_instances"],
        }  # fmt: skip

    def _instance(self, row: dict[str, Any]) -> dict[str, Any]:
        empty = {"relationships": [], "scaling_groups": [], "host_id": None, "index": 1}
        own = {"node_id": row["name"], "deployment_id": self.deployment_id, "version": 1, "state": "uninitialized"}
        return {**empty, **row, **own, "runtime_properties": {}, "system_properties": {}}

    def begin(self, execution_id: str, workflow_id: str) -> None:
        """A new execution, or the same again (resume)."""
        self.execution_id, self.workflow_id, self.status, self.error = execution_id, workflow_id, "pending", None

    def transaction(self) -> Any:
        return contextlib.nullcontext()

    def execution(self) -> dict[str, Any]:
        return {
            "id": self.execution_id,
            "status": self.status,
            "workflow_id": self.workflow_id,
            "deployment_id": self.deployment_id,
        }

    def conclude(self, status: str, error: str | None) -> tuple[str, str | None]:
        return status, error

    def set_execution_status(self, status: str, error: str | None) -> dict[str, Any]:
        if status == "started" and self.status in ("cancelling", "cancelled"):
            raise IllegalStatus(f"{self.status} to {status}")
        self.status, self.error = status, error
        return self.execution()

    def deployment(self) -> dict[str, Any]:
        return {
            "id": self.deployment_id,
            "blueprint_id": "bp",
            "scaling_groups": self.plan["scaling_groups"],
            "workflows": [],
        }

    def blueprint(self) -> dict[str, Any]:
        return {"id": "bp", "plan": self.plan, "visibility": "tenant", "tenant_name": "default_tenant"}

    def config(self) -> list[dict[str, Any]]:
        return [{"name": name, "value": value, "scope": "workflow"} for name, value in self.settings.items()]

    def nodes(self) -> list[dict[str, Any]]:
        return copy.deepcopy(self.node_rows)

    def node_instances(self) -> list[dict[str, Any]]:
        return copy.deepcopy(list(self.instances.values()))

    def update_node_instance(self, instance_id: str, changes: dict[str, Any], version: int | None) -> dict[str, Any]:
        self.patches += 1
        row = self.get_node_instance(instance_id)
        if version is not None and version < row["version"]:
            raise VersionConflict(f"{instance_id} is at version {row['version']}, not {version}")
        self.instances[instance_id] = {**row, **copy.deepcopy(changes), "version": row["version"] + 1}
        return self.instances[instance_id]

    def task_graphs(self, name: str | None) -> list[dict[str, Any]]:
        mine = [graph for graph in self.graphs.values() if graph["execution_id"] == self.execution_id]
        return [graph for graph in mine if name is None or graph["name"] == name]

    def create_task_graph(self, name: str, operations: list[dict[str, Any]]) -> dict[str, Any]:
        graph = {"id": str(uuid.uuid4()), "name": name, "execution_id": self.execution_id}
        self.graphs[graph["id"]] = graph
        for row in operations:
            self.put_operation({**row, "tasks_graph_id": graph["id"]})
        return graph

    def operations(self, graph_id: str) -> list[dict[str, Any]]:
        return copy.deepcopy([row for row in self.stored_operations.values() if row["tasks_graph_id"] == graph_id])

    def operation(self, operation_id: str) -> dict[str, Any]:
        return self.stored_operations[operation_id]

    def put_operation(self, operation: dict[str, Any]) -> dict[str, Any]:
        self.stored_operations[operation["id"]] = copy.deepcopy(operation)
        return operation

    def update_operation(self, operation_id: str, changes: dict[str, Any]) -> None:
        self.stored_operations[operation_id].update(changes)

    def delete_operation(self, operation_id: str) -> None:
        del self.stored_operations[operation_id]

    def add_events(self, records: list[dict[str, Any]]) -> None:
        self.events += copy.deepcopy(records)

    # What functions are evaluated against.

    def get_input(self, name: str) -> Any:
        return self.plan["inputs"][name]

    def get_node(self, node_id: str) -> dict[str, Any]:
        return next(copy.deepcopy(row) for row in self.node_rows if row["id"] == node_id)

    def get_node_instance(self, instance_id: str) -> dict[str, Any]:
        if instance_id not in self.instances:
            raise LookupError(f"Node instance {instance_id} not found")
        return copy.deepcopy(self.instances[instance_id])

    def get_node_instances(self, node_id: str) -> list[dict[str, Any]]:
        return [row for row in self.node_instances() if row["node_id"] == node_id]

    def get_secret(self, name: str) -> Any:
        if name not in self.secrets:
            raise LookupError(f"Secret {name} not found")
        return self.secrets[name]

    def get_sys(self, entity: str, prop: str) -> Any:
        return {("tenant", "name"): "default_tenant", ("deployment", "id"): self.deployment_id}[(entity, prop)]


class PlanSecrets:
    """What is asked while a plan is prepared: secrets exist or not."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def secret_exists(self, name: str) -> bool:
        return name in self.names

    def matching_values(self, data_type: str, value: Any, constraints: dict[str, Any]) -> list[Any]:
        return [value] if value == "existing" else []
