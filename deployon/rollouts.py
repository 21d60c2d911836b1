"""Starts, retries, cancels and pauses rollouts: rows and runs only; what is done at a target is operations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction

from accounts import audit
from accounts.actors import Actor
from accounts.errors import Conflict
from accounts.models import Tenant
from deployon import previews
from deployon.contents import changes
from deployon.models import Preview, Rollout, Service, StartKey, Target
from deployon.operations import steps_for
from deployon.placing import create_targets, ensure_placements, own_inputs
from deployon.verdicts import ACTING
from inventory.models import Environment
from runs import engine
from runs.bulk import update_rows
from runs.models import Run
from runs.states import FINAL_RUN_STATES, RunState


@dataclass(frozen=True)
class Pace:
    """How fast, and how many failures are borne: targets at once (0: no limit), failures before no more are started (None: no limit)."""

    max_parallel: int = 10
    failure_budget: int | None = None

    def check(self) -> None:
        if self.max_parallel < 0:
            raise ValidationError({"max_parallel": "Enter how many targets may be at work at once, 0 for no limit."})
        if self.failure_budget is not None and self.failure_budget < 0:
            raise ValidationError(
                {"failure_budget": "Enter how many failures are borne before no more targets are started."}
            )


@dataclass(frozen=True)
class Key:
    """An Idempotency-Key with the hash of the request that it came with."""

    value: str
    request_hash: str


def start_rollout(
    *, by: Actor, tenant: Tenant, digest: str, pace: Pace | None = None, key: Key | None = None
) -> Rollout:
    """Do what the preview with this digest showed. Conflict, naming what changed, where the world is another by now."""
    pace = pace or Pace()
    pace.check()
    with _all_still_there():
        if key and (known := _started_by(tenant, key)):
            return known
        preview = Preview.objects.filter(tenant=tenant, digest=digest).select_related("version__service").first()
        if preview is None:
            raise ValidationError(
                {"digest": "There is no preview with this digest; they are kept for a day. Preview again."}
            )
        Service.objects.select_for_update().get(pk=preview.version.service_id)  # one start of a service at a time
        if key and (known := _started_by(tenant, key)):  # the same request a moment ago
            return known
        now, content = previews.look_again(preview, by)
        if now != digest:
            raise Conflict(
                f"Things have changed since this preview: {changes(preview.content, content)}. Preview again."
            )
        acting = [row for kind in ACTING for row in content[kind]]
        if not acting:
            raise ValidationError(
                {"digest": "There is nothing to do: no environment of this preview would be touched."}
            )
        rollout = Rollout.objects.create(
            tenant=tenant,
            action=preview.action,
            version=preview.version,
            inputs=preview.inputs,
            sources=preview.sources,
            workflow=preview.workflow,
            parameters=preview.parameters,
            rules=preview.rules,
            digest=digest,
            preview=content,
            max_parallel=pace.max_parallel,
            failure_budget=pace.failure_budget,
            created_by=by.user,
        )
        _remember(tenant, key, rollout)
        environments = Environment.objects.filter(pk__in=[row["environment"] for row in acting])
        own = {row["environment"]: own_inputs(rollout, row) for row in acting if row["own"]}
        placements = ensure_placements(
            by=by, rollout=rollout, environments=environments.select_related("deployment"), own=own
        )
        targets = create_targets(rollout, content, placements, own)
        _begin(by, rollout, targets, {row["environment"]: row["name"] for row in acting})
        audit.record(by=by, action="rollout.start", row=rollout, tenant=tenant, after=audit.snapshot(rollout))
    return rollout


def retry_rollout(*, by: Actor, rollout: Rollout, key: Key | None = None) -> Rollout:
    """Once more for exactly the targets that failed, were cancelled or never started. Conflict while it still runs."""
    with _all_still_there():
        rollout = (
            Rollout.objects.select_for_update(of=("self",)).select_related("run", "version__service").get(pk=rollout.pk)
        )
        if key and (known := _started_by(rollout.tenant, key)):
            return known
        if rollout.run is not None and rollout.run.state not in FINAL_RUN_STATES:
            raise Conflict("This rollout is still at work. Wait until it has ended, or cancel it first.")
        targets = list(unfinished(rollout).select_related("environment__deployment").order_by("pk"))
        if not targets:
            raise Conflict(
                "There is nothing to retry: every target of this rollout has succeeded, or its environment is removed."
            )
        environments = [target.environment for target in targets if target.environment is not None]
        own = {each.environment_id: each.inputs for each in targets if each.environment_id and each.inputs is not None}
        ensure_placements(by=by, rollout=rollout, environments=environments, own=own)
        _begin(by, rollout, targets, {each.pk: each.deployment.display_name for each in environments})
        _remember(rollout.tenant, key, rollout)
        audit.record(by=by, action="rollout.retry", row=rollout, tenant=rollout.tenant, after={"targets": len(targets)})
    return rollout


def uninstall_rollout(
    *, by: Actor, rollout: Rollout, digest: str = "", pace: Pace | None = None, key: Key | None = None
) -> Rollout:
    """Take the service away from the environments that this rollout put it on; a rollout of its own.

    `digest` of a preview that was shown; without one the preview is made now, and stored with the new rollout.
    """
    if not digest:
        where = previews.Where(environments=previews.placed_environments(rollout))
        action = Rollout.Action.UNINSTALL
        digest = previews.preview_rollout(
            by=by, tenant=rollout.tenant, version=rollout.version, where=where, action=action
        ).digest
    pace = pace or Pace(rollout.max_parallel, rollout.failure_budget)
    return start_rollout(by=by, tenant=rollout.tenant, digest=digest, pace=pace, key=key)


def cancel_rollout(*, by: Actor, rollout: Rollout) -> None:
    """Stop what runs, at the sub-managers too, and do not start the rest. Targets end as their sub-managers say so."""
    engine.cancel(_active_run(rollout), by=by)
    audit.record(by=by, action="rollout.cancel", row=rollout, tenant=rollout.tenant)


def pause_rollout(*, by: Actor, rollout: Rollout) -> None:
    """Start no more targets; those at work finish first."""
    engine.pause(_active_run(rollout), by=by)
    audit.record(by=by, action="rollout.pause", row=rollout, tenant=rollout.tenant)


def resume_rollout(*, by: Actor, rollout: Rollout) -> None:
    """Go on after a pause."""
    engine.resume(_active_run(rollout), by=by)
    audit.record(by=by, action="rollout.resume", row=rollout, tenant=rollout.tenant)


def unfinished(rollout: Rollout) -> models.QuerySet[Target]:
    """Targets that a retry would take up; not those whose environment is removed."""
    rows = rollout.targets.filter(intent__in=Target.ACTING, environment__isnull=False)
    return rows.exclude(run__state=RunState.SUCCEEDED)


@contextmanager
def _all_still_there() -> Iterator[None]:
    """A transaction; Conflict where an environment that it names was removed meanwhile, which the database tells at its end."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError:
        raise Conflict("An environment was removed a moment ago. Look again which are left, and start anew.") from None


