"""Schedules: made, changed, removed, and what is done when one is due; each time runs once, however many members look."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import audit
from accounts.actors import Actor
from accounts.roles import may
from inventory.models import Deployment
from orchestration import executions
from orchestration.errors import Refused, bad_parameters, exists
from orchestration.execution_groups import workflows_of
from orchestration.identity import check_id
from orchestration.models import Execution, LocalDeployment
from orchestration.recurrence import Timing
from orchestration.schedule_models import ExecutionSchedule
from orchestration.workflows import merged_parameters
from runs import clock

# Times are whole minutes to people: what is late by less than this is not late.
GRACE = datetime.timedelta(minutes=1)
AT_ONCE = 200
ARGUMENTS = {"allow_custom_parameters": bool, "force": bool, "dry_run": bool, "queue": bool, "wait_after_fail": int}
# Worth another try while the time is not over.
PASSING = frozenset(
    {
        "existing_running_execution_error",
        "deployment_environment_creation_pending_error",
        "deployment_environment_creation_in_progress_error",
    }
)


@dataclasses.dataclass
class Changes:
    """What a request says of a schedule; None: nothing."""

    workflow: str | None = None
    parameters: dict[str, Any] | None = None
    arguments: dict[str, Any] | None = None
    since: datetime.datetime | None = None
    until: datetime.datetime | None = None
    recurrence: str | None = None
    count: int | None = None
    weekdays: list[str] | None = None
    rrule: str | None = None
    slip: int | None = None
    stop_on_fail: bool | None = None
    is_enabled: bool | None = None


def timing_of(row: ExecutionSchedule) -> Timing:
    """When it is due."""
    return Timing(row.rule, row.since, row.until)


@transaction.atomic
def create(*, by: Actor, local: LocalDeployment, wire_id: str, changes: Changes) -> ExecutionSchedule:
    """A new schedule; 400 for a rule, workflow or parameters that cannot be, and where nothing would ever run."""
    check_id(wire_id, "schedule_id")
    if changes.since is None:
        raise bad_parameters("Missing since in json request body")
    row = ExecutionSchedule(
        local=local, wire_id=wire_id, workflow="", since=changes.since, is_enabled=True, created_by=by.user
    )
    take(row, changes)
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        raise exists("ExecutionSchedule", wire_id, local.deployment.tenant.name) from None
    Deployment.objects.filter(pk=local.deployment_id).update(has_schedules=True)
    audit.record(by=by, action="schedule.create", row=row, tenant=local.deployment.tenant, after=audit.snapshot(row))
    return row


@transaction.atomic
def update(*, by: Actor, row: ExecutionSchedule, changes: Changes) -> None:
    """Change what the request names. The next time is found anew; one that has run does not run again."""
    ExecutionSchedule.objects.select_for_update(of=("self",)).filter(pk=row.pk).first()
    before = audit.snapshot(row)
    take(row, changes)
    row.save()
    audit.record(
        by=by,
        action="schedule.change",
        row=row,
        tenant=row.local.deployment.tenant,
        before=before,
        after=audit.snapshot(row),
    )


@transaction.atomic
def delete(*, by: Actor, row: ExecutionSchedule) -> None:
    """Remove a schedule; executions that it started stay."""
    local = row.local
    audit.record(by=by, action="schedule.delete", row=row, tenant=local.deployment.tenant, before=audit.snapshot(row))
    row.delete()
    Deployment.objects.filter(pk=local.deployment_id).update(has_schedules=local.schedules.exists())


def take(row: ExecutionSchedule, changes: Changes) -> None:
    """Put the changes into the row, checked."""
    for name in ("workflow", "parameters", "since", "until", "slip", "stop_on_fail", "is_enabled"):
        value = getattr(changes, name)
        if value is not None:
            setattr(row, name, value)
    if changes.arguments is not None:
        row.arguments = checked_arguments(changes.arguments)
    row.rule = changed_rule(row.rule, changes)
    row.since = row.since.replace(microsecond=0)  # rules know whole seconds
    if row.slip < 0:
        raise bad_parameters(f"slip is {row.slip}: enter for how many minutes a missed time may still run, or 0.")
    timing = timing_of(row)
    timing.check()
    if changes.workflow is not None or changes.parameters is not None:
        check_workflow(row)
    row.next_at = timing.next_after(seen_until(row))
    if row.next_at is None and row.pk is None:
        raise bad_parameters(
            f"Nothing would ever run: there is no time after now. since is {row.since:%Y-%m-%d %H:%M} UTC; "
            "choose one that is to come, or a recurrence."
        )


def seen_until(row: ExecutionSchedule) -> datetime.datetime:
    """Times up to this are over: they have run, or are too long ago."""
    moment = clock.now() - GRACE
    latest = row.latest_execution
    return max(moment, latest.created_at) if latest is not None else moment


def checked_arguments(given: dict[str, Any]) -> dict[str, Any]:
    """What is given to each execution; null is left out."""
    unknown = sorted(set(given) - set(ARGUMENTS))
    if unknown:
        raise bad_parameters(f"execution_arguments has no {', '.join(unknown)}; it has: {', '.join(ARGUMENTS)}")
    kept = {name: value for name, value in given.items() if value is not None}
    for name, value in kept.items():
        if type(value) is not ARGUMENTS[name]:
            raise bad_parameters(f"execution_arguments: {name} must be of type {ARGUMENTS[name].__name__}")
    return kept


def changed_rule(old: dict[str, Any], changes: Changes) -> dict[str, Any]:
    """The rule with the changes; a rule in iCalendar's form and one of parts exclude each other."""
    parts = {"recurrence": changes.recurrence, "count": changes.count, "weekdays": changes.weekdays or None}
    given = {name: value for name, value in parts.items() if value is not None}
    if changes.rrule is not None:
        if given:
            raise bad_parameters(f"Give either rrule or {', '.join(given)}, not both.")
        return {"rrule": changes.rrule}
    if not given and old:
        return old
    return {name: given.get(name, old.get(name)) for name in parts}


