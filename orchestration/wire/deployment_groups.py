"""Deployment groups on the wire."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Prefetch, QuerySet
from django.utils.dateparse import parse_datetime
from rest_framework.request import Request
from rest_framework.response import Response

from inventory import filters, label_rules
from inventory.labels import ParentNotFound
from inventory.models import Deployment, Site
from orchestration import group_members, group_removal, groups
from orchestration.errors import Refused, bad_parameters
from orchestration.group_models import DeploymentGroup
from orchestration.models import Blueprint
from orchestration.wire.deployments import DeploymentView
from orchestration.wire.listing import find, listed
from orchestration.wire.shapes import Field, Shape, column, owned, time
from orchestration.wire.times import wire_time

NEW_KEYS = {
    "id",
    "display_name",
    "inputs",
    "labels",
    "site_name",
    "runtime_only_evaluation",
    "skip_plugins_validation",
}
SOURCES = ("deployment_ids", "filter_id", "filter_rules", "deployments_from_group")


def labels_of(row: DeploymentGroup) -> list[dict[str, Any]]:
    """All labels."""
    return [{**label, "created_at": wire_time(parse_datetime(label["created_at"]))} for label in row.labels]


GROUP = Shape(
    "DeploymentGroup",
    {
        "created_at": time("created_at"),
        "id": column("wire_id"),
        "visibility": column("visibility"),
        "description": Field(lambda row: row.description or None, "description"),
        "default_inputs": column("default_inputs"),
        "creation_counter": column("creation_counter"),
        "default_blueprint_id": column("default_blueprint__wire_id"),
        **owned(),
        "deployment_ids": Field(lambda row: [member.wire_id for member in row.shown_members]),
        "labels": Field(labels_of),
    },
    heavy=("default_blueprint__plan",),
)


class GroupView(DeploymentView):
    """What all addresses of deployment groups share."""

    resource = "deployment_group"

    def group_rows(self) -> QuerySet[DeploymentGroup]:
        """What the caller may see, each with the members that the caller may see."""
        members = self.visible(Deployment.objects.only("pk", "wire_id").order_by("pk"))
        shown = Prefetch("members", queryset=members, to_attr="shown_members")
        return self.visible(DeploymentGroup.objects.all()).prefetch_related(shown)

    def group_named(self, wire_id: str) -> DeploymentGroup:
        """The group, to be read; 404 in the words of v3.1."""
        return find(self.visible(DeploymentGroup.objects.all()), "DeploymentGroup", wire_id)  # type: ignore[no-any-return]

    def shown_group(self, pk: int) -> Response:
        """One group as it is now."""
        return Response(GROUP.render(GROUP.load(self.group_rows(), list(GROUP.fields)).get(pk=pk)))

    # --- what a request names ---

    def members_named(self, given: dict[str, Any], *names: str) -> list[Deployment]:
        """The deployments that these keys of a body name, of the caller's tenant; 404 for an id that is not there.

        No rules at all name nobody here: clients send an empty list where their user gave none.
        """
        rows = self.rows().filter(tenant=self.tenant).select_related("tenant", "parent")
        found: dict[int, Deployment] = {}
        for name in names:
            value = given.get(name)
            if value is not None and not (name == "filter_rules" and value == []):
                found |= {row.pk: row for row in self.source(rows, name, value)}
        return list(found.values())

    def source(self, rows: QuerySet[Deployment], name: str, value: Any) -> list[Deployment]:
        """The deployments of one source."""
        if name == "deployment_ids":
            ids = self.typed(value, name, list)
            by_id = {row.wire_id: row for row in rows.filter(wire_id__in=[str(one) for one in ids])}
            for one in ids:
                if one not in by_id:
                    find(rows.none(), "Deployment", one)
            return list(by_id.values())
        if name == "deployments_from_group":
            return list(rows.filter(deployment_groups=self.group_named(self.typed(value, name, str))))
        rules = self.saved_rules(self.typed(value, name, str)) if name == "filter_id" else filters.parse(value)
        return list(rows.matching(rules))  # type: ignore[attr-defined]

    def wishes(self, given: Any) -> list[groups.Wish]:
        """`new_deployments` of a body."""
        entries = self.typed(given, "new_deployments", list)
        sites: dict[str, Site] = {}
        wishes = []
        for entry in entries:
            self.typed(entry, "new_deployments entry", dict)
            unknown = sorted(set(entry) - NEW_KEYS)
            if unknown:
                raise bad_parameters(
                    f"A new deployment has no {', '.join(unknown)}; it has: {', '.join(sorted(NEW_KEYS))}"
                )
            site = entry.get("site_name")
            if site and site not in sites:
                sites[site] = self.site_named(self.typed(site, "site_name", str))
            wishes.append(
                groups.Wish(
                    wire_id=self.typed(entry.get("id") or "", "id", str),
                    display_name=self.typed(entry.get("display_name") or "", "display_name", str),
                    inputs=self.typed(entry.get("inputs") or {}, "inputs", dict),
                    labels=read_labels(entry.get("labels") or []),
                    site=sites[site] if site else None,
                    runtime_only_evaluation=self.typed(
                        entry.get("runtime_only_evaluation") or False, "runtime_only_evaluation", bool
                    ),
                )
            )
        return wishes

    def attributes(self) -> groups.Attributes:
        """What the body says of the group itself."""
        body = self.body()
        name = self.optional("blueprint_id")
        labels = body.get("labels")
        return groups.Attributes(
            description=self.optional("description"),
            visibility=self.visibility(default="") if body.get("visibility") is not None else None,
            blueprint=find(self.visible(Blueprint.objects.filter(is_hidden=False)), "Blueprint", name)
            if name
            else None,
            default_inputs=self.optional("default_inputs", dict),
            labels=label_rules.normalise_all(read_labels(labels)) if labels is not None else None,
        )

    def extend(self, group: DeploymentGroup, given: dict[str, Any], *names: str) -> None:
        """Add members and make new ones."""
        group_members.add(by=self.actor, group=group, rows=self.members_named(given, *names))
        if given.get("new_deployments"):
            try:
                groups.create_members(by=self.actor, group=group, wishes=self.wishes(given["new_deployments"]))
            except ParentNotFound as error:
                raise Refused(404, "deployment_parent_not_found_error", error.messages[0]) from None


def read_labels(raw: Any) -> list[label_rules.Pair]:
    """[{k: v}] or [{"key", "value"}]: groups take both."""
    return label_rules.pairs_from_json(raw) if isinstance(raw, list) else label_rules.pairs_from_wire(raw)


class GroupList(GroupView):
    """GET /deployment-groups."""

    needs = {"GET": "deployment.view"}

    def get(self, request: Request) -> Response:
        return listed(self.group_rows(), request.query_params, GROUP)


class GroupDetail(GroupView):
    """One group: read, made or changed, extended and shrunk, removed."""

    needs = {
        "GET": "deployment.view",
        "PUT": "deployment.change",
        "PATCH": "deployment.change",
        "DELETE": "deployment.change",
    }

    def get(self, request: Request, wire_id: str) -> Response:
        include = GROUP.included(request.query_params.get("_include"))
        row = find(GROUP.load(self.group_rows(), include), "DeploymentGroup", wire_id)
        return Response(GROUP.render(row, include))

    def put(self, request: Request, wire_id: str) -> Response:
        body = self.body()
        attributes = self.attributes()
        with transaction.atomic():  # unlike genuine managers, which keep an empty group where a member is refused
            group = groups.find_or_make(
                by=self.actor, tenant=self.tenant, wire_id=wire_id, visibility=attributes.visibility or "tenant"
            )
            groups.describe(by=self.actor, group=group, attributes=attributes)
            replacing = [name for name in SOURCES if name != "filter_rules" and body.get(name) is not None]
            if replacing:
                groups.replace_members(by=self.actor, group=group, rows=self.members_named(body, *replacing))
            self.extend(group, body, "filter_rules")
        return self.shown_group(group.pk)

    def patch(self, request: Request, wire_id: str) -> Response:
        attributes = self.attributes()
        with transaction.atomic():
            group = self.in_own_tenant(self.group_named(wire_id), "DeploymentGroup")
            groups.lock(group)
            groups.describe(by=self.actor, group=group, attributes=attributes)
            if add := self.optional("add", dict):
                self.extend(group, add, *SOURCES)
            if remove := self.optional("remove", dict):
                group_members.remove(by=self.actor, group=group, rows=self.members_named(remove, *SOURCES))
        return self.shown_group(group.pk)

    def delete(self, request: Request, wire_id: str) -> Response:
        group = self.in_own_tenant(self.group_named(wire_id), "DeploymentGroup")
        if not self.flag("delete_deployments"):
            groups.delete(by=self.actor, group=group)
            return Response(status=204)
        members = list(self.rows().filter(tenant=self.tenant, deployment_groups=group))
        with transaction.atomic():
            row = group_removal.delete_members(
                by=self.actor,
                tenant=self.tenant,
                group=group,
                members=members,
                force=self.flag("force"),
                recursive=self.flag("recursive"),
            )
            groups.delete(by=self.actor, group=group)
        return Response({"execution_group_id": str(row.pk)})
