"""Many chosen deployments taken away at once: what would go, what stands in the way of the others, and the start."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

from accounts.actors import Actor
from accounts.models import Tenant
from inventory.models import Deployment
from orchestration import group_removal
from orchestration.bulk_looks import Looks, Preview
from orchestration.bulk_order import settle, waves
from orchestration.bulk_runs import Changed, lock
from orchestration.dequeuing import named
from orchestration.executions import DELETE
from orchestration.group_models import ExecutionGroup
from orchestration.models import Execution, LocalDeployment
from orchestration.workflows import NOT_LIVE


def preview(*, rows: Sequence[Deployment], tenant: Tenant, force: bool) -> Preview:
    """Which of these would be removed; the others each with the reason. `notes`: what stands on those that go although it does."""
    looks = Looks(rows, tenant)
    dependents, standing = looks.dependents(), looks.standing()

    def why(row: Deployment, local: LocalDeployment) -> str:
        if looks.busy.get(local.pk) == DELETE:
            return "It is being deleted already."
        live = sorted(looks.states.get(local.pk, set()) - set(NOT_LIVE))
        if live and not force:
            return f"It is installed: its instances are {', '.join(live)}. Uninstall it first."
        on_it = standing.get(row.pk, [])
        return f"These services stand on it, uninstall them first: {named(on_it)}." if on_it and not force else ""

    # A deployment whose creation failed is there to be deleted.
    for pk, state in list(looks.creation.items()):
        if state in Execution.FINAL:
            del looks.creation[pk]
    found = looks.sort_out(why, force)
    if not force:
        settle(found, dependents, "These stand on it or depend on it, and would stay: {}.")
    else:
        found.waves, circle = waves(found.acting, dependents)
        found.waves += [circle] if circle else []
        found.acting = [row for wave in found.waves for row in wave]
    going = {row.pk for row in found.acting}
    for row in found.acting:
        staying = [child.wire_id for child in dependents.get(row.pk, ()) if child.pk not in going]
        if staying or standing.get(row.pk):
            found.notes[row.pk] = [*staying, *standing.get(row.pk, [])]
    found.asked = {"force": force}
    return found


@transaction.atomic
def start(*, by: Actor, tenant: Tenant, rows: Sequence[Deployment], force: bool, digest: str) -> ExecutionGroup:
    """Remove what `digest` was told of, children before their parents; Changed, and nothing removed, where that is not so any more."""
    lock(rows)
    now = preview(rows=rows, tenant=tenant, force=force)
    if now.digest != digest or not now.acting:
        raise Changed(now)
    return group_removal.delete_members(by=by, tenant=tenant, members=now.acting, force=force, recursive=False)
