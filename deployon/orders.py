"""What is wanted on one target, in the words of the driver; pure."""

from __future__ import annotations

from typing import Any

from deployon.models import Placement, ServiceVersion
from inventory.driver import Order, remote_blueprint_id

LABELS = {"csys-obj-type": "service"}


def order_for(
    version: ServiceVersion,
    inputs: dict[str, Any],
    environment: str,
    run: str = "",
    *,
    placement: Placement | None = None,
) -> Order:
    """The order for this version on the environment with this id on the wire.

    The remote deployment bears the service's name, so it is found again; one that was adopted keeps its own id, and its
    blueprint the id that it had, as long as the version is the same.
    """
    service = version.service.name
    is_same = placement is not None and placement.actual_digest == version.content_digest
    kept = placement.remote_blueprint if placement is not None and is_same else ""
    is_pushed = version.source == ServiceVersion.Source.PUSHED
    return Order(
        deployment_id=(placement.remote_deployment if placement else "") or service,
        blueprint_id=kept or blueprint_id_of(version),
        service=service,
        environment=environment,
        run=run,
        digest=version.content_digest if is_pushed else "",
        inputs=inputs,
        display_name=service,
        labels=LABELS,
    )


def blueprint_id_of(version: ServiceVersion) -> str:
    """Its blueprint's id at every sub-manager: made from name and content where it is pushed."""
    if version.source == ServiceVersion.Source.PRESENT:
        return version.remote_blueprint
    return remote_blueprint_id(version.service.name, version.content_digest)
