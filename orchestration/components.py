"""Components and shared resources: what each of their operations does, as looks of the portal itself. Whom they talk to is in components_client."""

from __future__ import annotations

from collections.abc import Callable

from orchestration.components_blueprint import UploadBlueprint
from orchestration.components_deployment import CreateDeployment, DeleteDeployment
from orchestration.components_drift import BringBlueprint, CheckDrift, CheckSharedDrift, UpdateDeployment
from orchestration.components_looks import ComponentLooks
from orchestration.components_shared import ConnectDeployment, DisconnectDeployment, RunOnShared
from orchestration.components_workflow import CheckStatus, Refresh, RunWorkflow
from orchestration.models import Execution
from orchestration.runner_types import Served

# As the types name them; orchestration/runner/checks.py refuses any other at upload.
OPERATIONS: dict[str, Callable[[Execution], ComponentLooks]] = {
    "cloudify_types.component.upload_blueprint": UploadBlueprint,
    "cloudify_types.component.create": CreateDeployment,
    "cloudify_types.component.execute_start": RunWorkflow,
    "cloudify_types.component.delete": DeleteDeployment,
    "cloudify_types.component.refresh": Refresh,
    "cloudify_types.component.check_status": CheckStatus,
    "cloudify_types.component.check_drift": CheckDrift,
    "cloudify_types.component.preupdate": BringBlueprint,
    "cloudify_types.component.update": UpdateDeployment,
    "cloudify_types.shared_resource.connect_deployment": ConnectDeployment,
    "cloudify_types.shared_resource.disconnect_deployment": DisconnectDeployment,
    "cloudify_types.shared_resource.execute_workflow": RunOnShared,
    "cloudify_types.shared_resource.refresh": Refresh,
    "cloudify_types.shared_resource.check_status": CheckStatus,
    "cloudify_types.shared_resource.check_drift": CheckSharedDrift,
}


def serve(execution: Execution, function: str) -> Served | None:
    """What carries out this operation for the execution; None where there is no such operation."""
    kind = OPERATIONS.get(function)
    return kind(execution) if kind is not None else None