def _active_run(rollout: Rollout) -> Run:
    run = rollout.run
    if run is None or run.state in FINAL_RUN_STATES:
        raise Conflict("This rollout has ended. Retry it, or start another one.")
    return run


def _begin(by: Actor, rollout: Rollout, targets: list[Target], names: dict[int | None, str]) -> None:
    """A parent run and a held child for each target, and off they go."""
    parent = engine.start_parent(
        title=str(rollout)[:256],
        tenant=rollout.tenant,
        started_by=by.user,
        max_parallel=rollout.max_parallel,
        failure_budget=rollout.failure_budget,
    )
    what = str(rollout.version)
    verb = "from" if rollout.action == Rollout.Action.UNINSTALL else "on"
    children = engine.add_children(
        parent,
        [
            (
                steps_for(rollout, target, names[target.environment_id]),
                f"{what} {verb} {names[target.environment_id]}"[:256],
                f"environment:{target.environment_id}",
            )
            for target in targets
        ],
    )
    for target, child in zip(targets, children, strict=True):
        target.run = child
        target.attempts += 1
        target.has_place = False
    update_rows(Target, targets, ["run", "attempts", "has_place"])
    rollout.run = parent
    rollout.save(update_fields=["run"])
    engine.advance(parent)


def _started_by(tenant: Tenant, key: Key) -> Rollout | None:
    found = StartKey.objects.filter(tenant=tenant, key=key.value).select_related("rollout").first()
    if found is None:
        return None
    if found.request_hash != key.request_hash:
        raise Conflict("This Idempotency-Key came with another request before. Use a new key for each new request.")
    return found.rollout


def _remember(tenant: Tenant, key: Key | None, rollout: Rollout) -> None:
    if key:
        StartKey.objects.create(tenant=tenant, key=key.value[:128], request_hash=key.request_hash, rollout=rollout)
