"""What the pages of deployments read: the hierarchy as rows and breadcrumbs, a deployment's nodes, the events of an execution."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.db.models import Case, Count, IntegerField, Q, QuerySet, Value, When
from django.urls import reverse

from accounts.models import Tenant, User
from inventory.models import Deployment
from inventory.querysets import DeploymentQuerySet
from orchestration.models import Execution, ExecutionEvent, LocalDeployment, NodeInstance
from orchestration.workflows import listed_workflows

Status = Deployment.DeploymentStatus
WORST_FIRST = (Status.REQUIRES_ATTENTION, Status.IN_PROGRESS, Status.GOOD)
DEEPEST = 20  # levels of breadcrumbs
FAILURES = ("workflow_failed", "task_failed")
LEVELS = ("debug", "info", "warning", "error", "critical")


def worst_first(rows: DeploymentQuerySet) -> DeploymentQuerySet:
    """With what a row of the list shows; by severity, then by name."""
    places = [When(deployment_status=status, then=Value(place)) for place, status in enumerate(WORST_FIRST)]
    severity = Case(*places, default=Value(9), output_field=IntegerField())
    return rows.select_related("site", "environment", "placement", "local").order_by(severity, "display_name", "pk")


def ancestors(deployment: Deployment, user: User, tenant: Tenant) -> list[Deployment]:
    """From the top down to the parent; those that the user may not see are left out. One query a level."""
    found: list[Deployment] = []
    parent_id = deployment.parent_id
    while parent_id is not None and len(found) < DEEPEST:
        parent = Deployment.objects.select_related("environment").get(pk=parent_id)
        found.insert(0, parent)
        parent_id = parent.parent_id
    seen = set(
        Deployment.objects.visible_to(user, tenant)
        .filter(pk__in=[row.pk for row in found])
        .values_list("pk", flat=True)
    )
    return [row for row in found if row.pk in seen]


def address_of(deployment: Deployment) -> str:
    """Where a deployment has its page: an environment and what was deployed here their own, a placement that of its environment."""
    if deployment.kind == Deployment.Kind.ENVIRONMENT and hasattr(deployment, "environment"):
        return reverse("environment", args=[deployment.environment.pk])
    if deployment.kind == Deployment.Kind.PLACEMENT and hasattr(deployment, "placement"):
        return reverse("environment", args=[deployment.placement.environment_id])
    return reverse("deployment", args=[deployment.pk])


def drifted_of(rows: Iterable[Deployment]) -> dict[int, int]:
    """How many instances have drifted, by key of the deployment."""
    found = NodeInstance.objects.filter(has_drift=True, local__deployment__in=[row.pk for row in rows]).order_by()
    return dict(found.values_list("local__deployment").annotate(Count("pk")))


@dataclasses.dataclass(frozen=True)
class NodeRow:
    """A node of a deployment, with its instances by state."""

    name: str
    type: str
    states: list[tuple[str, int]]
    drifted: int


def nodes_of(local: LocalDeployment) -> list[NodeRow]:
    """Nodes in the order of the blueprint; two queries."""
    instances: dict[int, list[Any]] = {}
    for instance in local.instances.only("pk", "node_id", "state", "has_drift"):
        instances.setdefault(instance.node_id, []).append(instance)
    return [
        NodeRow(
            node.name,
            node.type,
            sorted(Counter(one.state for one in instances.get(node.pk, [])).items()),
            sum(one.has_drift for one in instances.get(node.pk, [])),
        )
        for node in local.nodes.only("pk", "name", "type", "local_id")
    ]


def workflows_of(local: LocalDeployment) -> list[dict[str, Any]]:
    """The workflows that may be started, those available now first."""
    states = list(local.instances.values_list("state", flat=True))
    found = listed_workflows(local.plan, states) if local.plan else []
    return sorted(found, key=lambda workflow: (not workflow["is_available"], workflow["name"]))


def events_of(execution: Execution, level: str, search: str) -> QuerySet[ExecutionEvent]:
    """Events and logs of an execution, the latest first; `level`: of this one and worse."""
    rows = ExecutionEvent.objects.filter(execution=execution)
    if level in LEVELS:
        # Events have no level: those of failures count as errors, the others as information.
        are_failures = LEVELS.index(level) > LEVELS.index("info")
        events = Q(level="", event_type__in=FAILURES) if are_failures else Q(level="")
        rows = rows.filter(Q(level__in=LEVELS[LEVELS.index(level) :]) | events)
    if search:
        rows = rows.filter(
            Q(message__icontains=search) | Q(node_instance_id__icontains=search) | Q(operation__icontains=search)
        )
    return rows.order_by("-reported_at", "-id")
