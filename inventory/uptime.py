"""What the looks at an environment say together: how much of the time it was ready, how long it took to answer."""

from __future__ import annotations

import dataclasses
import itertools
import statistics
from collections.abc import Sequence
from datetime import datetime

from inventory.models import Probe

BARS = 60  # looks in the picture
HEIGHT, LEAST = 40, 4  # of a bar, in pixels


@dataclasses.dataclass(frozen=True)
class Bar:
    """One look in the picture; `height` in pixels."""

    probe: Probe
    height: int


@dataclasses.dataclass(frozen=True)
class Uptime:
    """Of the looks that are kept: `share` 0 to 1, times in milliseconds of those that got through."""

    looks: int
    since: datetime
    share: float
    median: float | None
    slowest: int | None
    bars: Sequence[Bar]  # the oldest first


def uptime(probes: Sequence[Probe]) -> Uptime | None:
    """Of looks, the latest first; None where there was none. Each look counts for the time until the next one."""
    if not probes:
        return None
    ordered = list(reversed(probes))
    spans = [max(0.0, (after.at - one.at).total_seconds()) for one, after in itertools.pairwise(ordered)]
    known = sum(spans)
    ready = sum(span for span, one in zip(spans, ordered, strict=False) if one.is_ready)
    share = ready / known if known > 0 else float(ordered[-1].is_ready)
    took = [one.milliseconds for one in ordered if one.is_ready]
    shown = ordered[-BARS:]
    most = max((one.milliseconds for one in shown), default=1) or 1
    bars = [Bar(one, LEAST + round((HEIGHT - LEAST) * one.milliseconds / most)) for one in shown]
    return Uptime(
        looks=len(ordered),
        since=ordered[0].at,
        share=share,
        median=statistics.median(took) if took else None,
        slowest=max(took, default=None),
        bars=bars,
    )
