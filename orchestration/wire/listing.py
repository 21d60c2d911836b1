"""Lists of v3.1: paging, sorting, equality filters, search, and the envelope around the items."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from django.db.models import F, Min, Q, QuerySet
from django.http import QueryDict
from rest_framework.response import Response

from orchestration.errors import Refused, bad_parameters, not_found
from orchestration.wire.plain import PlainRows
from orchestration.wire.shapes import Shape, read_bool

DEFAULT_SIZE = 1000


@dataclasses.dataclass(frozen=True)
class Page:
    """Which part of a list is wanted."""

    size: int
    offset: int
    is_all: bool = False

    def cut(self, rows: Any) -> Any:
        """The rows of this page."""
        return rows if self.is_all else rows[self.offset : self.offset + self.size]


def read_page(query: QueryDict, default_size: int = DEFAULT_SIZE) -> Page:
    """`_size` and `_offset`; 400 in the words of v3.1, without `server_traceback` as there."""
    numbers = {}
    for name, default in (("_size", default_size), ("_offset", 0)):
        text = query.get(name)
        try:
            numbers[name] = default if text in (None, "") else int(str(text))
        except ValueError:
            raise page_error(name, "value is not a valid integer (type=type_error.integer)") from None
        if numbers[name] < 0:
            raise page_error(
                name, "ensure this value is greater than or equal to 0 (type=value_error.number.not_ge; limit_value=0)"
            )
    is_all = read_bool(query.get("_get_all_results") or "false", "_get_all_results")
    return Page(numbers["_size"], numbers["_offset"], is_all)


def page_error(name: str, reason: str) -> Refused:
    """400 for a page that cannot be."""
    message = f"1 validation error for Pagination\n{name}\n  {reason}"
    return Refused(400, "bad_parameters_error", message, has_traceback_key=False)


def metadata_of(total: int, page: Page, *, filtered: int | None = None, has_filtered: bool = True) -> dict[str, Any]:
    """What stands beside the items; events, workflows and summaries have no `filtered`."""
    size = total if page.is_all else page.size
    metadata: dict[str, Any] = {"pagination": {"total": total, "size": size, "offset": page.offset}}
    if has_filtered:
        metadata["filtered"] = filtered
    return metadata


def envelope(items: list[Any], total: int, page: Page, **more: Any) -> Response:
    """{"items", "metadata"}; `more` as `metadata_of` takes it."""
    return Response({"items": items, "metadata": metadata_of(total, page, **more)})


def sort(rows: QuerySet[Any], query: QueryDict, shape: Shape) -> QuerySet[Any]:
    """By `_sort` (may repeat, `-` for descending), then in the resource's own order, so that pages do not overlap."""
    order: list[Any] = []
    unknown = []
    for number, text in enumerate(key for part in query.getlist("_sort") for key in part.split(",") if key):
        descending = text.startswith("-")
        name = text.lstrip("+- ")
        if name.startswith("label:"):
            alias = f"label_{number}"
            label = Min("labels__value", filter=Q(labels__key=name.removeprefix("label:").lower()))
            rows = rows.annotate(**{alias: label})
            order.append(F(alias).desc(nulls_last=True) if descending else F(alias).asc(nulls_last=True))
        elif name in shape.fields and shape.fields[name].column:
            order.append(f"{'-' if descending else ''}{shape.fields[name].column}")
        else:
            unknown.append(name)
    if unknown:
        raise bad_parameters(f"Sort keys '{unknown}' do not exist. Allowed keys are: {columns(shape)}")
    return rows.order_by(*order, *shape.order)


def columns(shape: Shape) -> list[str]:
    """The fields that a list can be sorted and filtered by."""
    return [name for name, field in shape.fields.items() if field.column] + list(shape.also_filters)


def equal(rows: QuerySet[Any], query: QueryDict, shape: Shape) -> QuerySet[Any]:
    """Keep the rows whose fields have one of the values asked for: `?id=a&id=b`."""
    wanted = [name for name in query if not name.startswith("_") and name not in shape.also_filters]
    unknown = [name for name in wanted if name not in shape.fields or not shape.fields[name].column]
    if unknown:
        raise bad_parameters(f"Filter keys '{unknown}' do not exist. Allowed keys are: {columns(shape)}")
    for name in wanted:
        field = shape.fields[name]
        values = [field.to_column(text, name) for text in query.getlist(name)]
        rows = rows.filter(**{f"{field.column}__in": values})
    return rows


def search(rows: QuerySet[Any], query: QueryDict, shape: Shape) -> QuerySet[Any]:
    """`_search` looks in the ids, `_search_name` in the display names; both: either."""
    found = Q()
    if text := query.get("_search"):
        for name in shape.search:
            found |= Q(**{f"{name}__icontains": text})
    if (text := query.get("_search_name")) and "display_name" in shape.fields:
        found |= Q(**{f"{shape.fields['display_name'].column}__icontains": text})
    return rows.filter(found) if found else rows


def listed(rows: QuerySet[Any], query: QueryDict, shape: Shape, *, filtered: int | None = None) -> Response:
    """The whole way from visible rows to the reply."""
    include = shape.included(query.get("_include"))
    page = read_page(query)
    rows = search(equal(rows, query, shape), query, shape)
    if shape.is_plain:
        total, keys = keys_of(sort(rows, query, shape), page)
        return Response(PlainRows(shape, include).whole(rows, keys, metadata_of(total, page, filtered=filtered)))
    total = rows.count()
    items = page.cut(shape.load(sort(rows, query, shape), include))
    return envelope([shape.render(row, include) for row in items], total, page, filtered=filtered)


def keys_of(rows: QuerySet[Any], page: Page) -> tuple[int, list[Any]]:
    """How many there are, and the keys of those on a page. Only these are read further: sorting carries nothing but them."""
    keys = list(page.cut(rows.values_list("pk", flat=True)))
    if page.is_all:
        return len(keys), keys
    is_end = len(keys) < page.size and (keys or not page.offset)
    return page.offset + len(keys) if is_end else rows.count(), keys


def one(rows: QuerySet[Any], query: QueryDict, shape: Shape, wire_id: str, *, name: str = "wire_id") -> Response:
    """One resource by its id; 404 in the words of v3.1."""
    include = shape.included(query.get("_include"))
    return Response(shape.render(find(shape.load(rows, include), shape.kind, wire_id, name=name), include))


def plain_row(rows: QuerySet[Any], key: Any, shape: Shape, include: Sequence[str]) -> dict[str, Any]:
    """One row of a shape that is made of parts."""
    for found in PlainRows(shape, include).rendered(rows, [key]):
        return found
    raise rows.model.DoesNotExist(f"This {shape.kind} was deleted in this moment.")


def find(rows: QuerySet[Any], kind: str, wire_id: str, *, name: str = "wire_id") -> Any:
    """The row with this id, own tenant before others' global ones; 404 in the words of v3.1."""
    row = rows.filter(**{name: wire_id}).first()
    if row is None:
        raise not_found(kind, wire_id)
    return row
