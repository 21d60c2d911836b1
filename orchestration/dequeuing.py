"""What keeps an execution that has waited for its turn from beginning: the world may have changed since it was asked for."""

from __future__ import annotations

from orchestration.models import Execution, LocalDeployment, NodeInstance
from orchestration.update_ends import UPDATE
from orchestration.workflows import is_available

PREFIX = "Error dequeueing execution: "


def problem_of(row: Execution) -> str:
    """Why an execution of a group cannot begin now, or ""; forced and resumed ones are not asked."""
    if row.group_id is None or row.local is None or row.is_resume or row.started_at is not None:
        return ""
    if row.local.inputs is None:
        return f"{PREFIX}create_deployment_environment failed: see the first execution of the deployment"
    if row.workflow == UPDATE:  # needs no declaration, nor any state of the instances
        return ""
    found = LocalDeployment.objects.filter(pk=row.local.pk).values_list("plan__workflows", "plan__node_types").first()
    workflows, types = found or ({}, [])
    declared = (workflows or {}).get(row.workflow)
    if declared is None:
        return f"{PREFIX}Workflow {row.workflow} does not exist in the deployment"
    states = list(NodeInstance.objects.filter(local=row.local_id).values_list("state", flat=True))
    if not row.is_forced and not is_available(row.workflow, declared, states, set(types or ())):
        return f"{PREFIX}Workflow not available: {row.workflow}"
    return ""
