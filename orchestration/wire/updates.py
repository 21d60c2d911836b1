"""Deployment updates on the wire."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from inventory.models import Deployment
from orchestration import deployments, updates
from orchestration.errors import bad_parameters
from orchestration.models import Blueprint
from orchestration.update_ends import UPDATE as UPDATE_WORKFLOW
from orchestration.update_models import DeploymentUpdate
from orchestration.wire.listing import find, listed, one
from orchestration.wire.shapes import Field, Shape, always, column, owned, read_bool, time
from orchestration.wire.views import WireView

DEPLOYMENT = "local__deployment"
OPTIONS = {
    "blueprint_id",
    "inputs",
    "preview",
    "force",
    "reinstall_list",
    "runtime_only_evaluation",
    "workflow_id",
    "update_plugins",
    "reevaluate_active_statuses",
    "skip_heal",
    *updates.FLAGS,
}

UPDATE = Shape(
    "DeploymentUpdate",
    {
        "created_at": time("created_at"),
        "id": column("wire_id"),
        "visibility": column(f"{DEPLOYMENT}__visibility"),
        "deployment_plan_p": always(None),
        "deployment_plan": always(None),
        "deployment_update_node_instances_p": always(None),
        "deployment_update_node_instances": always(None),
        "deployment_update_deployment_p": always(None),
        "central_plugins_to_uninstall_p": always(None),
        "central_plugins_to_uninstall": always(None),
        "central_plugins_to_install_p": always(None),
        "central_plugins_to_install": always(None),
        "deployment_update_nodes_p": always(None),
        "deployment_update_nodes": always(None),
        "modified_entity_ids_p": always(None),
        "modified_entity_ids": always(None),
        "old_inputs_p": always(None),
        "old_inputs": column("old_inputs"),
        "new_inputs_p": always(None),
        "new_inputs": column("new_inputs"),
        "state": column("state"),
        "runtime_only_evaluation": column("runtime_only_evaluation", read_bool),
        "keep_old_deployment_dependencies": always(False),
        "deployment_id": column(f"{DEPLOYMENT}__wire_id"),
        "execution_id": Field(lambda row: str(row.execution_id) if row.execution_id else None, "execution"),
        "old_blueprint_id": column("old_blueprint__wire_id"),
        "new_blueprint_id": column("new_blueprint__wire_id"),
        **owned(f"{DEPLOYMENT}__tenant__name", f"{DEPLOYMENT}__visibility"),
        "steps": column("steps"),
        "recursive_dependencies": always(None),
        "schedules_to_create": always(None),
        "schedules_to_delete": always(None),
        "labels_to_create": always(None),
    },
    heavy=("old_blueprint__plan", "new_blueprint__plan", "local__plan", "local__inputs", "local__given_inputs"),
)


class UpdateView(WireView):
    """What all addresses of updates share."""

    resource = "deployment_update"

    def rows(self) -> QuerySet[DeploymentUpdate]:
        """What the caller may see: an update is as visible as its deployment."""
        return self.visible(DeploymentUpdate.objects.all(), "local__deployment__")


class UpdateList(UpdateView):
    """GET /deployment-updates."""

    needs = {"GET": "deployment.view"}

    def get(self, request: Request) -> Response:
        return listed(self.rows(), request.query_params, UPDATE)


class UpdateDetail(UpdateView):
    """GET /deployment-updates/ID."""

    needs = {"GET": "deployment.view"}

    def get(self, request: Request, wire_id: str) -> Response:
        return one(self.rows(), request.query_params, UPDATE, wire_id)


def read_wanted(view: WireView, given: dict[str, Any]) -> updates.Wanted:
    """An update from a body, or from the parameters of a group; 400 for what there is not."""
    unknown = sorted(set(given) - OPTIONS)
    if unknown:
        raise bad_parameters(f"An update has no {', '.join(unknown)}; it has: {', '.join(sorted(OPTIONS))}")
    if given.get("workflow_id") not in (None, UPDATE_WORKFLOW):
        raise bad_parameters(
            "workflow_id: updates by a workflow of one's own are not carried out by this manager. Leave it out, then start "
            "that workflow by itself."
        )
    name = given.get("blueprint_id")
    blueprints = view.visible(Blueprint.objects.filter(is_hidden=False))
    runtime_only = given.get("runtime_only_evaluation")
    return updates.Wanted(
        blueprint=find(blueprints, "Blueprint", view.typed(name, "blueprint_id", str)) if name else None,
        inputs=view.typed(given.get("inputs") or {}, "inputs", dict),
        flags={flag: read_flag(given.get(flag), flag) for flag in updates.FLAGS},
        reinstall_list=view.typed(given.get("reinstall_list") or [], "reinstall_list", list),
        runtime_only_evaluation=None if runtime_only is None else read_flag(runtime_only, "runtime_only_evaluation"),
    )


def read_flag(value: Any, name: str) -> bool:
    """A boolean, or its word; null is false."""
    if value is None or isinstance(value, bool):
        return bool(value)
    return read_bool(str(value), name)


class UpdateInitiate(UpdateView):
    """POST /deployment-updates/DEPLOYMENT/update/initiate, with a preview that changes nothing."""

    needs = {"POST": "execution.start"}

    def said(self, method: str | None) -> str:
        return "deployment_update_create"

    def post(self, request: Request, wire_id: str) -> Response:
        row = find(self.visible(Deployment.objects.select_related("tenant")), "Deployment", wire_id)
        self.in_own_tenant(row, "Deployment")
        wanted = read_wanted(self, self.body())
        local = deployments.local_of(row)
        if self.boolean("preview"):
            return Response(UPDATE.render(updates.preview(by=self.actor, local=local, wanted=wanted)))
        update = updates.initiate(by=self.actor, local=local, wanted=wanted, force=self.boolean("force"))
        return Response(UPDATE.render(update))
