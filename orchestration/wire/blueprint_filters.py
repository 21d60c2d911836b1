"""Saved filters of blueprints on the wire."""

from __future__ import annotations

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import Conflict
from orchestration import blueprint_filters
from orchestration.errors import bad_parameters, exists
from orchestration.filter_models import BlueprintFilter
from orchestration.identity import check_id
from orchestration.wire.listing import find, listed, one
from orchestration.wire.shapes import Field, Shape, column, owned, time
from orchestration.wire.views import WireView
from orchestration.wire.vocabulary import wire_rules

MODEL = "BlueprintsFilter"
FILTER = Shape(
    MODEL,
    {
        "created_at": time("created_at"),
        "id": column("name"),
        "visibility": column("visibility"),
        "value": Field(lambda row: wire_rules(row.rules)),
        "updated_at": time("updated_at"),
        "is_system_filter": Field(lambda row: False),
        **owned(),
        "labels_filter_rules": Field(lambda row: wire_rules(row.rules, "label")),
        "attrs_filter_rules": Field(lambda row: wire_rules(row.rules, "attribute")),
    },
    search=("name",),
)


class FilterView(WireView):
    """What both addresses share."""

    resource = "filter"

    def rows(self) -> QuerySet[BlueprintFilter]:
        """What the caller may see."""
        return self.visible(BlueprintFilter.objects.all())

    def found(self, name: str) -> BlueprintFilter:
        """The filter, to be changed."""
        row = find(self.rows().select_related("tenant", "created_by"), MODEL, name, name="name")
        return self.in_own_tenant(row, "Filter")  # type: ignore[no-any-return]


class FilterList(FilterView):
    """GET /filters/blueprints."""

    needs = {"GET": "filter.view"}

    def get(self, request: Request) -> Response:
        return listed(self.rows(), request.query_params, FILTER)


class FilterDetail(FilterView):
    """One saved filter."""

    needs = {"GET": "filter.view", "PUT": "filter.change", "PATCH": "filter.change", "DELETE": "filter.change"}

    def get(self, request: Request, name: str) -> Response:
        return one(self.rows(), request.query_params, FILTER, name, name="name")

    def put(self, request: Request, name: str) -> Response:
        """Save rules under a name."""
        check_id(name, "filter_id")
        rules = self.required("filter_rules", list)
        try:
            row = blueprint_filters.create(
                by=self.actor, tenant=self.tenant, name=name, rules=rules, visibility=self.visibility()
            )
        except Conflict:
            raise exists(MODEL, name, self.tenant.name) from None
        return Response(FILTER.render(row))

    def patch(self, request: Request, name: str) -> Response:
        """As genuine managers do: rules of labels alone keep those of attributes, and the other way round."""
        row = self.found(name)
        given = self.optional("filter_rules", list)
        visibility = self.visibility() if "visibility" in self.body() else None
        if given is None and visibility is None:
            raise bad_parameters("Missing filter_rules or visibility in json request body")
        rules = None
        if given is not None:
            kinds = {rule["type"] for rule in blueprint_filters.checked(given)}
            rules = [*given, *(rule for rule in row.rules if kinds and rule["type"] not in kinds)]
        blueprint_filters.update(by=self.actor, saved=row, rules=rules, visibility=visibility)
        return Response(FILTER.render(row))

    def delete(self, request: Request, name: str) -> Response:
        """Remove it."""
        blueprint_filters.delete(by=self.actor, saved=self.found(name))
        return Response(status=204)
