"""Deployments made here: created from a blueprint, removed, renamed, widened; the rows that v3.1 lists are the inventory's."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction

from accounts import audit
from accounts.actors import Actor
from accounts.errors import Conflict
from accounts.models import Tenant, Visibility
from accounts.roles import may
from inventory import names
from inventory.deployments import check_is_free, create_deployment
from inventory.deployments import set_visibility as widen
from inventory.hiding import hide
from inventory.label_rules import Pair
from inventory.models import Deployment, Site
from orchestration import executions
from orchestration.errors import Refused, bad_parameters, dependent_exists, exists, illegal_action
from orchestration.exposed import check_nothing_stands, environment_of
from orchestration.identity import check_id
from orchestration.models import Blueprint, Execution, LocalDeployment, NodeInstance
from orchestration.removal import remove_rows
from orchestration.workflows import NOT_LIVE

WIDTH = [Visibility.PRIVATE, Visibility.TENANT, Visibility.GLOBAL]


def create(
    *,
    by: Actor,
    tenant: Tenant,
    wire_id: str,
    blueprint: Blueprint,
    inputs: dict[str, Any] | None = None,
    labels: list[Pair] | None = None,
    site: Site | None = None,
    visibility: str = Visibility.TENANT,
    display_name: str = "",
    runtime_only_evaluation: bool = False,
) -> LocalDeployment:
    """A new deployment and the execution that prepares it; what can be seen to be wrong at once leaves no row."""
    check_id(wire_id, "deployment_id", begins_with_letter=False)
    if blueprint.state != Blueprint.State.UPLOADED:
        raise Refused(
            400,
            "deployment_creation_error",
            f"Unable to create a deployment based on a blueprint which is not `uploaded` but: `{blueprint.state}`",
        )
    given = dict(inputs or {})
    check_not_wider(wire_id, visibility, blueprint)
    with transaction.atomic():
        remove_failed_creation(by=by, tenant=tenant, wire_id=wire_id)
        check_is_new(tenant, wire_id, visibility)
        check_inputs(blueprint.plan or {}, given)
        deployment = create_deployment(
            by=by,
            tenant=tenant,
            wire_id=wire_id,
            kind=Deployment.Kind.LOCAL,
            display_name=display_name,
            description=blueprint.description,
            blueprint_name=blueprint.wire_id,
            site=site,
            labels=labels,
            visibility=visibility,
        )
        local = LocalDeployment(
            deployment=deployment,
            blueprint=blueprint,
            given_inputs=given,
            runtime_only_evaluation=runtime_only_evaluation,
        )
        local.save(force_insert=True)
        execution = executions.start_creation(by=by, local=local)
        local.create_execution = str(execution.pk)
        local.save(update_fields=["create_execution"])
    return local


def check_inputs(plan: dict[str, Any], given: dict[str, Any]) -> None:
    """400 for inputs that the blueprint does not know, and for those that it must have."""
    declared: dict[str, dict[str, Any]] = plan.get("inputs") or {}
    missing = [
        name
        for name, schema in declared.items()
        if name not in given and "default" not in schema and schema.get("required", True)
    ]
    if missing:
        raise Refused(400, "missing_required_deployment_input_error", f"missing inputs: {', '.join(missing)}")
    unknown = [name for name in given if name not in declared]
    if unknown:
        raise Refused(
            400, "unknown_deployment_input_error", f"Cannot create deployment - unknown inputs: {', '.join(unknown)}"
        )


def check_is_new(tenant: Tenant, wire_id: str, visibility: str) -> None:
    """409 where the id is taken."""
    try:
        check_is_free(tenant, wire_id, visibility)
    except Conflict:
        raise exists("Deployment", wire_id, tenant.name) from None


def check_not_wider(wire_id: str, visibility: str, blueprint: Blueprint) -> None:
    """400 where more people would see a deployment than its blueprint."""
    if visibility in WIDTH and WIDTH.index(Visibility(visibility)) > WIDTH.index(Visibility(blueprint.visibility)):
        raise illegal_action(
            f"The visibility of deployment `{wire_id}` can't be wider than the visibility of its blueprint "
            f"`{blueprint.wire_id}`. Current blueprint visibility is {blueprint.visibility}"
        )


def remove_failed_creation(*, by: Actor, tenant: Tenant, wire_id: str) -> None:
    """A deployment of which nothing but a failed creation is left makes room for another try."""
    old = LocalDeployment.objects.filter(deployment__tenant=tenant, deployment__wire_id=wire_id).first()
    if old is None:
        return
    states = list(old.executions.values_list("workflow", "state"))
    if states == [(executions.CREATE, Execution.State.FAILED)]:
        remove_rows(by=by, local=old)


def delete(*, by: Actor, local: LocalDeployment, force: bool = False) -> Execution:
    """Start the removal of a deployment that nothing needs any more; `force` does not ask for that, and detaches what stands on it."""
    deployment = local.deployment
    prefix = f"Can't delete deployment {deployment.wire_id} - "
    with transaction.atomic():
        LocalDeployment.objects.select_for_update().filter(pk=local.pk).first()
        removal = local.executions.filter(workflow=executions.DELETE, state__in=executions.UNFINISHED).first()
        if removal is not None:
            return removal
        if not force:
            check_nothing_stands(deployment, prefix)
            check_is_idle(local, prefix)
        return executions.start_deletion(by=by, local=local, force=force)


def check_is_idle(local: LocalDeployment, prefix: str) -> None:
    """400 where something runs on a deployment, or an instance of it is live."""
    busy = [str(pk) for pk in local.executions.filter(state__in=executions.UNFINISHED).values_list("pk", flat=True)]
    if busy:
        raise dependent_exists(
            f"{prefix}There are running or queued executions for this deployment. "
            f"Running executions ids: {', '.join(busy)}"
        )
    live = NodeInstance.objects.filter(local=local).exclude(state__in=NOT_LIVE).values_list("wire_id", flat=True)
    if live:
        raise dependent_exists(f"{prefix}There are live nodes for this deployment. Live nodes ids: {', '.join(live)}")


def delete_exposed(*, by: Actor, deployment: Deployment, force: bool = False) -> None:
    """Forget an environment that was exposed by page or /api/v1; 400 where services stand on it, `force` forgets them, too."""
    environment = environment_of(deployment)
    if environment is None:
        raise dependent_exists(f"Can't delete deployment {deployment.wire_id} - it is being removed already")
    if by.user is not None and not may(by.user, "environment.change", deployment.tenant):
        raise PermissionDenied("Environments are removed by users and managers of the tenant. Ask one of them.")
    try:
        hide(by=by, environment=environment, force=force)
    except Conflict as conflict:
        raise dependent_exists(f"Can't delete deployment {deployment.wire_id} - {conflict}") from None


def remove_hidden(by: Actor, deployment: Deployment, force: bool) -> None:
    """What was deployed here goes at once with the environment that it was; Conflict where it is at work, or live."""
    local = LocalDeployment.objects.select_related("deployment__tenant", "deployment__parent").get(
        deployment=deployment
    )
    try:
        if not force:
            check_nothing_stands(deployment, f"{deployment.wire_id} stays. ")
            check_is_idle(local, f"{deployment.wire_id} stays. ")
    except Refused as refused:
        raise Conflict(refused.message) from None
    remove_rows(by=by, local=local, force=force)


def rename(*, by: Actor, deployment: Deployment, display_name: str) -> None:
    """Give a deployment another name for people."""
    name = names.check_title(display_name, "display_name")
    before = {"display_name": deployment.display_name}
    if name == deployment.display_name:
        return
    with transaction.atomic():
        deployment.display_name = name
        deployment.save(update_fields=["display_name"])
        audit.record(
            by=by,
            action="deployment.rename",
            row=deployment,
            tenant=deployment.tenant,
            before=before,
            after={"display_name": name},
        )


def set_visibility(*, by: Actor, deployment: Deployment, visibility: str) -> None:
    """Widen who sees a deployment, not beyond its blueprint."""
    local = LocalDeployment.objects.select_related("blueprint").filter(deployment=deployment).first()
    if local is not None:
        check_not_wider(deployment.wire_id, visibility, local.blueprint)
    widen(by=by, deployment=deployment, visibility=visibility)


def local_of(deployment: Deployment) -> LocalDeployment:
    """What was deployed here; 400 for environments and placements, which are steered in other ways."""
    local = (
        LocalDeployment.objects.select_related("deployment__tenant", "blueprint").filter(deployment=deployment).first()
    )
    if local is None:
        what = (
            "an exposed environment"
            if deployment.kind == Deployment.Kind.ENVIRONMENT
            else "a service placed on an environment"
        )
        raise bad_parameters(
            f"Deployment {deployment.wire_id} is {what}, which is not run by this manager: use its pages or /api/v1 for that."
        )
    return local
