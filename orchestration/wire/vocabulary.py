"""Labels in use, and saved filters, on the wire."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import Conflict
from inventory import filters
from inventory.label_rules import RESERVED_KEYS
from inventory.labels import label_keys, label_values
from inventory.models import Filter
from inventory.saved_filters import create_filter, delete_filter, update_filter
from orchestration.errors import bad_parameters, exists, illegal_action, not_found
from orchestration.identity import check_id
from orchestration.models import Blueprint
from orchestration.wire.listing import envelope, find, listed, one, read_page
from orchestration.wire.shapes import Field, Shape, column, owned, read_bool, time
from orchestration.wire.views import WireView


class LabelView(WireView):
    """Lists of plain words."""

    resource = "labels"
    needs = {"GET": "deployment.view"}

    def words(self, found: list[str]) -> Response:
        """A page of them."""
        page = read_page(self.request.query_params)
        return envelope(list(page.cut(found)), len(found), page)

    def of_blueprints(self) -> list[tuple[str, str]]:
        """(key, value) of all blueprints that the caller sees."""
        rows = self.visible(Blueprint.objects.filter(is_hidden=False)).values_list("labels", flat=True)
        return [(label["key"], label["value"]) for labels in rows for label in labels]


class LabelKeys(LabelView):
    """GET /labels/deployments or /labels/blueprints; `_reserved=true`: the keys that are reserved."""

    def get(self, request: Request, kind: str) -> Response:
        text = request.query_params.get("_search", "")
        if self.flag("_reserved"):
            return self.words(sorted(RESERVED_KEYS))
        if kind == "blueprints":
            return self.words(sorted({key for key, _ in self.of_blueprints() if text.lower() in key}))
        return self.words(
            sorted({key for tenant in self.tenants_to_look_in() for key in label_keys(self.user, tenant, text)})
        )


class LabelValues(LabelView):
    """GET /labels/deployments/KEY."""

    def get(self, request: Request, kind: str, key: str) -> Response:
        text = request.query_params.get("_search", "")
        if kind == "blueprints":
            found = {
                value for name, value in self.of_blueprints() if name == key.lower() and text.lower() in value.lower()
            }
        else:
            found = {
                value for tenant in self.tenants_to_look_in() for value in label_values(self.user, tenant, key, text)
            }
        return self.words(sorted(found))


FILTER = Shape(
    "DeploymentsFilter",
    {
        "created_at": time("created_at"),
        "id": column("name"),
        "visibility": column("visibility"),
        "value": Field(lambda row: wire_rules(row.rules)),
        "updated_at": time("updated_at"),
        "is_system_filter": column("is_system", read_bool),
        **owned(),
        "labels_filter_rules": Field(lambda row: wire_rules(row.rules, "label")),
        "attrs_filter_rules": Field(lambda row: wire_rules(row.rules, "attribute")),
    },
    search=("name",),
)


def wire_rules(rules: list[dict[str, Any]], kind: str = "") -> list[dict[str, Any]]:
    """Rules with their keys in the order of v3.1."""
    return [
        {name: rule[name] for name in ("key", "values", "operator", "type")}
        for rule in rules
        if kind in ("", rule["type"])
    ]


class FilterView(WireView):
    """Saved filters of deployments; those of blueprints have views of their own."""

    resource = "filter"

    def rows(self, kind: str) -> QuerySet[Filter]:
        """What the caller may see."""
        rows = self.visible(Filter.objects.all())
        return rows if kind == "deployments" else rows.none()

    def found(self, kind: str, name: str) -> Filter:
        """The filter, to be changed."""
        row = find(self.rows(kind).select_related("tenant", "created_by"), self.model_name(kind), name, name="name")
        if row.is_system:
            raise illegal_action(f"Cannot modify or delete the system filter {name}")
        return self.in_own_tenant(row, "Filter")  # type: ignore[no-any-return]

    @staticmethod
    def model_name(kind: str) -> str:
        """As v3.1 names the model in messages."""
        return "DeploymentsFilter" if kind == "deployments" else "BlueprintsFilter"


class FilterList(FilterView):
    """GET /filters/deployments."""

    needs = {"GET": "filter.view"}

    def get(self, request: Request, kind: str) -> Response:
        return listed(self.rows(kind), request.query_params, FILTER)


class FilterDetail(FilterView):
    """One saved filter."""

    needs = {"GET": "filter.view", "PUT": "filter.change", "PATCH": "filter.change", "DELETE": "filter.change"}

    def get(self, request: Request, kind: str, name: str) -> Response:
        if kind != "deployments":
            raise not_found(self.model_name(kind), name)
        return one(self.rows(kind), request.query_params, FILTER, name, name="name")

    def put(self, request: Request, kind: str, name: str) -> Response:
        check_id(name, "filter_id")
        if kind != "deployments":
            raise not_found(self.model_name(kind), name)
        rules = self.required("filter_rules", list)
        try:
            row = create_filter(by=self.actor, tenant=self.tenant, name=name, rules=rules, visibility=self.visibility())
        except Conflict:
            raise exists(self.model_name(kind), name, self.tenant.name) from None
        return Response(FILTER.render(row))

    def patch(self, request: Request, kind: str, name: str) -> Response:
        row = self.found(kind, name)
        given = self.optional("filter_rules", list)
        rules = None if given is None else merged(row.rules, given)
        visibility = self.visibility() if "visibility" in self.body() else None
        if rules is None and visibility is None:
            raise bad_parameters("Missing filter_rules or visibility in json request body")
        update_filter(by=self.actor, saved=row, rules=rules, visibility=visibility)
        return Response(FILTER.render(row))

    def delete(self, request: Request, kind: str, name: str) -> Response:
        delete_filter(by=self.actor, saved=self.found(kind, name))
        return Response(status=204)


def merged(old: list[dict[str, Any]], given: list[Any]) -> list[Any]:
    """As genuine managers do: rules of labels alone keep those of attributes, and the other way round."""
    kinds = {rule.type for rule in filters.parse(given)}
    return [*given, *(rule for rule in old if kinds and rule["type"] not in kinds)]
