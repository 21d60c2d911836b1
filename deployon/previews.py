"""Previews: which environments match and what a rollout would do with each; reads and stores, starts nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import OuterRef, Prefetch, Subquery
from django.utils import timezone

from accounts.actors import Actor
from accounts.models import Tenant
from deployon import catalogue, sources, surveys
from deployon.contents import as_content, digest_of, sort_rows
from deployon.models import Placement, Preview, Rollout, ServiceVersion, Target
from deployon.sources import Sources
from deployon.verdicts import Found, Row, Wanted, judge
from deployon.workflows import Workflow
from inventory.connectors.errors import ManagerError
from inventory.driver import inputs_hash
from inventory.filters import parse
from inventory.models import Environment, Probe
from runs.states import FINAL_RUN_STATES

KEPT_FOR = timedelta(days=1)


@dataclasses.dataclass(frozen=True)
class Where:
    """Which environments: those that match filter rules, or those named by id; exactly one of the two."""

    rules: list[dict[str, Any]] | None = None
    environments: Sequence[int] | None = None

    def check(self) -> None:
        if (self.rules is None) == (self.environments is None):
            raise ValidationError(
                {
                    "rules": "Say where: filter rules ([] means every environment), or a list of environments; one of the two."
                }
            )


def preview_rollout(
    *,
    by: Actor,
    tenant: Tenant,
    version: ServiceVersion,
    where: Where,
    inputs: dict[str, Any] | None = None,
    action: str = Rollout.Action.DEPLOY,
    survey: bool = False,
    own: Sources | None = None,
    workflow: Workflow | None = None,
) -> Preview:
    """What would happen, stored under its digest. ValidationError {"inputs.<name>"...} for wrong inputs, InvalidRule for rules.

    By what this portal knows; with `survey` the sub-managers are asked too, side by side. `own`: inputs that differ by
    environment; `workflow`: what the action of that name runs.
    """
    where.check()
    own, workflow = own or Sources(), workflow or Workflow()
    workflow.check(action)
    environments = _environments(by, tenant, where)
    if (
        action in (Rollout.Action.DEPLOY, Rollout.Action.UPDATE)
        and version.source == ServiceVersion.Source.PRESENT
        and not version.inputs_schema
    ):
        _learn_schema(version, environments)
    wanted = _wanted(version, inputs or {}, action, own, workflow)
    if not wanted.is_put_there:
        own = Sources()
    wants = _wanted_on(wanted, own, environments)
    found = surveys.survey(wants, environments, _placed(version)) if survey else {}
    rows = _judge_all(tenant, wants, wanted, environments, found)
    rows["excluded"] += _not_visible(where, environments)
    content = {
        **as_content(rows),
        "found": {str(key): dataclasses.asdict(value) for key, value in found.items()},
        "given": sorted(inputs or {}),
        "unused": sources.unused_rows(own, environments),
    }
    with transaction.atomic():
        Preview.objects.filter(tenant=tenant, created_at__lt=timezone.now() - KEPT_FOR).delete()
        preview, _ = Preview.objects.update_or_create(
            tenant=tenant,
            digest=digest_of(wanted, rows),
            defaults={
                "action": action,
                "version": version,
                "inputs": wanted.inputs,
                "sources": own.as_json(),
                "workflow": workflow.name,
                "parameters": workflow.parameters,
                "rules": where.rules or [],
                "environments": list(where.environments) if where.environments is not None else None,
                "content": content,
                "created_by": by.user,
                "created_at": timezone.now(),
            },
        )
    return preview


def look_again(preview: Preview, by: Actor) -> tuple[str, dict[str, list[dict[str, Any]]]]:
    """(digest, content) of the same question asked now; what a survey saw is taken from the preview, not asked again."""
    where = Where(environments=preview.environments) if preview.environments is not None else Where(rules=preview.rules)
    wanted = Wanted(
        preview.action,
        preview.version,
        preview.inputs,
        inputs_hash(preview.inputs),
        workflow=preview.workflow,
        parameters=preview.parameters,
    )
    found = {int(key): Found(**value) for key, value in preview.content.get("found", {}).items()}
    environments = _environments(by, preview.tenant, where)
    wants = _wanted_on(wanted, Sources.stored(preview.sources), environments)
    rows = _judge_all(preview.tenant, wants, wanted, environments, found)
    rows["excluded"] += _not_visible(where, environments)
    return digest_of(wanted, rows), as_content(rows)


def placed_environments(rollout: Rollout) -> list[int]:
    """Ids of the environments that a rollout put its service on: where an uninstall of that rollout goes."""
    return list(
        rollout.targets.filter(intent=Target.Intent.CREATE, attempts__gt=0, environment__isnull=False)
        .order_by("environment_id")
        .values_list("environment_id", flat=True)
    )


def _wanted(version: ServiceVersion, inputs: dict[str, Any], action: str, own: Sources, workflow: Workflow) -> Wanted:
    if action in (Rollout.Action.UNINSTALL, Rollout.Action.WORKFLOW):
        return Wanted(action, version, {}, inputs_hash({}), workflow=workflow.name, parameters=workflow.parameters)
    values = sources.common_inputs(version, inputs, own)
    return Wanted(action, version, values, inputs_hash(values))


def _wanted_on(wanted: Wanted, own: Sources, environments: list[Environment]) -> dict[int, Wanted]:
    """Environment id -> what is wanted there: the same everywhere, but for inputs of its own."""
    if not own:
        return dict.fromkeys((each.pk for each in environments), wanted)
    given = sources.give(wanted.version, wanted.inputs, own, environments)
    return {
        key: dataclasses.replace(
            wanted, inputs=each.inputs, inputs_hash=inputs_hash(each.inputs), own=each.own, problem=each.problem
        )
        for key, each in given.items()
    }


def _placed(version: ServiceVersion) -> dict[int, Placement]:
    """Environment id -> where the service stands, which may bear an id of its own there."""
    rows = Placement.objects.filter(service=version.service_id).only(
        "environment_id", "remote_deployment", "remote_blueprint", "actual_digest"
    )
    return {row.environment_id: row for row in rows}


def _environments(by: Actor, tenant: Tenant, where: Where) -> list[Environment]:
    """Those that match and that the asker may see, with what the verdict needs, in a fixed number of queries."""
    rows = Environment.objects.visible_to(by.user, tenant)
    rows = (
        rows.matching(parse(where.rules, are_titles_free=True))
        if where.rules is not None
        else rows.filter(pk__in=list(where.environments or ()))
    )
    latest = Probe.objects.filter(environment=OuterRef("pk")).order_by("-id").values("pk")[:1]
    found: list[Any] = list(
        rows.select_related(
            "deployment__site", "sub_manager", "credential__token", "credential__username", "credential__password"
        )
        .annotate(last_probe_id=Subquery(latest))
        .order_by("deployment__display_name", "pk")
    )
    probes = Probe.objects.in_bulk([row.last_probe_id for row in found if row.last_probe_id])
    for row in found:
        row.last_probe = probes.get(row.last_probe_id)
    return found


def _judge_all(
    tenant: Tenant,
    wants: dict[int, Wanted],
    wanted: Wanted,
    environments: list[Environment],
    found: dict[int, Found],
) -> dict[str, list[Row]]:
    active = Target.objects.exclude(run__state__in=FINAL_RUN_STATES).filter(run__isnull=False).select_related("run")
    placements = {
        placement.environment_id: placement
        for placement in Placement.objects.filter(service=wanted.version.service_id)
        .select_related("desired_version")
        .prefetch_related(Prefetch("targets", queryset=active, to_attr="active_targets"))
    }

    def holder(placement: Placement | None) -> str:
        targets = getattr(placement, "active_targets", ())
        return str(targets[0].run) if targets else ""

    return sort_rows(
        judge(wants[each.pk], each, placements.get(each.pk), holder(placements.get(each.pk)), found.get(each.pk))
        for each in environments
    )


def _not_visible(where: Where, environments: list[Environment]) -> list[Row]:
    seen = {each.pk for each in environments}
    why = "There is no such environment in this tenant, or you may not see it."
    return [Row(key, f"environment {key}", "", "hidden", why) for key in where.environments or () if key not in seen]


def _learn_schema(version: ServiceVersion, environments: list[Environment]) -> None:
    """From the first environment that is ready; where none tells, the inputs stay unchecked here."""
    for environment in [each for each in environments if each.state == Environment.State.READY][:3]:
        try:
            catalogue.read_present_schema(version, environment)
        except ManagerError:
            continue  # the survey or the rollout itself will say what is wrong there
        return
