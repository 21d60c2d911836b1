"""Bulk writes of the rows that a rollout stands on: placements with their deployments and labels, and targets."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from django.utils import timezone

from accounts.actors import Actor
from deployon.models import Placement, Rollout, ServiceVersion, Target
from deployon.verdicts import ACTING
from inventory.label_rules import PARENT_KEY, TYPE_KEY
from inventory.models import Deployment, Environment, Label
from runs.bulk import insert_rows, update_columns

_BATCH = 500
LABEL_SERVICE, LABEL_VERSION = "portal-service", "portal-version"
_OURS = (TYPE_KEY, PARENT_KEY, LABEL_SERVICE, LABEL_VERSION)


def ensure_placements(
    *, by: Actor, rollout: Rollout, environments: Iterable[Environment], own: Mapping[int, dict[str, Any]]
) -> dict[int, Placement]:
    """The placement of the rollout's service on each environment, by environment id; made where there is none to deploy to.

    All in a fixed number of statements for each 500. What is wanted there becomes the rollout's version and inputs, those
    of `own` (environment id -> inputs) where they differ. A workflow changes nothing of what is wanted.
    """
    version, rows = rollout.version, list(environments)
    known = {
        placement.environment_id: placement
        for placement in Placement.objects.filter(service=version.service, environment__in=rows).select_related(
            "deployment"
        )
    }
    if rollout.action == Rollout.Action.UNINSTALL:
        _want(list(known.values()), None, {})
        return known
    if rollout.action == Rollout.Action.WORKFLOW:
        return known
    new = [environment for environment in rows if environment.pk not in known]
    deployments = Deployment.objects.bulk_create((new_deployment(by, version, each) for each in new), batch_size=_BATCH)
    placements = Placement.objects.bulk_create(
        (
            Placement(service=version.service, environment=environment, deployment=deployment)
            for environment, deployment in zip(new, deployments, strict=True)
        ),
        batch_size=_BATCH,
    )
    known |= {placement.environment_id: placement for placement in placements}
    _want(list(known.values()), version, rollout.inputs)
    update_columns(
        Placement, {known[key].pk: {"desired_inputs": inputs} for key, inputs in own.items() if key in known}
    )
    label_all(by, version, {known[each.pk].deployment_id: each for each in rows})
    return known


def own_inputs(rollout: Rollout, row: Mapping[str, Any]) -> dict[str, Any]:
    """All inputs of an environment that a preview's row gives some of its own."""
    return {**rollout.inputs, **{name: value for name, (value, _) in row["own"].items()}}


def create_targets(
    rollout: Rollout, content: dict[str, Any], placements: dict[int, Placement], own: Mapping[int, dict[str, Any]]
) -> list[Target]:
    """A target for each environment that the preview acts on or leaves alone; returns those to act on, as previewed in order."""
    acting = {kind: Target.Intent(kind) for kind in ACTING}
    resting = {"differs": Target.Intent.DIFFERS, "stays": Target.Intent.STAYS}
    rows = [
        Target(
            rollout=rollout,
            environment_id=row["environment"],
            environment_name=row["name"],
            placement=placements.get(row["environment"]),
            intent=intent,
            inputs=own.get(row["environment"]),
            why=row["why"][:512],
        )
        for kind, intent in (acting | resting).items()
        for row in content[kind]
    ]
    created = Target.objects.bulk_create(rows, batch_size=_BATCH)
    return [target for target in created if target.intent in acting.values()]


def new_deployment(by: Actor, version: ServiceVersion, environment: Environment) -> Deployment:
    """The deployment that a placement of the service there owns, not stored yet."""
    service = version.service
    return Deployment(
        tenant_id=service.tenant_id,
        wire_id=str(uuid.uuid4()),
        display_name=f"{service.name}@{environment.deployment.display_name}"[:256],
        kind=Deployment.Kind.PLACEMENT,
        blueprint_name=service.name,
        site_id=environment.deployment.site_id,
        parent=environment.deployment,
        visibility=environment.deployment.visibility,
        created_by=by.user,
    )


def _want(placements: list[Placement], version: ServiceVersion | None, inputs: dict[str, Any]) -> None:
    for start in range(0, len(placements), _BATCH):
        keys = [each.pk for each in placements[start : start + _BATCH]]
        Placement.objects.filter(pk__in=keys).update(
            desired_version=version, desired_inputs=inputs, updated_at=timezone.now()
        )


def label_all(by: Actor, version: ServiceVersion, environments: dict[int, Environment]) -> None:
    """Replace our labels of these deployments (id -> environment): what kind of thing, whose child, which version."""
    keys = list(environments)
    for start in range(0, len(keys), _BATCH):
        Label.objects.filter(deployment__in=keys[start : start + _BATCH], key__in=_OURS).delete()
    labels = [
        Label(deployment_id=key, key=name, value=value, created_by=by.user)
        for key, environment in environments.items()
        for name, value in (
            (TYPE_KEY, "service"),
            (PARENT_KEY, environment.deployment.wire_id),
            (LABEL_SERVICE, version.service.name),
            (LABEL_VERSION, str(version.number)),
        )
    ]
    insert_rows(Label, labels)
