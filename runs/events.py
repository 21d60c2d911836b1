"""An event before it is stored: a plain value, since a thousand targets make ten thousand of them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

from runs.models import Event


class NewEvent(NamedTuple):
    """The columns of runs.models.Event but its id."""

    run_id: int
    top_id: int
    step_id: int | None
    kind: str
    message: str
    data: dict[str, Any]
    at: datetime


def insert_events(events: Collection[NewEvent]) -> None:
    """Store them in this order, with one prepared statement; who wants to see them reads them by cursor."""
    if not events:
        return
    quote = connection.ops.quote_name
    fields: dict[str, Any] = {field.attname: field for field in Event._meta.concrete_fields}
    columns = ", ".join(quote(fields[name].column) for name in NewEvent._fields)
    places = ", ".join(["%s"] * len(NewEvent._fields))
    data, at = fields["data"], fields["at"]
    nothing = data.get_db_prep_save({}, connection)
    times = {moment: at.get_db_prep_save(moment, connection) for moment in {event.at for event in events}}
    rows = [
        (*event[:-2], data.get_db_prep_save(event.data, connection) if event.data else nothing, times[event.at])
        for event in events
    ]
    with connection.cursor() as cursor:
        # Names come from the model, values are bound.
        cursor.executemany(f"INSERT INTO {quote(Event._meta.db_table)} ({columns}) VALUES ({places})", rows)  # noqa: S608
