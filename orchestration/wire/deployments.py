"""Deployments on the wire: everything that the inventory lists, environments and placements included."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from inventory import filters, label_rules
from inventory.deployments import set_site
from inventory.labels import ParentNotFound, set_labels
from inventory.models import Deployment, Filter, Site
from inventory.saved_filters import rules_of
from orchestration import deployments, executions
from orchestration.errors import Refused, bad_parameters, not_found
from orchestration.evaluation import section_of
from orchestration.models import Blueprint, DeploymentGroup, Execution
from orchestration.wire.deployment_shape import DEPLOYMENT
from orchestration.wire.listing import find, listed, plain_row
from orchestration.wire.views import WireView

SYNC_SECONDS = 120.0
CHANGEABLE = {"labels", "display_name", "creator", "created_at"}


class DeploymentView(WireView):
    """What all addresses of deployments share."""

    resource = "deployment"

    def rows(self) -> QuerySet[Deployment]:
        """What the caller may see."""
        return self.visible(Deployment.objects.all())

    def found(self, wire_id: str) -> Deployment:
        """The deployment, to be changed."""
        row = find(self.rows().select_related("tenant", "site", "parent"), "Deployment", wire_id)
        return self.in_own_tenant(row, "Deployment")  # type: ignore[no-any-return]

    def shown(self, pk: int, status: int = 200) -> Response:
        """One deployment as it is now."""
        return Response(plain_row(Deployment.objects.all(), pk, DEPLOYMENT, list(DEPLOYMENT.fields)), status=status)

    def listed(self, rules: list[filters.Rule] | None) -> Response:
        """The list, with the rules of a saved filter and those of a body."""
        query = self.request.query_params
        wanted, is_filtered = list(rules or []), rules is not None
        if name := query.get("_filter_id"):
            wanted += self.saved_rules(name)
            is_filtered = True
        rows = self.rows()
        if group := query.get("_group_id") or query.get("deployment_group_id"):
            found = find(self.visible(DeploymentGroup.objects.all()), "DeploymentGroup", group)
            rows = rows.filter(
                pk__in=DeploymentGroup.members.through.objects.filter(deploymentgroup=found).values("deployment")
            )
        if self.flag("_environments_only"):
            rows = rows.filter(labels__key=label_rules.TYPE_KEY, labels__value="environment")
        matching = rows.matching(wanted) if wanted else rows  # type: ignore[attr-defined]
        hidden = rows.count() - matching.count() if is_filtered else None
        return listed(matching, query, DEPLOYMENT, filtered=hidden)

    def saved_rules(self, name: str) -> list[filters.Rule]:
        """The rules of a saved filter; 404 in the words of v3.1."""
        try:
            return rules_of(self.user, self.tenant, name)
        except Filter.DoesNotExist:
            raise not_found("DeploymentsFilter", name) from None

    def site_named(self, name: str) -> Site:
        """The site, in this tenant or global."""
        try:
            return Site.objects.visible_to(self.user, self.tenant).named(name, self.tenant)  # type: ignore[no-any-return]
        except Site.DoesNotExist:
            raise not_found("Site", name) from None


class DeploymentList(DeploymentView):
    """GET /deployments. `_filter_rules` in the query is ignored, as genuine managers do."""

    needs = {"GET": "deployment.view"}

    def get(self, request: Request) -> Response:
        return self.listed(None)


class DeploymentSearch(DeploymentView):
    """POST /searches/deployments."""

    needs = {"POST": "deployment.view"}

    def said(self, method: str | None) -> str:
        return "deployment_list"

    def post(self, request: Request) -> Response:
        body = self.body()
        raw = body.get("filter_rules")
        constraints = body.get("constraints")
        if raw is not None and constraints is not None:
            raise bad_parameters("Provide either filter_rules or constraints, not both")
        if constraints is not None:
            raw = rules_of_constraints(self.typed(constraints, "constraints", dict))
        return self.listed(filters.parse(raw) if raw else None)


def rules_of_constraints(constraints: dict[str, Any]) -> list[dict[str, Any]]:
    """Constraints of inputs of type deployment_id, {"labels": [{"env": "prod"}]}, as filter rules."""
    rules: list[dict[str, Any]] = []
    for name, wanted in constraints.items():
        if name == "labels":
            pairs = label_rules.pairs_from_wire(wanted)
            rules += [{"type": "label", "key": key, "operator": "any_of", "values": [value]} for key, value in pairs]
        elif name in ("tenants", "valid_values"):
            key = "tenant_name" if name == "tenants" else "id"
            rules.append({"type": "attribute", "key": key, "operator": "any_of", "values": wanted})
        elif name in ("id_specs", "display_name_specs", "name_pattern"):
            key = "id" if name == "id_specs" else "display_name"
            operators = {
                "contains": "contains",
                "starts_with": "starts_with",
                "ends_with": "ends_with",
                "equals_to": "any_of",
            }
            for operator, values in wanted.items():
                if operator not in operators:
                    raise bad_parameters(
                        f"Unknown constraint operator `{operator}`; use one of: {', '.join(operators)}"
                    )
                listed_values = values if isinstance(values, list) else [values]
                rules.append(
                    {"type": "attribute", "key": key, "operator": operators[operator], "values": listed_values}
                )
        else:
            raise bad_parameters(
                f"Unknown constraint `{name}`; use labels, tenants, valid_values, id_specs or display_name_specs"
            )
    return rules


class DeploymentDetail(DeploymentView):
    """One deployment: read, create, label, rename, delete."""

    needs = {
        "GET": "deployment.view",
        "PUT": "deployment.change",
        "PATCH": "deployment.change",
        "DELETE": "deployment.change",
    }

    def get(self, request: Request, wire_id: str) -> Response:
        include = DEPLOYMENT.included(request.query_params.get("_include"))
        row = find(self.rows(), "Deployment", wire_id)
        shown = plain_row(self.rows(), row.pk, DEPLOYMENT, include)
        if not self.flag("all_sub_deployments", default=True):
            counted = direct_children(row)
            shown.update({name: value for name, value in counted.items() if name in shown})
        return Response(shown)

    def put(self, request: Request, wire_id: str) -> Response:
        name = self.required("blueprint_id")
        labels = label_rules.pairs_from_wire(self.body()["labels"]) if self.body().get("labels") is not None else []
        blueprint = find(self.visible(Blueprint.objects.filter(is_hidden=False)), "Blueprint", name)
        site_name = self.optional("site_name")
        self.boolean("skip_plugins_validation")
        try:
            local = deployments.create(
                by=self.actor,
                tenant=self.tenant,
                wire_id=wire_id,
                blueprint=blueprint,
                inputs=self.optional("inputs", dict, {}),
                labels=label_rules.normalise_all(labels),
                site=self.site_named(site_name) if site_name else None,
                visibility=self.visibility(),
                display_name=self.optional("display_name", default=""),
                runtime_only_evaluation=self.boolean("runtime_only_evaluation"),
            )
        except ParentNotFound as error:
            raise Refused(404, "deployment_parent_not_found_error", error.messages[0]) from None
        pk = local.deployment_id
        if not self.flag("async_create"):
            self.wait(local.create_execution or "", wire_id)
        return self.shown(pk, status=201)

    def wait(self, execution_id: str, wire_id: str) -> None:
        """Until the environment is created; 400 where that failed, the row stays."""
        execution = executions.wait_for(Execution.objects.get(pk=execution_id), SYNC_SECONDS)
        if execution.state == Execution.State.TERMINATED:
            return
        if execution.state in Execution.FINAL:
            raise Refused(
                400, "deployment_creation_error", execution.error or f"The creation of {wire_id} was {execution.state}."
            )
        raise Refused(
            500,
            "internal_server_error",
            f"Deployment {wire_id} is not created after {SYNC_SECONDS:.0f} s; it will be: look at GET /deployments/{wire_id}.",
        )

    def patch(self, request: Request, wire_id: str) -> Response:
        row = self.found(wire_id)
        body = self.body()
        if body.get("creator"):
            raise bad_parameters("A deployment stays its creator's: create it again as the user who is to own it.")
        unknown = sorted(set(body) - CHANGEABLE)
        if unknown:
            raise Refused(
                409,
                "conflict_error",
                f"Of a deployment only labels and display_name can be changed, not: {', '.join(unknown)}",
            )
        if body.get("labels") is not None:
            pairs = label_rules.pairs_from_wire(body["labels"])
            try:
                set_labels(by=self.actor, deployment=row, labels=pairs)
            except ParentNotFound as error:
                raise Refused(404, "deployment_parent_not_found_error", error.messages[0]) from None
        if body.get("display_name") is not None:
            deployments.rename(by=self.actor, deployment=row, display_name=self.optional("display_name"))
        return self.shown(row.pk)

    def delete(self, request: Request, wire_id: str) -> Response:
        row = self.found(wire_id)
        if row.kind == Deployment.Kind.ENVIRONMENT:
            deployments.delete_exposed(by=self.actor, deployment=row, force=self.flag("force"))
        else:
            deployments.delete(by=self.actor, local=deployments.local_of(row), force=self.flag("force"))
        return Response(status=204)


def direct_children(row: Deployment) -> dict[str, int]:
    """Counts of direct children alone."""
    children = Deployment.objects.filter(parent=row).with_type().values("is_environment")  # type: ignore[misc]
    flags = [bool(child["is_environment"]) for child in children]
    return {"sub_environments_count": sum(flags), "sub_services_count": len(flags) - sum(flags)}


class DeploymentSite(DeploymentView):
    """POST /deployments/ID/set-site."""

    needs = {"POST": "deployment.change"}

    def said(self, method: str | None) -> str:
        return "deployment_set_site"

    def post(self, request: Request, wire_id: str) -> Response:
        row = self.found(wire_id)
        name, is_detaching = self.optional("site_name"), self.boolean("detach_site")
        if bool(name) == is_detaching:
            raise bad_parameters(
                "Must provide either a `site_name` of a valid site or `detach_site` with true value for detaching the current site"
            )
        set_site(by=self.actor, deployment=row, site=self.site_named(name) if name else None)
        return self.shown(row.pk)


class DeploymentVisibility(DeploymentView):
    """PATCH /deployments/ID/set-visibility."""

    needs = {"PATCH": "deployment.change"}

    def said(self, method: str | None) -> str:
        return "deployment_set_visibility"

    def patch(self, request: Request, wire_id: str) -> Response:
        row = self.found(wire_id)
        visibility = self.visibility(("tenant", "global"), default=None)
        deployments.set_visibility(by=self.actor, deployment=row, visibility=visibility)
        return self.shown(row.pk)


class DeploymentCapabilities(DeploymentView):
    """GET /deployments/ID/capabilities: evaluated now."""

    needs = {"GET": "deployment.view"}

    def said(self, method: str | None) -> str:
        return "deployment_capabilities"

    def get(self, request: Request, wire_id: str) -> Response:
        row = find(self.rows().select_related("tenant"), "Deployment", wire_id)
        return Response({"deployment_id": row.wire_id, "capabilities": section_of(row, "capabilities", self.user)})


class DeploymentOutputs(DeploymentView):
    """GET /deployments/ID/outputs: evaluated now."""

    needs = {"GET": "deployment.view"}

    def said(self, method: str | None) -> str:
        return "deployment_outputs"

    def get(self, request: Request, wire_id: str) -> Response:
        row = find(self.rows().select_related("tenant"), "Deployment", wire_id)
        return Response({"deployment_id": row.wire_id, "outputs": section_of(row, "outputs", self.user)})
