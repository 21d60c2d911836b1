"""Execution groups: one workflow on all members of a deployment group, cancelled and resumed together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Q

from accounts import audit
from accounts.actors import Actor
from accounts.models import Tenant, Visibility
from inventory.models import Deployment
from orchestration import executions as single
from orchestration import fan_out, group_ends, states
from orchestration.errors import Refused, bad_parameters, illegal_action
from orchestration.group_models import DeploymentGroup, ExecutionGroup
from orchestration.models import Blueprint, Execution, LocalDeployment
from orchestration.supervisor import supervisor
from orchestration.workflows import merged_parameters
from runs import engine
from runs.states import FINAL_RUN_STATES

State = Execution.State
SHOWN = 3
WAITING = {State.PENDING, State.QUEUED, State.SCHEDULED}


def status_of(found: Sequence[str]) -> str | None:
    """The state of a group from those of its executions, by the rules of v3.1; None where there are none."""
    there = set(found)
    if not there:
        return None
    if there == {State.PENDING}:
        return str(State.PENDING)
    if there <= WAITING:
        return str(State.QUEUED)
    if there <= Execution.FINAL:
        return str(State.FAILED if State.FAILED in there else State.TERMINATED)
    return str(State.STARTED)


@transaction.atomic
def start(
    *,
    by: Actor,
    tenant: Tenant,
    members: Sequence[Deployment],
    workflow: str,
    group: DeploymentGroup | None = None,
    default_parameters: dict[str, Any] | None = None,
    parameters: Mapping[str, dict[str, Any]] | None = None,
    concurrency: int = 5,
    force: bool = False,
    allow_custom: bool = False,
) -> ExecutionGroup:
    """Start the workflow on these deployments, members of the group where there is one; one that has no such workflow is left out,
    and the log of the execution group says so."""
    locals_by_id = locals_of(members)
    workflows = workflows_of(list(locals_by_id.values()))
    row = new_group(by, tenant, workflow, concurrency, group=group, members=members)
    executions, without = [], []
    for deployment in members:
        local = locals_by_id[deployment.pk]
        declared = workflows[local.pk].get(workflow)
        if declared is None:
            without.append(deployment.wire_id)
            continue
        given = {**(default_parameters or {}), **(parameters or {}).get(deployment.wire_id, {})}
        try:
            whole = merged_parameters(workflow, declared, given, allow_custom=allow_custom)
        except Refused as refused:
            raise Refused(refused.status, refused.code, f"{deployment.wire_id}: {refused.message}") from None
        executions.append(
            Execution(
                tenant=tenant,
                local=local,
                blueprint_id=local.blueprint_id,
                workflow=workflow,
                parameters=whole,
                is_forced=force,
                allow_custom_parameters=allow_custom,
                visibility=deployment.visibility,
                created_by=by.user,
                group=row,
            )
        )
    if without:
        group_ends.say(row.pk, f"Workflow {workflow} does not exist in: {', '.join(sorted(without))}", level="warning")
    begin(by, row, executions)
    return row


def begin(by: Actor, row: ExecutionGroup, executions: Sequence[Execution], *, in_order: bool = False) -> None:
    """Hand the executions of a new group to the engine, and write that down."""
    if executions:
        fan_out.begin_many(by=by, group=row, executions=executions, in_order=in_order)
        fan_out.show_latest(executions)
    audit.record(
        by=by,
        action="execution_group.start",
        row=row,
        tenant=row.tenant,
        after={
            "group": str(row.deployment_group or ""),
            "workflow": row.workflow,
            "executions": len(executions),
            "concurrency": row.concurrency,
        },
    )


def new_group(
    by: Actor,
    tenant: Tenant,
    workflow: str,
    concurrency: int,
    *,
    group: DeploymentGroup | None,
    members: Sequence[Deployment],
) -> ExecutionGroup:
    """A stored execution group without executions; of deployments chosen one by one it is private where all of them are."""
    is_private = bool(members) and all(row.visibility == Visibility.PRIVATE for row in members)
    row = ExecutionGroup(
        tenant=tenant,
        deployment_group=group,
        workflow=workflow,
        concurrency=concurrency,
        visibility=group.visibility if group else Visibility.PRIVATE if is_private else Visibility.TENANT,
        created_by=by.user,
    )
    row.save(force_insert=True)
    return row


def locals_of(members: Sequence[Deployment]) -> dict[int, LocalDeployment]:
    """What was deployed here of each member, by the key of its deployment; 400 where others are among them."""
    rows = LocalDeployment.objects.filter(deployment__in=[row.pk for row in members]).select_related("deployment")
    found = {local.deployment_id: local for local in rows.defer("plan", "inputs", "given_inputs")}
    others = sorted(row.wire_id for row in members if row.pk not in found)
    if others:
        shown = ", ".join(others[:SHOWN]) + (f" and {len(others) - SHOWN} more" if len(others) > SHOWN else "")
        raise bad_parameters(
            f"These are environments or services placed on environments, which are not run by this manager: {shown}. "
            "Leave them out, or use their pages or /api/v1 for them."
        )
    return found


def workflows_of(rows: Sequence[LocalDeployment]) -> dict[int, dict[str, Any]]:
    """The workflows of each, by its key; of one that is still being created, those of its blueprint."""
    wanted = [row.pk for row in rows]
    own = dict(LocalDeployment.objects.filter(pk__in=wanted).values_list("pk", "plan__workflows"))
    blueprints = {row.blueprint_id for row in rows if not own.get(row.pk)}
    of_blueprints = dict(Blueprint.objects.filter(pk__in=blueprints).values_list("pk", "plan__workflows"))
    return {row.pk: own.get(row.pk) or of_blueprints.get(row.blueprint_id) or {} for row in rows}


def act(*, by: Actor, group: ExecutionGroup, action: str) -> None:
    """Cancel, kill or resume all executions of the group that this makes sense for."""
    if action in single.CANCELS:
        cancel(by=by, group=group, action=action)
    elif action in single.RESUMES:
        resume(by=by, group=group, force=action == "force-resume")
    else:
        actions = [*single.CANCELS, *single.RESUMES]
        raise bad_parameters(f"Invalid action: {action}, Valid action values are: {actions}")


def cancel(*, by: Actor, group: ExecutionGroup, action: str) -> None:
    """What is queued is cancelled at once, what runs is asked to end. 404, as genuine, where nothing is left to cancel."""
    wanted, only_from = single.CANCELS[action]
    with transaction.atomic():
        rows = list(group.executions.filter(state__in=states.UNFINISHED).select_related("local__deployment", "run"))
        if not rows:
            raise Refused(404, "not_found_error", "Requested `Execution` [] was not found")
        audit.record(
            by=by,
            action=f"execution_group.{action}",
            row=group,
            tenant=group.tenant,
            after={"executions": len(rows)},
        )
        for row in rows:
            if states.cancel_unbegun(row):
                states.note(row)
                group_ends.follow([row])
            elif row.move(wanted, only_from=only_from):
                states.note(row)
        run = group.run
        if run is not None and run.state not in FINAL_RUN_STATES:
            engine.cancel(run, by)
    for row in rows:
        supervisor.poke(row)


@transaction.atomic
def resume(*, by: Actor, group: ExecutionGroup, force: bool) -> None:
    """Go on with those that failed or were cancelled; 400 where the others still run, or where none can be resumed."""
    if group.workflow in (single.CREATE, single.DELETE):
        raise illegal_action(f"Can't resume {group.workflow}: start it again instead")
    busy = group.executions.filter(state__in=states.UNFINISHED).count()
    if busy:
        raise illegal_action(f"Can't resume the group: {busy} of its executions have not ended. Wait, or cancel them.")
    ended = Q(state__in=[State.FAILED, State.CANCELLED], local__isnull=False)
    rows = list(group.executions.filter(ended).select_related("local__deployment", "tenant").order_by("created_at"))
    if not rows:
        raise illegal_action("There is nothing to resume: no execution of the group has failed or was cancelled.")
    fan_out.wait_in_line(rows, group.concurrency)
    for row in rows:
        line, row.state = row.state, State.FAILED
        row.move(
            line,
            only_from={State.FAILED, State.CANCELLED},
            is_resume=True,
            error="",
            ended_at=None,
            held_by="",
        )
        states.reset_graphs(row, force=force)
    audit.record(
        by=by,
        action=f"execution_group.{'force-' if force else ''}resume",
        row=group,
        tenant=group.tenant,
        after={"executions": len(rows)},
    )
    fan_out.begin_again(by=by, group=group, executions=rows)
    fan_out.show_latest(rows)


@transaction.atomic
def set_targets(
    *, by: Actor, group: ExecutionGroup, success: DeploymentGroup | None, failure: DeploymentGroup | None
) -> None:
    """Where deployments go whose execution succeeds or fails; those that have ended by now go there at once."""
    if success is not None:
        group.success_group = success
    if failure is not None:
        group.failure_group = failure
    group.save(update_fields=["success_group", "failure_group"])
    audit.record(
        by=by,
        action="execution_group.set_targets",
        row=group,
        tenant=group.tenant,
        after={"success_group": str(group.success_group or ""), "failure_group": str(group.failure_group or "")},
    )
    group_ends.send_ended(group)


@transaction.atomic
def set_concurrency(*, by: Actor, group: ExecutionGroup, concurrency: int) -> None:
    """How many executions of the group may be at work at once; 0 holds back what has not begun."""
    audit.record(
        by=by,
        action="execution_group.set_concurrency",
        row=group,
        tenant=group.tenant,
        before={"concurrency": group.concurrency},
        after={"concurrency": concurrency},
    )
    fan_out.set_concurrency(by=by, group=group, concurrency=concurrency)
