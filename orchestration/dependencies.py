"""Dependencies between deployments: read from what a blueprint uses, noted of components, and in the way of an uninstall."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.db import transaction

from accounts.models import User
from inventory.models import Deployment
from inventory.querysets import visible
from orchestration.dependency_models import Dependency
from orchestration.models import Execution, LocalDeployment

COMPONENT, SHARED = "component", "sharedresource"
FUNCTION = "get_capability"
OF_COMPONENTS = (f"{COMPONENT}.", f"{SHARED}.")
LONGEST = 512
SHOWN = 3


@transaction.atomic
def store_capabilities(local: LocalDeployment, user: User | None) -> None:
    """Write down anew which deployments the capabilities are of that this one uses."""
    found = dict(uses_of(local))
    rows = Deployment.objects.filter(visible(user, local.deployment.tenant), wire_id__in=set(found.values()))
    # Its own tenant's before a global one of the same id.
    targets = {row.wire_id: row for row in sorted(rows, key=lambda row: row.tenant_id == local.deployment.tenant_id)}
    kept = Dependency.objects.filter(source=local.deployment)
    for prefix in OF_COMPONENTS:
        kept = kept.exclude(creator__startswith=prefix)
    kept.delete()
    Dependency.objects.bulk_create(
        Dependency(source=local.deployment, target=targets[name], creator=creator, created_by=user)
        for creator, name in found.items()
        if name in targets and targets[name].pk != local.deployment_id
    )


def uses_of(local: LocalDeployment) -> Iterator[tuple[str, str]]:
    """(where, deployment) of each get_capability that names its deployment, or the input that does."""
    plan = local.plan or {}
    parts: dict[str, Any] = {"inputs": local.given_inputs or {}}
    parts |= {name: plan.get(name) or {} for name in ("capabilities", "outputs")}
    kept = ("properties", "operations", "relationships")
    for node in local.nodes.all():
        parts[f"nodes.{node.name}"] = {name: node.body.get(name) for name in kept}
    inputs = local.inputs or {}
    for where, part in parts.items():
        for path, named in functions_in(part, where):
            name = inputs.get(named["get_input"]) if isinstance(named, dict) and "get_input" in named else named
            if isinstance(name, str):
                yield path[:LONGEST], name


def functions_in(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Each get_capability below a value: where, and its first argument."""
    if isinstance(value, dict):
        arguments = value.get(FUNCTION)
        if isinstance(arguments, list) and arguments and len(value) == 1:
            yield f"{path}.{FUNCTION}", arguments[0]
        for name, inner in value.items():
            yield from functions_in(inner, f"{path}.{name}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from functions_in(inner, f"{path}[{number}]")


def note_component(execution: Execution, kind: str, instance: str, target: str, client: Mapping[str, Any]) -> None:
    """Instance uses that deployment, of this installation or of the manager of its client block; its login is not kept."""
    if execution.local is None:
        return
    source = execution.local.deployment
    row, external = None, None
    if client.get("host"):
        where = {"host": str(client["host"]), "tenant": str(client.get("tenant") or "")}
        external = {"deployment": target, "client_config": where}
    else:
        row = Deployment.objects.filter(tenant=source.tenant, wire_id=target).first()
    values = {"target": row, "external_target": external, "created_by": execution.created_by}
    Dependency.objects.update_or_create(source=source, creator=f"{kind}.{instance}"[:LONGEST], defaults=values)


def forget_component(execution: Execution, kind: str, instance: str) -> None:
    """Instance uses nothing any more, or is about to take it away itself."""
    if execution.local is not None:
        rows = Dependency.objects.filter(source=execution.local.deployment_id, creator=f"{kind}.{instance}"[:LONGEST])
        rows.delete()


def users_of(targets: Iterable[Deployment]) -> list[str]:
    """Some deployments that use these and are not among them, by id."""
    keys = [row.pk for row in targets]
    found = Dependency.objects.filter(target__in=keys).exclude(source__in=keys).order_by("source__wire_id")
    return list(found.values_list("source__wire_id", flat=True).distinct()[:SHOWN])
