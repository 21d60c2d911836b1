"""Times as v3.1 writes and reads them."""

from __future__ import annotations

import datetime

from django.utils.dateparse import parse_datetime

from orchestration.errors import bad_parameters


def wire_time(moment: datetime.datetime | None) -> str | None:
    """UTC with milliseconds: 2026-11-22T03:41:20.940Z."""
    if moment is None:
        return None
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def read_time(text: str, name: str) -> datetime.datetime:
    """A time that a client sent, as UTC where it names no zone; 400 that names the parameter."""
    try:
        moment = parse_datetime(text.strip())
    except ValueError:
        moment = None
    if moment is None:
        raise bad_parameters(f"{name}: `{text}` is not a time; write it as 2026-11-22T03:41:20.940Z")
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
