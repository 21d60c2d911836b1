"""What keeps an execution that has waited for its turn from beginning: the world may have changed since it was asked for."""

from __future__ import annotations

from django.db.models import Q

from orchestration.dependency_models import Dependency
from orchestration.exposed import UNINSTALL
from orchestration.models import Execution, LocalDeployment, NodeInstance
from orchestration.update_ends import UPDATE
from orchestration.workflows import is_available

NAMED = 3
PREFIX = "Error dequeueing execution: "


def waits_for(row: Execution) -> str:
    """What of the same group has its turn before: an uninstall comes after those of what stands on its deployment. "" where nothing has."""
    if row.group_id is None or row.workflow != UNINSTALL or row.is_forced or row.started_at is not None:
        return ""
    names = sorted(wire_id(one) for one in before(row) if one.state not in Execution.FINAL)
    return f"Waits for the uninstall of what stands on it: {named(names)}." if names else ""


def wire_id(row: Execution) -> str:
    """Of its deployment."""
    return row.local.deployment.wire_id if row.local is not None else ""


def problem_of(row: Execution) -> str:
    """Why an execution of a group cannot begin now, or ""; forced and resumed ones are not asked."""
    if row.group_id is None or row.local is None or row.is_resume or row.started_at is not None:
        return ""
    if row.local.inputs is None:
        return f"{PREFIX}create_deployment_environment failed: see the first execution of the deployment"
    if row.workflow == UNINSTALL and not row.is_forced:
        stays = [one for one in before(row) if one.state in (Execution.State.FAILED, Execution.State.CANCELLED)]
        if stays:
            names = named(sorted(wire_id(one) for one in stays))
            return f"{PREFIX}What stands on it was not uninstalled: {names}. Uninstall that first, then this again"
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


def before(execution: Execution) -> list[Execution]:
    """The executions of the same group and workflow on what stands on its deployment: its turn is after theirs."""
    if execution.local is None:
        return []
    target = execution.local.deployment_id
    users = Dependency.objects.filter(target=target).values("source")
    others = Execution.objects.filter(group=execution.group_id, workflow=execution.workflow).exclude(pk=execution.pk)
    on_it = Q(local__deployment__parent=target) | Q(local__deployment__in=users)
    return list(others.filter(on_it).select_related("local__deployment").defer("local__plan", "parameters"))


def named(names: list[str]) -> str:
    """The first of them, and how many more."""
    rest = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {rest:,} more" if rest > 0 else "")
