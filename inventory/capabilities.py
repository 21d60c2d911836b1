"""What deployments offer to others, where it is kept ready: of environments here; apps above register the kinds that are theirs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Prefetch, prefetch_related_objects

from inventory.models import Deployment, Environment

# What an environment exports, as the discovery blueprint of managers of managers does.
ENDPOINT, TENANT, PORT, PROTOCOL = (
    "cloudify_manager_endpoint",
    "cloudify_manager_tenant",
    "cloudify_manager_port",
    "cloudify_manager_protocol",
)


@dataclass(frozen=True)
class Reader:
    """How {name: value} is read of a deployment of one kind, and what to prefetch of its rows in a list of deployments."""

    read: Callable[[Deployment], dict[str, Any]]
    prefetch: Callable[[], Prefetch[Any]]


def _read_environment(deployment: Deployment) -> dict[str, Any]:
    """Where the remote manager of an environment answers."""
    environment: Environment | None = getattr(deployment, "environment", None)
    return {} if environment is None else _where(environment)


def with_environment(deployment: Deployment, values: dict[str, Any]) -> dict[str, Any]:
    """What a blueprint says of a deployment; of one that is an environment, with where its remote manager is now."""
    if ENDPOINT not in values:
        return values
    environment = Environment.objects.select_related("sub_manager").filter(deployment=deployment).first()
    return values if environment is None else values | _where(environment)


def _where(environment: Environment) -> dict[str, Any]:
    return {
        ENDPOINT: environment.sub_manager.endpoint,
        TENANT: environment.remote_tenant,
        PORT: str(environment.sub_manager.port),
        PROTOCOL: environment.sub_manager.protocol,
    }


_READERS: dict[str, Reader] = {
    Deployment.Kind.ENVIRONMENT: Reader(
        _read_environment,
        lambda: Prefetch("environment", queryset=Environment.objects.select_related("sub_manager")),
    )
}


def register(kind: str, reader: Reader) -> None:
    """Called once by the app that owns the rows of this kind, when it is ready."""
    _READERS[kind] = reader


def is_kept(deployment: Deployment) -> bool:
    """Are its capabilities kept ready? Those of what was deployed here are evaluated from its blueprint, see orchestration."""
    return deployment.kind in _READERS


def read_many(keys: Sequence[int]) -> dict[int, dict[str, Any]]:
    """{key: {name: value}} of those of these deployments that are kept."""
    kept: dict[str, list[Deployment]] = {}
    for row in Deployment.objects.filter(pk__in=keys, kind__in=_READERS):
        kept.setdefault(row.kind, []).append(row)
    for kind, rows in kept.items():
        prefetch_related_objects(rows, _READERS[kind].prefetch())
    return {row.pk: _READERS[kind].read(row) for kind, rows in kept.items() for row in rows}


def read(deployment: Deployment) -> dict[str, Any]:
    """{name: value} of one that `is_kept`."""
    return _READERS[deployment.kind].read(deployment)
