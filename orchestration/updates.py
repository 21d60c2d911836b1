"""Updates of deployments: asked for, previewed, and for all members of a group at once; the rows are update_plans' business."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Sequence
from typing import Any

from django.db import transaction

from accounts import audit
from accounts.actors import Actor
from accounts.models import Tenant
from inventory.models import Deployment
from orchestration import deployments, execution_groups, executions, states, update_plans
from orchestration.errors import Refused, bad_parameters
from orchestration.group_models import DeploymentGroup, ExecutionGroup
from orchestration.models import Blueprint, Execution, LocalDeployment
from orchestration.runner_types import BlueprintProblem
from orchestration.update_ends import UPDATE
from orchestration.update_models import DeploymentUpdate

GROUP_WORKFLOW = "csys_update_deployment"
FLAGS = (
    "skip_install",
    "skip_uninstall",
    "skip_reinstall",
    "force_reinstall",
    "ignore_failure",
    "install_first",
    "auto_correct_types",
    "skip_drift_check",
)


@dataclasses.dataclass(frozen=True)
class Wanted:
    """An update as it was asked for."""

    blueprint: Blueprint | None = None  # None: the one that it has
    inputs: dict[str, Any] = dataclasses.field(default_factory=dict)
    flags: dict[str, bool] = dataclasses.field(default_factory=dict)  # of FLAGS
    reinstall_list: Sequence[str] = ()
    runtime_only_evaluation: bool | None = None


def new_update(by: Actor, local: LocalDeployment, wanted: Wanted) -> DeploymentUpdate:
    """The row, not stored yet; Refused for inputs that the blueprint does not know, for instances that are not there."""
    blueprint = wanted.blueprint or local.blueprint
    if blueprint.state != Blueprint.State.UPLOADED:
        raise Refused(
            400, "invalid_blueprint_error", f"Blueprint {blueprint.wire_id} is not `uploaded` but: `{blueprint.state}`"
        )
    declared = (blueprint.plan or {}).get("inputs") or {}
    # What the new blueprint does not have any more falls away; what was asked for now must be there.
    kept = {name: value for name, value in (local.inputs or {}).items() if name in declared}
    inputs = {**kept, **wanted.inputs}
    deployments.check_inputs(blueprint.plan or {}, inputs)
    deployments.check_not_wider(local.deployment.wire_id, local.deployment.visibility, blueprint)
    there = set(local.instances.filter(wire_id__in=wanted.reinstall_list).values_list("wire_id", flat=True))
    if missing := sorted(set(wanted.reinstall_list) - there):
        raise bad_parameters(f"reinstall_list names instances that are not there: {', '.join(missing)}")
    runtime_only = wanted.runtime_only_evaluation
    return DeploymentUpdate(
        local=local,
        wire_id=f"{local.deployment.wire_id}-{uuid.uuid4()}",
        old_blueprint=local.blueprint,
        new_blueprint=blueprint,
        old_inputs=local.inputs,
        new_inputs=inputs,
        options={**wanted.flags, "reinstall_list": list(wanted.reinstall_list)},
        runtime_only_evaluation=local.runtime_only_evaluation if runtime_only is None else runtime_only,
        created_by=by.user,
    )


def preview(*, by: Actor, local: LocalDeployment, wanted: Wanted) -> DeploymentUpdate:
    """The steps that the update would take; the row is not kept, nothing is changed."""
    executions.check_environment_is_made(local)
    update = new_update(by, local, wanted)
    update.state = DeploymentUpdate.State.PREVIEW
    try:
        update_plans.preview(update)
    except BlueprintProblem as problem:
        raise Refused(400, "deployment_creation_error", problem.message) from None
    return update


@transaction.atomic
def initiate(*, by: Actor, local: LocalDeployment, wanted: Wanted, force: bool = False) -> DeploymentUpdate:
    """Begin an update; its execution finds the steps, and fails where they cannot be."""
    LocalDeployment.objects.select_for_update().filter(pk=local.pk).first()
    executions.check_environment_is_made(local)
    busy = list(local.executions.filter(state__in=states.UNFINISHED).order_by("created_at"))
    if busy and not force:
        raise executions.busy_error(busy)
    update = new_update(by, local, wanted)
    execution = execution_of(by, update, force)
    execution.save(force_insert=True)
    update.execution = execution
    update.save(force_insert=True)
    audit.record(by=by, action="deployment.update", row=local.deployment, tenant=execution.tenant, after=told(update))
    executions.begin_run(execution, by=by, lock="" if force else executions.lock_of(local))
    states.note_latest(execution)
    return update


def execution_of(by: Actor, update: DeploymentUpdate, force: bool) -> Execution:
    """The execution of an update, not stored yet."""
    local = update.local
    return Execution(
        tenant=local.deployment.tenant,
        local=local,
        blueprint=update.new_blueprint,
        workflow=UPDATE,
        parameters={"update_id": update.wire_id, **update.options},
        allow_custom_parameters=True,
        is_forced=force,
        visibility=local.deployment.visibility,
        created_by=by.user,
    )


def told(update: DeploymentUpdate) -> dict[str, Any]:
    """What the audit trail keeps: names and digests, no values of inputs beyond what it masks itself."""
    return {
        "update": update.wire_id,
        "old_blueprint": str(update.old_blueprint or ""),
        "new_blueprint": str(update.new_blueprint or ""),
        "inputs": sorted(
            name for name, value in (update.new_inputs or {}).items() if (update.old_inputs or {}).get(name) != value
        ),
    }


@transaction.atomic
def update_group(
    *,
    by: Actor,
    tenant: Tenant,
    members: Sequence[Deployment],
    wanted: Wanted,
    concurrency: int,
    force: bool,
    group: DeploymentGroup | None = None,
) -> ExecutionGroup:
    """The same update of many deployments; one that cannot be updated so keeps all of them from it."""
    locals_by_id = execution_groups.locals_of(members)
    row = execution_groups.new_group(by, tenant, GROUP_WORKFLOW, concurrency, group=group, members=members)
    updates, runs = [], []
    for deployment in members:
        local = (
            LocalDeployment.objects.select_related("deployment__tenant", "blueprint")
            .defer("plan")
            .get(pk=locals_by_id[deployment.pk].pk)
        )
        executions.check_environment_is_made(local)
        try:
            update = new_update(by, local, wanted)
        except Refused as refused:
            raise Refused(refused.status, refused.code, f"{deployment.wire_id}: {refused.message}") from None
        execution = execution_of(by, update, force)
        execution.group = row
        updates.append((update, execution))
        runs.append(execution)
        audit.record(by=by, action="deployment.update", row=deployment, tenant=tenant, after=told(update))
    execution_groups.begin(by, row, runs)
    for update, execution in updates:
        update.execution = execution
        update.save(force_insert=True)
    return row
