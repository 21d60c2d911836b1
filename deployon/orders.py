"""What is wanted on one target, in the words of the driver; pure."""

from __future__ import annotations

from typing import Any

from deployon.models import ServiceVersion
from inventory.driver import Order, remote_blueprint_id

LABELS = {"csys-obj-type": "service"}


def order_for(version: ServiceVersion, inputs: dict[str, Any], environment: str, run: str = "") -> Order:
    """The order for this version on the environment with this id on the wire. The remote deployment bears the service's name, so it is found again."""
    service = version.service.name
    is_pushed = version.source == ServiceVersion.Source.PUSHED
    return Order(
        deployment_id=service,
        blueprint_id=blueprint_id_of(version),
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
