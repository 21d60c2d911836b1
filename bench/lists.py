"""The rows of bench.filters for the report of all measures."""

from __future__ import annotations

import contextlib
from typing import Any

from bench import filters
from bench.installation import folder
from bench.rows import Row, percentile
from tests.services import postgres
from tests.services.shared import Missing, open_session

TITLE = "Lists of 10,000 environments with 10 labels each, pages of 50 through /api/v1"


def rows_of(name: str, found: dict[str, Any]) -> list[Row]:
    every = [value for one in found.values() for value in one["all"]]
    slowest = max(found, key=lambda title: found[title]["p95"])
    return [
        Row(f"{name}: P95 of all {len(every)} requests", percentile(every, 0.95), "ms", aim=str(filters.AIM)),
        Row(f"{name}: P50 of all", percentile(every, 0.5), "ms"),
        *(
            Row(f"{name}: {title}: P95", one["p95"], "ms", note=f"P50 {one['p50']:.0f} ms, {one['found']} found")
            for title, one in found.items()
        ),
        Row(f"{name}: the slowest", found[slowest]["p95"], "ms", note=slowest),
    ]


def run(environments: int = 10_000, repeat: int = 20) -> list[Row]:
    open_session()
    with folder() as path:
        rows = rows_of("SQLite", filters.in_child(f"sqlite:///{path}/bench.sqlite3", str(path), environments, repeat))
    with contextlib.suppress(Missing):
        url = postgres.make_database()
        with folder() as path:
            rows += rows_of("PostgreSQL", filters.in_child(url, str(path), environments, repeat))
        postgres.drop_database(url)
    return rows
