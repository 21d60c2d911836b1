"""Columns of labels that a list shows, and the one that it is sorted by: column=env&column=ring&sort=-label:env."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable
from typing import Any, TypeVar, cast

from django.db.models import F, OuterRef, QuerySet, Subquery
from django.http import QueryDict

from inventory.models import Deployment, Label

MOST_COLUMNS = 4  # beside those that are always there
Rows = TypeVar("Rows", bound=QuerySet[Any])
TURNS = {"": "label:{}", "ascending": "-label:{}", "descending": None}  # what a click on the head of a column asks for


@dataclasses.dataclass(frozen=True)
class Column:
    """A label as a column; `direction`: ascending, descending, or "" where the list is not sorted by it."""

    key: str
    direction: str = ""

    @property
    def turn(self) -> str | None:
        """The value of `sort` that the head of the column leads to; None: the usual order again."""
        wanted = TURNS[self.direction]
        return wanted.format(self.key) if wanted else None


def read_columns(query: QueryDict) -> list[Column]:
    """The columns of an address; only a column that is shown is sorted by."""
    keys = list(dict.fromkeys(filter(None, query.getlist("column"))))[:MOST_COLUMNS]
    sort = query.get("sort", "")
    directions = {"label:{}": "ascending", "-label:{}": "descending"}
    return [
        Column(key, next((word for text, word in directions.items() if text.format(key) == sort), "")) for key in keys
    ]


def in_order_of(rows: Rows, columns: list[Column], *, deployment: str = "pk") -> Rows:
    """Rows in an order of their own, now first by the first value of the label that is sorted by; those without it at the end."""
    column = next((one for one in columns if one.direction), None)
    if column is None:
        return rows
    values = Label.objects.filter(deployment=OuterRef(deployment), key=column.key.lower()).order_by("value")
    label = F("sort_label")
    first = label.desc(nulls_last=True) if column.direction == "descending" else label.asc(nulls_last=True)
    usual = rows.query.order_by
    ordered: Any = rows.annotate(sort_label=Subquery(values.values("value")[:1])).order_by(first, *usual)
    return cast(Rows, ordered)


def label_values_of(rows: Iterable[Deployment], keys: Collection[str]) -> dict[tuple[int, str], list[str]]:
    """(deployment, key) -> its values, of those labels; asks nothing where no label is shown."""
    found: dict[tuple[int, str], list[str]] = {}
    if keys:
        labels = Label.objects.filter(deployment__in=[row.pk for row in rows], key__in=keys).order_by("value")
        for deployment, key, value in labels.values_list("deployment_id", "key", "value"):
            found.setdefault((deployment, key), []).append(value)
    return found
