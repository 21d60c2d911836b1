"""What a measure found, and how it is printed: one row a figure, with the aim and all raw values."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


@dataclasses.dataclass
class Row:
    """One figure. `raw` are the values it was made of, in `unit`, in the order in which they were taken."""

    what: str
    value: float
    unit: str
    aim: str = ""
    raw: Sequence[float] = ()
    note: str = ""

    @property
    def words(self) -> str:
        return f"{figure(self.value)} {self.unit}".strip()


def median(what: str, values: Sequence[float], unit: str, **more: Any) -> Row:
    """The row of several repeats."""
    return Row(what, statistics.median(values), unit, raw=[*values], **more)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of all does not exceed; `values` need not be sorted."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(len(ordered) * share + 0.5) - 1))]


def figure(value: float) -> str:
    """Three digits that count."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def show(title: str, rows: Sequence[Row]) -> None:
    """The table of one measure."""
    print(f"\n{title}")
    width = max((len(row.what) for row in rows), default=0)
    for row in rows:
        raw = f"  [{', '.join(figure(value) for value in row.raw)}]" if 1 < len(row.raw) <= 10 else ""
        more = "".join(f"  {text}" for text in (row.aim and f"aim {row.aim}", row.note) if text)
        print(f"  {row.what:{width}}  {row.words:>14}{more}{raw}", flush=True)


def machine() -> str:
    """Cores and memory, for the head of a report."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, {pages:.0f} GB, Python {platform.python_version()}; load before {load:.1f}"


def keep(path: Path, found: dict[str, Sequence[Row]]) -> None:
    """All rows as JSON, for those who want to compare."""
    rows = {name: [dataclasses.asdict(row) | {"raw": [*row.raw]} for row in rows] for name, rows in found.items()}
    path.write_text(json.dumps({"machine": machine(), "command": " ".join(sys.argv), "measures": rows}, indent=1))
