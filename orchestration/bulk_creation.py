"""Many deployments of one blueprint at once, in a number of queries that does not grow with them; one is made by deployments."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models import Q

from accounts import audit
from accounts.actors import Actor
from accounts.models import Tenant, Visibility
from inventory import label_rules, names
from inventory.deployments import check_visibility
from inventory.labels import ParentNotFound
from inventory.models import Deployment, Label, Site
from inventory.rollup import refresh_many
from orchestration import deployments
from orchestration.errors import Refused, bad_parameters, exists
from orchestration.fan_out import begin_many
from orchestration.group_models import ExecutionGroup
from orchestration.identity import check_id
from orchestration.models import Blueprint, Execution, LocalDeployment

CREATE = "create_deployment_environment"
IN_PROGRESS = "in_progress"


@dataclasses.dataclass(frozen=True)
class New:
    """One deployment to make; labels as pairs, not normalised."""

    wire_id: str
    inputs: dict[str, Any]
    labels: Sequence[label_rules.Pair] = ()
    display_name: str = ""
    site: Site | None = None
    runtime_only_evaluation: bool = False


@transaction.atomic
def create_many(
    *,
    by: Actor,
    tenant: Tenant,
    blueprint: Blueprint,
    wanted: Sequence[New],
    visibility: str,
    group: ExecutionGroup,
) -> list[Deployment]:
    """Make them all or none; their environments are then created as the executions of `group`."""
    check_all(by, tenant, blueprint, wanted, visibility)
    labels = [list(dict.fromkeys(label_rules.normalise(key, value) for key, value in new.labels)) for new in wanted]
    parents = parents_of(by, tenant, labels)
    executions = [
        Execution(
            tenant=tenant,
            blueprint=blueprint,
            workflow=CREATE,
            allow_custom_parameters=True,
            visibility=visibility,
            created_by=by.user,
            group=group,
        )
        for _ in wanted
    ]
    rows = Deployment.objects.bulk_create(
        Deployment(
            tenant=tenant,
            wire_id=new.wire_id,
            kind=Deployment.Kind.LOCAL,
            display_name=names.check_title(new.display_name or new.wire_id, "display_name"),
            description=blueprint.description,
            blueprint_name=blueprint.wire_id,
            site=new.site,
            parent=parents.get(parent_id(pairs)),
            visibility=visibility,
            deployment_status=Deployment.DeploymentStatus.IN_PROGRESS,
            latest_execution=str(execution.pk),
            latest_execution_workflow=CREATE,
            latest_execution_status=IN_PROGRESS,
            created_by=by.user,
        )
        for new, pairs, execution in zip(wanted, labels, executions, strict=True)
    )
    Label.objects.bulk_create(
        Label(deployment=row, key=key, value=value, created_by=by.user)
        for row, pairs in zip(rows, labels, strict=True)
        for key, value in pairs
        if key != label_rules.CONSUMER_KEY
    )
    keep_locals(blueprint, rows, wanted, executions)
    tell(by, blueprint, rows, labels)
    refresh_many({row.parent_id for row in rows if row.parent_id is not None})
    begin_many(by=by, group=group, executions=executions)
    return rows


def tell(
    by: Actor, blueprint: Blueprint, rows: Sequence[Deployment], labels: Sequence[Sequence[label_rules.Pair]]
) -> None:
    """An entry of the audit trail for each of them."""
    after = [
        {"wire_id": row.wire_id, "blueprint": blueprint.wire_id, "labels": [f"{key}={value}" for key, value in pairs]}
        for row, pairs in zip(rows, labels, strict=True)
    ]
    audit.record_rows(by=by, action="deployment.create", rows=rows, tenant=rows[0].tenant, after=after)


def keep_locals(
    blueprint: Blueprint, rows: Sequence[Deployment], wanted: Sequence[New], executions: Sequence[Execution]
) -> None:
    """What belongs to this app of each new deployment."""
    made = LocalDeployment.objects.bulk_create(
        LocalDeployment(
            deployment=row,
            blueprint=blueprint,
            given_inputs=new.inputs,
            runtime_only_evaluation=new.runtime_only_evaluation,
            create_execution=str(execution.pk),
        )
        for row, new, execution in zip(rows, wanted, executions, strict=True)
    )
    for execution, local in zip(executions, made, strict=True):
        execution.local = local


def check_all(by: Actor, tenant: Tenant, blueprint: Blueprint, wanted: Sequence[New], visibility: str) -> None:
    """Refused for what one of them alone would be refused for."""
    if blueprint.state != Blueprint.State.UPLOADED:
        raise Refused(
            400,
            "deployment_creation_error",
            f"Unable to create a deployment based on a blueprint which is not `uploaded` but: `{blueprint.state}`",
        )
    check_visibility(by, visibility)
    for new in wanted:
        check_id(new.wire_id, "deployment_id", begins_with_letter=False)
        deployments.check_inputs(blueprint.plan or {}, new.inputs)
        if new.site is not None and visibility != Visibility.PRIVATE and new.site.visibility == Visibility.PRIVATE:
            raise bad_parameters(
                f"Site {new.site.name} is private, and what stands there cannot be seen more widely. Widen the site first."
            )
    deployments.check_not_wider(wanted[0].wire_id, visibility, blueprint)
    ids = [new.wire_id for new in wanted]
    twice = [wire_id for wire_id, count in Counter(ids).items() if count > 1]
    if twice:
        raise bad_parameters(f"These ids are given to more than one new deployment: {', '.join(twice[:3])}")
    taken = Deployment.objects.filter(wire_id__in=ids)
    if visibility != Visibility.GLOBAL:
        taken = taken.filter(Q(tenant=tenant) | Q(visibility=Visibility.GLOBAL))
    for wire_id in list(taken.values_list("wire_id", flat=True)):
        deployments.remove_failed_creation(by=by, tenant=tenant, wire_id=wire_id)
    left = taken.order_by("wire_id").values_list("wire_id", flat=True).first()
    if left is not None:
        raise exists("Deployment", left, tenant.name)


def parent_id(pairs: Sequence[label_rules.Pair]) -> str:
    """The parent that labels name, or ""."""
    return next((value for key, value in pairs if key == label_rules.PARENT_KEY), "")


def parents_of(by: Actor, tenant: Tenant, labels: Sequence[Sequence[label_rules.Pair]]) -> dict[str, Deployment]:
    """All deployments that labels name as parents, by id; 404 where one is not there."""
    named = {value for pairs in labels for key, value in pairs if key == label_rules.PARENT_KEY}
    if not named:
        return {}
    found = Deployment.objects.visible_to(by.user, tenant).filter(wire_id__in=named)
    by_id = {row.wire_id: row for row in found}
    missing = sorted(named - set(by_id))
    if missing:
        raise ParentNotFound(missing[0])
    return by_id