def check_workflow(row: ExecutionSchedule) -> None:
    """400 where the deployment has no such workflow, or it does not take the parameters."""
    declared = workflows_of([row.local])[row.local.pk].get(row.workflow)
    if declared is None:
        raise Refused(
            400,
            "nonexistent_workflow_error",
            f"Workflow {row.workflow} does not exist in the deployment {row.local.deployment.wire_id}",
        )
    allow_custom = bool(row.arguments.get("allow_custom_parameters"))
    merged_parameters(row.workflow, declared, row.parameters or {}, allow_custom=allow_custom)


def schedule_once(*, by: Actor, local: LocalDeployment, at: datetime.datetime, changes: Changes) -> ExecutionSchedule:
    """A schedule for one time, named after workflow and time."""
    if at <= timezone.now():
        raise bad_parameters(f"Date `{at:%Y-%m-%d %H:%M} UTC` has already passed, please provide a time in the future.")
    name = f"{changes.workflow}_{at:%Y%m%d%H%M}"
    taken = set(local.schedules.filter(wire_id__startswith=name).values_list("wire_id", flat=True))
    number = 1
    while (wire_id := name if number == 1 else f"{name}_{number}") in taken:
        number += 1
    changes.since, changes.count = at, 1
    return create(by=by, local=local, wire_id=wire_id, changes=changes)


# --- when one is due ---


def fire_due(now: datetime.datetime | None = None) -> int:
    """Do what is due; the number of executions that were started."""
    now = now or clock.now()
    due = ExecutionSchedule.objects.filter(is_enabled=True, next_at__lte=now).order_by("next_at")
    return sum(fire(pk, now) for pk in list(due.values_list("pk", flat=True)[:AT_ONCE]))


@transaction.atomic
def fire(pk: int, now: datetime.datetime) -> bool:
    """Start the execution of a due schedule, or skip this time; the row's lock makes it once."""
    rows = ExecutionSchedule.objects.select_for_update(of=("self",), skip_locked=True)
    row = (
        rows.select_related("local__deployment__tenant", "local__blueprint", "created_by", "latest_execution")
        .defer("local__blueprint__plan", "local__plan")
        .filter(pk=pk, is_enabled=True, next_at__lte=now)
        .first()
    )
    if row is None or row.next_at is None:
        return False
    window = max(datetime.timedelta(minutes=row.slip), GRACE)
    by = Actor(user=row.created_by, via="schedule")
    if why := why_not_any_more(row):
        row.is_enabled = False
        row.save(update_fields=["is_enabled"])
        told(by, row, "schedule.disable", why)
        return False
    if now - row.next_at > window:
        told(by, row, "schedule.skip", f"{row.next_at:%Y-%m-%d %H:%M} UTC was missed by more than {window}.")
        # One that is not too long ago is still to run.
        advance(row, now - window)
        return False
    execution, refused = start(by, row)
    if refused is not None and refused.code in PASSING:
        return False  # looked at again until its time is over
    if refused is not None:
        told(by, row, "schedule.skip", refused.message)
    else:
        row.latest_execution = execution
    advance(row, now)
    return execution is not None


def why_not_any_more(row: ExecutionSchedule) -> str:
    """Why this schedule is to run nothing more, or ""."""
    latest = row.latest_execution
    if row.stop_on_fail and latest is not None and latest.state == Execution.State.FAILED:
        return f"Its execution {latest.pk} failed. Enable the schedule when that is mended."
    tenant = row.local.deployment.tenant
    if row.created_by is None or not row.created_by.is_active or not may(row.created_by, "execution.start", tenant):
        return f"Who made it may no longer start executions in tenant {tenant.name}. Make it anew as somebody who may."
    return ""


def start(by: Actor, row: ExecutionSchedule) -> tuple[Execution | None, Refused | None]:
    """The execution of this time, or why there is none."""
    given = dict(row.arguments)
    try:
        with transaction.atomic():
            execution = executions.start(
                by=by,
                local=row.local,
                workflow=row.workflow,
                parameters=row.parameters or {},
                allow_custom=bool(given.get("allow_custom_parameters")),
                force=bool(given.get("force")),
                dry_run=bool(given.get("dry_run")),
                queue=bool(given.get("queue")),
                wait_after_fail=int(given.get("wait_after_fail", 600)),
            )
    except Refused as refused:
        return None, refused
    return execution, None


def advance(row: ExecutionSchedule, after: datetime.datetime) -> None:
    """To the next time; times that lie between are not made up for."""
    row.next_at = timing_of(row).next_after(after)
    row.save(update_fields=["next_at", "latest_execution"])


def told(by: Actor, row: ExecutionSchedule, action: str, why: str) -> None:
    """What the audit trail keeps of a time at which nothing ran."""
    after = {"deployment": row.local.deployment.wire_id, "workflow": row.workflow, "why": why}
    audit.record(by=by, action=action, row=row, tenant=row.local.deployment.tenant, after=after)
