"""Query of a list of environments, as /api/v1 takes it: filter rules, saved filter, search, site, state, order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import F, OuterRef, QuerySet, Subquery
from django.http import QueryDict
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from accounts.models import Tenant, User
from inventory import saved_filters
from inventory.filters import parse
from inventory.models import Environment, Filter, Label

ORDERS = {
    "name": "deployment__wire_id",
    "display_name": "deployment__display_name",
    "created_at": "deployment__created_at",
    "site": "deployment__site__name",
    "status": "deployment__deployment_status",
    "endpoint": "sub_manager__endpoint",
    "version": "sub_manager__version",
    "state": "state",
    "since": "state_since",
    "last_seen_at": "last_seen_at",
}
LISTING = [
    OpenApiParameter(
        "filter_rules", OpenApiTypes.STR, description='JSON: [{"type", "key", "operator", "values"}], all must hold'
    ),
    OpenApiParameter("filter", OpenApiTypes.STR, description="Name of a saved filter, whose rules must hold as well"),
    OpenApiParameter("q", OpenApiTypes.STR, description="Text in the name or the endpoint, in any case"),
    OpenApiParameter("site", OpenApiTypes.STR, description="Name of a site"),
    OpenApiParameter("state", OpenApiTypes.STR, many=True, enum=Environment.State.values, description="Any of these"),
    OpenApiParameter(
        "ordering",
        OpenApiTypes.STR,
        description=f"{', '.join(ORDERS)} or label:<key>; a minus in front turns it round; several by comma",
    ),
]


def listed(rows: QuerySet[Environment], query: QueryDict, user: User, tenant: Tenant) -> QuerySet[Environment]:
    """The rows that a query asks for, in its order; ValidationError for a query that cannot be read."""
    found: Any = rows
    if query.get("filter_rules"):
        try:
            rules = json.loads(query.get("filter_rules", ""))
        except ValueError:
            raise ValidationError({"filter_rules": "This is no JSON. Send a list of rules, URL-encoded."}) from None
        found = found.matching(parse(rules, are_titles_free=True))
    if query.get("filter"):
        try:
            found = found.matching(saved_filters.rules_of(user, tenant, query.get("filter", "")))
        except Filter.DoesNotExist as error:
            raise ValidationError({"filter": str(error)}) from None
    if query.get("site"):
        found = found.filter(deployment__site__name=query["site"])
    states = query.getlist("state")
    if set(states) - set(Environment.State.values):
        raise ValidationError({"state": f"Choose among: {', '.join(Environment.State.values)}."})
    if states:
        found = found.filter(state__in=states)
    ordered: QuerySet[Environment] = in_order(found.search(query.get("q", "").strip()), query.get("ordering", "name"))
    return ordered


def rows_of_page(ids: Sequence[int]) -> list[Environment]:
    """The rows with these ids, in that order, each deployment with `shown_labels`, [(key, value)]: two queries."""
    found = Environment.objects.for_list().prefetch_related(None).in_bulk(ids)
    rows = [found[pk] for pk in ids if pk in found]
    labels: dict[int, list[tuple[str, str]]] = {row.deployment_id: [] for row in rows}
    for deployment_id, key, value in (
        Label.objects.filter(deployment__in=labels)
        .order_by("key", "value")
        .values_list("deployment_id", "key", "value")
    ):
        labels[deployment_id].append((key, value))
    for row in rows:
        row.deployment.shown_labels = labels[row.deployment_id]  # type: ignore[attr-defined]
    return rows


def in_order(rows: Any, ordering: str) -> Any:
    """Sorted by comma-separated keys of ORDERS or label:<key>; the id last, so that pages do not overlap."""
    columns = []
    for number, word in enumerate(filter(None, ordering.split(","))):
        key = word.removeprefix("-")
        if key.startswith("label:"):
            values = Label.objects.filter(deployment=OuterRef("deployment"), key=key.removeprefix("label:").lower())
            rows = rows.annotate(**{f"sort_{number}": Subquery(values.order_by("value").values("value")[:1])})
            column = F(f"sort_{number}")
        elif key in ORDERS:
            column = F(ORDERS[key])
        else:
            raise ValidationError(
                {"ordering": f"There is no order by {key}. Choose among: {', '.join(ORDERS)}, label:<key>."}
            )
        columns.append(column.desc(nulls_last=True) if word.startswith("-") else column.asc(nulls_last=True))
    return rows.order_by(*columns, "pk")
