"""Services that stand on environments, for the inventory: named, forgotten with an environment, and what they offer."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db.models import Prefetch

from accounts import audit
from accounts.actors import Actor
from deployon.models import Placement
from inventory.capabilities import Reader
from inventory.models import Deployment, Environment


class Services:
    """Placements. One that is absent was prepared or tried and never came about: it is a row here and stands nowhere."""

    def names_on(self, environments: Collection[Environment]) -> list[tuple[int, str]]:
        rows = Placement.objects.filter(environment__in=[row.pk for row in environments])
        rows = rows.exclude(state=Placement.State.ABSENT).order_by("service__name")
        return list(rows.values_list("environment_id", "service__name"))

    def forget_on(self, *, by: Actor, environment: Environment) -> None:
        for placement in Placement.objects.filter(environment=environment).select_related("service__tenant"):
            deployment, tenant = placement.deployment_id, placement.service.tenant
            if placement.state != Placement.State.ABSENT:
                audit.record(
                    by=by, action="placement.forget", row=placement, tenant=tenant, before=audit.snapshot(placement)
                )
            placement.delete()
            Deployment.objects.filter(pk=deployment).delete()


def read_capabilities(deployment: Deployment) -> dict[str, Any]:
    """What a service offered when its sub-manager was asked last."""
    placement: Placement | None = getattr(deployment, "placement", None)
    return dict(placement.capabilities) if placement is not None else {}


CAPABILITIES = Reader(
    read_capabilities,
    lambda: Prefetch("placement", queryset=Placement.objects.only("deployment_id", "capabilities")),
)
