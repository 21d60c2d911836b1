"""What the intrinsic functions of a deployment are evaluated against, and the evaluation of its capabilities and outputs."""

from __future__ import annotations

from typing import Any

from accounts.models import User
from accounts.secrets import may_read_value, reveal
from inventory import capabilities
from inventory.models import Deployment
from inventory.querysets import visible
from orchestration.asking import usable_secret
from orchestration.models import BlueprintNode, LocalDeployment, NodeInstance
from orchestration.runner_functions import has_functions
from orchestration.runner_host import RunnerHost
from orchestration.runner_types import Row

DEPTH_LIMIT = 4  # capabilities of deployments that are made of those of others


class DeploymentStorage:
    """A runner_types.EvaluationStorage on the database, with the secrets of the plan that `user` may use.

    `is_reading`: the user will see the result, so that only values count that the user may read.
    """

    def __init__(
        self, local: LocalDeployment, host: RunnerHost, user: User | None, depth: int = 0, *, is_reading: bool = False
    ) -> None:
        self.local = local
        self.tenant = local.deployment.tenant
        self.deployment_id = local.deployment.wire_id
        self.blueprint_id = local.blueprint.wire_id
        self._host = host
        self._user = user
        self._depth = depth
        self._is_reading = is_reading

    def get_input(self, name: str) -> Any:
        return (self.local.inputs or {})[name]

    def nodes(self) -> list[Row]:
        return [
            node_row(row, self.deployment_id, self.blueprint_id)
            for row in BlueprintNode.objects.filter(local=self.local)
        ]

    def node_instances(self) -> list[Row]:
        rows = NodeInstance.objects.filter(local=self.local).select_related("node")
        return [instance_row(row, self.deployment_id) for row in rows]

    def get_node(self, node_id: str) -> Row:
        row = BlueprintNode.objects.filter(local=self.local, name=node_id).first()
        if row is None:
            raise LookupError(f"Node {node_id} not found")
        return node_row(row, self.deployment_id, self.blueprint_id)

    def get_node_instance(self, instance_id: str) -> Row:
        row = NodeInstance.objects.filter(local=self.local, wire_id=instance_id).select_related("node").first()
        if row is None:
            raise LookupError(f"Node instance {instance_id} not found")
        return instance_row(row, self.deployment_id)

    def get_node_instances(self, node_id: str) -> list[Row]:
        rows = NodeInstance.objects.filter(local=self.local, node__name=node_id).select_related("node")
        return [instance_row(row, self.deployment_id) for row in rows]

    def get_secret(self, name: str) -> Any:
        if name not in self.local.secret_names:
            raise LookupError(f"Secret '{name}' is not one that the deployment's plan names")
        secret = usable_secret(self._user, self.tenant, name)
        if self._is_reading and not may_read_value(self._user, secret):
            raise LookupError(f"The value of secret '{name}' is not for {self._user}")
        return reveal(secret)

    def get_capability(self, path: list[Any]) -> Any:
        row = (
            Deployment.objects.filter(visible(self._user, self.tenant), wire_id=path[0])
            .select_related("tenant")
            .first()
        )
        if row is None:
            raise LookupError(f"Deployment {path[0]} not found")
        return self._capability(row, path[1:])

    def get_environment_capability(self, path: list[Any]) -> Any:
        parent = Deployment.objects.filter(children=self.local.deployment_id).select_related("tenant").first()
        if parent is None:
            raise LookupError(
                f"Deployment {self.deployment_id} has no parent (label csys-obj-parent) whose capability {path[0]} could be read"
            )
        return self._capability(parent, path)

    def _capability(self, row: Deployment, path: list[Any]) -> Any:
        if self._depth >= DEPTH_LIMIT:
            raise LookupError(
                f"Capabilities of {row.wire_id} lead through more than {DEPTH_LIMIT} deployments, or in a circle"
            )
        value: Any = evaluated(
            row, "capabilities", self._host, self._user, self._depth + 1, is_reading=self._is_reading
        )
        for part in path:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                raise LookupError(f"Deployment {row.wire_id} has no capability {'.'.join(map(str, path))}") from None
        return value

    def get_group_capability(self, path: list[Any]) -> Any:
        raise LookupError("Deployment groups are not served by this manager yet")

    def get_label(self, key: str, index: int | None) -> Any:
        labels = self.local.deployment.labels.filter(key=str(key).lower()).order_by("pk")
        values = list(labels.values_list("value", flat=True))
        if index is None:
            return values
        if index >= len(values):
            raise LookupError(f"Deployment {self.deployment_id} has no label {key} number {index}")
        return values[index]

    def get_sys(self, entity: str, prop: str) -> Any:
        deployment = self.local.deployment
        known = {
            ("tenant", "name"): self.tenant.name,
            ("deployment", "id"): self.deployment_id,
            ("deployment", "name"): deployment.display_name,
            ("deployment", "blueprint"): self.blueprint_id,
            ("deployment", "owner"): deployment.created_by.username if deployment.created_by else "",
        }
        return known[(entity, prop)]

    def get_consumers(self, prop: str) -> Any:
        children = Deployment.objects.filter(parent=self.local.deployment_id).order_by("pk")
        if prop == "count":
            return children.count()
        return list(children.values_list("wire_id" if prop == "ids" else "display_name", flat=True))


def evaluated(
    deployment: Deployment, of: str, host: RunnerHost, user: User | None, depth: int = 0, *, is_reading: bool = False
) -> Row:
    """{name: value} of the deployment's `capabilities` or `outputs`; {} before it is created. BlueprintProblem where that fails."""
    if capabilities.is_kept(deployment):
        return capabilities.read(deployment) if of == "capabilities" else {}
    values = from_blueprint(deployment, of, host, user, depth, is_reading=is_reading)
    return capabilities.with_environment(deployment, values) if of == "capabilities" else values


def from_blueprint(
    deployment: Deployment, of: str, host: RunnerHost, user: User | None, depth: int = 0, *, is_reading: bool = False
) -> Row:
    """The same of what was deployed here, as its blueprint alone has it."""
    rows = LocalDeployment.objects.select_related("deployment__tenant", "deployment__created_by", "blueprint")
    local = rows.defer("blueprint__plan").filter(deployment=deployment).first()
    section = (local.plan or {}).get(of) if local is not None else None
    if local is None or not section:
        return {}
    if not has_functions(section):
        return {name: entry.get("value") for name, entry in section.items()}
    return dict(host.evaluate(of, section, None, DeploymentStorage(local, host, user, depth, is_reading=is_reading)))


def node_row(row: BlueprintNode, deployment_id: str, blueprint_id: str) -> Row:
    """A node as the library reads one."""
    own = {"id": row.name, "name": row.name, "node_name": row.name, "type": row.type}
    return {**row.body, **own, "deployment_id": deployment_id, "blueprint_id": blueprint_id}


def instance_row(row: NodeInstance, deployment_id: str) -> Row:
    """A node instance as the library reads one."""
    return {
        "id": row.wire_id,
        "name": row.node.name,
        "node_id": row.node.name,
        "deployment_id": deployment_id,
        "host_id": row.host_id,
        "index": row.index,
        "state": row.state,
        "version": row.version,
        "relationships": row.relationships,
        "runtime_properties": row.runtime_properties,
        "system_properties": row.system_properties,
        "scaling_groups": row.scaling_groups,
    }
