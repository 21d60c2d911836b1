"""How long a rollout should take, judged by the latest targets of the same service; an estimate, and said to be one."""

from __future__ import annotations

import math
import statistics

from deployon.models import Target
from runs.states import RunState

LOOKED_AT = 200  # the latest targets that succeeded


def estimate(service_id: int, action: str, acting: int, max_parallel: int) -> str:
    """ "About 4 min (3 to 6), ..." or "" where nothing of this service has succeeded yet."""
    done = Target.objects.filter(
        rollout__version__service=service_id, rollout__action=action, run__state=RunState.SUCCEEDED
    ).exclude(run__started_at=None)
    times = done.order_by("-pk").values_list("run__started_at", "run__ended_at")[:LOOKED_AT]
    seconds = sorted(max(0.0, (end - start).total_seconds()) for start, end in times if start and end)
    if not seconds or not acting:
        return ""
    waves = math.ceil(acting / max(1, max_parallel or acting))
    median = statistics.median(seconds)
    low, high = seconds[len(seconds) // 10], seconds[-1 - len(seconds) // 10]
    rest = f"from the last {len(seconds)} environment{'s' if len(seconds) != 1 else ''}: median {spoken(median)} each"
    span = f" ({spoken(waves * low)} to {spoken(waves * high)})" if high - low > 1 else ""
    return f"About {spoken(waves * median)}{span}, {rest}"


def spoken(seconds: float) -> str:
    """ "4 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{max(1, math.ceil(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
