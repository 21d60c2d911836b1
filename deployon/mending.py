"""Setting right what drifted: a rollout of exactly those placements, each with what is wanted of it; or forgetting them here."""

from __future__ import annotations

from collections.abc import Sequence

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet

from accounts import audit
from accounts.actors import Actor
from accounts.errors import Conflict
from accounts.models import Tenant
from deployon import drift, previews
from deployon.models import Placement, Preview, Rollout
from deployon.sources import Sources
from inventory.connections import client_for
from inventory.connectors.errors import ManagerError
from inventory.driver.deployments import find
from inventory.models import Deployment, Environment


def preview_mending(*, by: Actor, tenant: Tenant, placements: Sequence[int]) -> Preview:
    """The preview of a rollout that puts each of these as it is wanted, with its own inputs; the sub-managers are asked.

    All are of one service in one version, as every rollout is.
    """
    rows = list(_chosen(by, tenant, placements).select_related("desired_version__service", "environment__deployment"))
    versions = {row.desired_version_id for row in rows}
    if not rows or None in versions:
        raise ValidationError(
            {"placements": "Choose placements that are wanted in a version: these are gone, or being removed."}
        )
    if len(versions) > 1:
        raise ValidationError(
            {
                "placements": "A rollout has one service in one version. Choose those of one version, then those of the next."
            }
        )
    version = rows[0].desired_version
    assert version is not None
    known = version.inputs_schema
    table = {
        row.environment.deployment.wire_id: {
            name: value for name, value in row.desired_inputs.items() if name in known or not known
        }
        for row in rows
    }
    return previews.preview_rollout(
        by=by,
        tenant=tenant,
        version=version,
        where=previews.Where(environments=[row.environment_id for row in rows]),
        action=Rollout.Action.UPDATE,
        survey=True,
        own=Sources.read({}, table),
    )


def forget_placements(*, by: Actor, tenant: Tenant, placements: Sequence[int], dry_run: bool = False) -> list[str]:
    """Forget placements whose deployment is gone there; their names. Each sub-manager is asked first: Conflict where one is there.

    Nothing is changed there. With `dry_run` nothing is changed here either.
    """
    rows = list(_chosen(by, tenant, placements).select_related("service", "environment__deployment"))
    if not rows:
        raise ValidationError({"placements": "Choose placements of this tenant."})
    for row in rows:
        _check_is_gone(row)
    names = [str(row) for row in rows]
    if dry_run:
        return names
    with transaction.atomic():
        for row in rows:
            audit.record(by=by, action="placement.forget", row=row, tenant=tenant, before=audit.snapshot(row))
            row.delete()
            Deployment.objects.filter(pk=row.deployment_id).delete()
    return names


def _check_is_gone(row: Placement) -> None:
    if row.state in (Placement.State.DEPLOYING, Placement.State.REMOVING):
        raise Conflict(f"{row} is at work. Wait until its rollout has ended.")
    environment = Environment.objects.for_connecting().get(pk=row.environment_id)
    try:
        with client_for(environment) as client:
            found = find(client, drift.remote_id(row))
    except ManagerError as error:
        raise Conflict(f"Whether {row} is gone cannot be told: {error.message} Nothing was forgotten.") from None
    if found is not None:
        raise Conflict(f"{row} is there: {found.id}. Uninstall it instead; nothing was forgotten.")


def _chosen(by: Actor, tenant: Tenant, placements: Sequence[int]) -> QuerySet[Placement]:
    seen = Environment.objects.visible_to(by.user, tenant)
    return Placement.objects.filter(pk__in=list(placements), service__tenant=tenant, environment__in=seen.values("pk"))
