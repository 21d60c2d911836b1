"""States and counts of a deployment from its own part and its children, carried up to all ancestors; nothing else sets them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from django.db import transaction
from django.db.models import CharField, OuterRef, Subquery, Value

from inventory.label_rules import ENVIRONMENT_TYPE, TYPE_KEY
from inventory.models import Deployment, Environment, Label
from runs.bulk import update_columns

Status = Deployment.DeploymentStatus
SEVERITY = {Status.GOOD: 1, Status.IN_PROGRESS: 2, Status.REQUIRES_ATTENTION: 3}
_BY_SEVERITY: dict[int, str] = {severity: str(status.value) for status, severity in SEVERITY.items()}


class _Row(NamedTuple):
    """What a deployment's states come from, and (the last five) what they are."""

    pk: int
    parent_id: int | None
    kind: str
    latest_execution_status: str | None
    installation_status: str
    environment_state: str | None  # of its connection, where it is an environment; not read of children
    deployment_status: str
    sub_services_status: str | None
    sub_environments_status: str | None
    sub_services_count: int
    sub_environments_count: int


_STATES = _Row._fields[6:]


def refresh_states(deployment: Deployment) -> None:
    """Recompute a deployment and then its ancestors, as far as something changes there; call it after changing what they come from.

    The row given is brought up to date as well.
    """
    row = refresh_many([deployment.pk])[deployment.pk]
    for field in _STATES:
        setattr(deployment, field, getattr(row, field))


def refresh_many(keys: Collection[int]) -> dict[int, _Row]:
    """The same for many deployments together, a few statements a level however many they are; a row that is gone is left out.

    The locks order two children that end at once: the second one sees the first.
    """
    first: dict[int, _Row] = {}
    with transaction.atomic():
        level = set(keys)
        while level:
            before = _lock(level)
            after = _recompute(before)
            changed = {pk: row for pk, row in after.items() if row != before[pk]}
            update_columns(Deployment, {pk: dict(zip(_STATES, row[6:], strict=True)) for pk, row in changed.items()})
            climbing = changed if first else after
            first = first or after
            level = {row.parent_id for row in climbing.values() if row.parent_id is not None}
    return first


def worst(statuses: Iterable[str | None]) -> str | None:
    """The most severe of some statuses; None where there is none."""
    severity = max((SEVERITY[Status(status)] for status in statuses if status), default=0)
    return _BY_SEVERITY.get(severity)


def _own_status(row: _Row) -> str:
    """A deployment's own part: of its environment's connection, or of its latest execution and whether it is installed."""
    if row.kind == Deployment.Kind.ENVIRONMENT:
        return Status.GOOD if row.environment_state == Environment.State.READY else Status.REQUIRES_ATTENTION
    if row.latest_execution_status == "in_progress":
        return Status.IN_PROGRESS
    if row.latest_execution_status == "failed" or row.installation_status == Deployment.InstallationStatus.INACTIVE:
        return Status.REQUIRES_ATTENTION
    # What a blueprint made may be an environment as well: then its connection counts, too.
    is_well = row.environment_state in (None, Environment.State.READY)
    return Status.GOOD if is_well else Status.REQUIRES_ATTENTION


def _lock(keys: Collection[int]) -> dict[int, _Row]:
    state = Environment.objects.filter(deployment=OuterRef("pk")).values("state")
    rows = Deployment.objects.select_for_update(no_key=True).filter(pk__in=keys).order_by("pk")
    rows = rows.annotate(environment_state=Subquery(state[:1]))
    return {row[0]: _Row(*row) for row in rows.values_list(*_Row._fields)}


def _recompute(rows: dict[int, _Row]) -> dict[int, _Row]:
    """These rows as they should be. In Python, over plain rows: aggregates in SQL cost ten times what a few children do."""
    of_environments = Label.objects.filter(deployment__parent__in=rows, key=TYPE_KEY, value=ENVIRONMENT_TYPE)
    environments = set(of_environments.values_list("deployment_id", flat=True))
    children: dict[int, list[_Row]] = {pk: [] for pk in rows}
    unread = Value(None, output_field=CharField())
    for child in (
        Deployment.objects.filter(parent__in=rows).annotate(environment_state=unread).values_list(*_Row._fields)
    ):
        children[child[1]].append(_Row(*child))
    return {pk: _with_children(row, children[pk], environments) for pk, row in rows.items()}


def _with_children(row: _Row, children: list[_Row], environments: set[int]) -> _Row:
    services_count = environments_count = 0
    services: set[str | None] = set()
    below: set[str | None] = set()
    for child in children:
        is_environment = child.pk in environments
        (below if is_environment else services).add(child.deployment_status)
        services.add(child.sub_services_status)
        below.add(child.sub_environments_status)
        services_count += child.sub_services_count + (not is_environment)
        environments_count += child.sub_environments_count + is_environment
    services_status, environments_status = worst(services), worst(below)
    return row._replace(
        deployment_status=worst([_own_status(row), services_status, environments_status]) or Status.GOOD,
        sub_services_status=services_status,
        sub_environments_status=environments_status,
        sub_services_count=services_count,
        sub_environments_count=environments_count,
    )
