"""Times as v3.1 writes and reads them."""

from __future__ import annotations

import datetime

from django.db.models import TextField
from django.db.models.functions import Cast
from django.utils.dateparse import parse_datetime

from orchestration.errors import bad_parameters


class AsText(Cast):
    """A time column as the database writes it, in UTC: lists show thousands of them, and reading each as a time costs most of the list."""

    def __init__(self, name: str) -> None:
        super().__init__(name, TextField())


def wire_time(moment: datetime.datetime | str | None) -> str | None:
    """UTC with milliseconds: 2026-11-22T03:41:20.940Z. A text is one of `AsText`: 2026-11-22 03:41:20.94+00, or without fraction or zone."""
    if moment is None:
        return None
    if isinstance(moment, str):
        fraction = moment[20:23] if moment[19:20] == "." else ""
        return f"{moment[:10]}T{moment[11:19]}.{fraction.partition('+')[0]:0<3}Z"
    return moment.astimezone(datetime.UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def read_time(text: str, name: str) -> datetime.datetime:
    """A time that a client sent, as UTC where it names no zone; 400 that names the parameter."""
    try:
        moment = parse_datetime(text.strip())
    except ValueError:
        moment = None
    if moment is None:
        raise bad_parameters(f"{name}: `{text}` is not a time; write it as 2026-11-22T03:41:20.940Z")
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
