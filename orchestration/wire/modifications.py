"""Modifications of deployments on the wire: how many instances of what; the workflow `scale` makes and ends them as a rule."""

from __future__ import annotations

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import audit
from inventory.models import Deployment
from orchestration import deployments, executions, scaling, scaling_ends, states
from orchestration.errors import not_found
from orchestration.scaling_models import Modification
from orchestration.supervisor import supervisor
from orchestration.wire.execution_shape import read_id
from orchestration.wire.listing import find, listed
from orchestration.wire.shapes import Field, Shape, column, owned, time
from orchestration.wire.views import WireView

MODIFICATION = Shape(
    "DeploymentModification",
    {
        "created_at": time("created_at"),
        "id": Field(lambda row: str(row.pk), "pk", read_id),
        "visibility": column("local__deployment__visibility"),
        "ended_at": time("ended_at"),
        "status": column("state"),
        "modified_nodes": Field(lambda row: row.modified_nodes),
        "node_instances": Field(lambda row: row.node_instances, loads=("node_instances",)),
        "context": Field(lambda row: row.context),
        "deployment_id": column("local__deployment__wire_id"),
        **owned("local__deployment__tenant__name", "local__deployment__visibility"),
    },
    search=(),
    heavy=("local__plan", "local__inputs", "local__given_inputs"),
)

VERBS = ("finish", "rollback")


class ModificationView(WireView):
    """What all addresses of modifications share."""

    resource = "deployment_modification"

    def rows(self) -> QuerySet[Modification]:
        """As visible as their deployment."""
        return self.visible(Modification.objects.all(), "local__deployment__")

    def found(self, wire_id: str) -> Modification:
        """The one of that id; 404 where it is no id at all."""
        rows = MODIFICATION.load(self.rows(), list(MODIFICATION.fields))
        row = rows.filter(pk=read_id(wire_id, "id")).first()
        if row is None:
            raise not_found("DeploymentModification", wire_id)
        return row  # type: ignore[no-any-return]


class ModificationList(ModificationView):
    """GET and POST /deployment-modifications."""

    needs = {"GET": "execution.view", "POST": "execution.start"}

    def get(self, request: Request) -> Response:
        return listed(self.rows(), request.query_params, MODIFICATION)

    def post(self, request: Request) -> Response:
        """Begin one without a workflow; with `preview` say what it would add and remove, and change nothing."""
        name = self.required("deployment_id")
        rows = self.visible(Deployment.objects.select_related("tenant"))
        deployment = self.in_own_tenant(find(rows, "Deployment", name), "Deployment")
        local = deployments.local_of(deployment)
        executions.check_environment_is_made(local)
        wanted = self.required("nodes", dict)
        if self.boolean("preview"):
            checked, instances = scaling.outlook(local, supervisor.host, wanted)
            return Response({"deployment_id": name, "modified_nodes": checked, "node_instances": instances})
        busy = list(local.executions.filter(state__in=states.UNFINISHED).order_by("created_at"))
        if busy:
            raise executions.busy_error(busy)
        context = self.optional("context", dict)
        row = scaling.start(local=local, host=supervisor.host, wanted=wanted, context=context, user=self.user)
        scaling_ends.note_instances(local)
        after = {"modification": str(row.pk), "nodes": row.modified_nodes}
        audit.record(
            by=self.actor, action="deployment.modification_start", row=deployment, tenant=self.tenant, after=after
        )
        return Response(MODIFICATION.render(self.found(str(row.pk))), status=201)


class ModificationDetail(ModificationView):
    """GET /deployment-modifications/ID."""

    needs = {"GET": "execution.view"}

    def get(self, request: Request, wire_id: str) -> Response:
        include = MODIFICATION.included(request.query_params.get("_include"))
        return Response(MODIFICATION.render(self.found(wire_id), include))


class ModificationEnd(ModificationView):
    """POST /deployment-modifications/ID/finish and /rollback."""

    needs = {"POST": "execution.start"}

    def post(self, request: Request, wire_id: str, verb: str) -> Response:
        if verb not in VERBS:
            raise not_found("DeploymentModification", f"{wire_id}/{verb}")
        row = self.found(wire_id)
        self.in_own_tenant(row.local.deployment, "Deployment")
        scaling_ends.end_by(by=self.actor, row=row, verb=verb)
        return Response(MODIFICATION.render(self.found(wire_id)))
