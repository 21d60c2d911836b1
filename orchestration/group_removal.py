"""Many deployments removed at once, those of a group together with it, as an execution group of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.db import transaction
from django.db.models import Count

from accounts.actors import Actor
from accounts.models import Tenant
from inventory.models import Deployment
from orchestration import dependencies, states
from orchestration import executions as single
from orchestration.errors import dependent_exists
from orchestration.execution_groups import SHOWN, begin, locals_of, new_group
from orchestration.group_models import DEFAULT_CONCURRENCY, DeploymentGroup, ExecutionGroup
from orchestration.models import Execution, LocalDeployment, NodeInstance
from orchestration.workflows import NOT_LIVE


@transaction.atomic
def delete_members(
    *,
    by: Actor,
    tenant: Tenant,
    members: Sequence[Deployment],
    force: bool,
    recursive: bool,
    group: DeploymentGroup | None = None,
) -> ExecutionGroup:
    """Remove deployments, deepest first; all that stands in the way is said before anything begins."""
    rows = [*members, *(descendants(members) if recursive else [])]
    locals_by_id = locals_of(rows)
    keys = {row.pk for row in rows}
    children = Deployment.objects.filter(parent__in=keys).exclude(pk__in=keys).order_by("wire_id")
    left = list(children.values_list("wire_id", flat=True)[:SHOWN])
    if left and not force:  # with force they are detached
        raise dependent_exists(
            f"Can't delete the deployments{whose(group)} - they are parents of these, which are not among them: "
            f"{', '.join(left)}. Remove those first, or delete recursively"
        )
    users = [] if force else dependencies.users_of(rows)
    if users:
        raise dependent_exists(
            f"Can't delete the deployments{whose(group)} - these depend on them and are not among them: "
            f"{', '.join(users)}. Uninstall and delete those first"
        )
    if not force:
        check_are_idle(group, list(locals_by_id.values()))
    executions = deletions(by, tenant, rows, locals_by_id, force)
    row = new_group(by, tenant, single.DELETE, DEFAULT_CONCURRENCY, group=group, members=rows)
    for execution in executions:
        execution.group = row
    begin(by, row, executions, in_order=any(one.parent_id in keys for one in rows))
    return row


def deletions(
    by: Actor,
    tenant: Tenant,
    rows: Sequence[Deployment],
    locals_by_id: Mapping[int, LocalDeployment],
    force: bool,
) -> list[Execution]:
    """One execution for each deployment, children before their parents."""
    above = {row.pk: row.parent_id for row in rows}

    def depth(pk: int | None) -> int:
        return 1 + depth(above[pk]) if pk in above else 0

    return [
        Execution(
            tenant=tenant,
            local=locals_by_id[row.pk],
            blueprint_id=locals_by_id[row.pk].blueprint_id,
            workflow=single.DELETE,
            parameters={"force": force},
            allow_custom_parameters=True,
            visibility=row.visibility,
            created_by=by.user,
        )
        for row in sorted(rows, key=lambda row: -depth(row.pk))
    ]


def descendants(members: Sequence[Deployment]) -> list[Deployment]:
    """All deployments below these that are not among them."""
    known = {row.pk for row in members}
    level, found = set(known), []
    while level:
        below = list(Deployment.objects.filter(parent__in=level).exclude(pk__in=known))
        found += below
        level = {row.pk for row in below}
        known |= level
    return found


def whose(group: DeploymentGroup | None) -> str:
    """Of which group, in words."""
    return f" of group {group.wire_id}" if group is not None else ""


def check_are_idle(group: DeploymentGroup | None, rows: Sequence[LocalDeployment]) -> None:
    """400 while something runs on them, or an instance lives."""
    prefix = f"Can't delete the deployments{whose(group)} - "
    busy = Execution.objects.filter(local__in=rows, state__in=states.UNFINISHED).values("local__deployment__wire_id")
    shown = [row["local__deployment__wire_id"] for row in busy.annotate(count=Count("pk"))[:SHOWN]]
    if shown:
        raise dependent_exists(f"{prefix}There are running or queued executions on: {', '.join(shown)}")
    live = NodeInstance.objects.filter(local__in=rows).exclude(state__in=NOT_LIVE).values("local__deployment__wire_id")
    shown = [row["local__deployment__wire_id"] for row in live.annotate(count=Count("pk"))[:SHOWN]]
    if shown:
        raise dependent_exists(f"{prefix}There are live nodes in: {', '.join(shown)}")
