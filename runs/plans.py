"""Plans: operations in lanes, lanes in stages, and the digest that Start must name; what is planned is the domain's business."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from runs.models import Plan, Step
from runs.operations import Operation

# {"title": str, "operations": [{"key": str, "args": {...}, "describe": str}]}
Lane = dict[str, Any]
# {"title": str, "lanes": [Lane]}
Stage = dict[str, Any]


def lane(title: str, operations: Sequence[Operation]) -> Lane:
    """Operations in order, beside the other lanes of their stage: one host, or one branch such as the database."""
    return {"title": title, "operations": [operation.to_json() for operation in operations]}


def stage(title: str, lanes: Sequence[Lane]) -> Stage:
    """Lanes side by side; the next stage begins when all of them have ended."""
    return {"title": title, "lanes": list(lanes)}


def digest_of(title: str, stages: Sequence[Stage]) -> str:
    """SHA-256 of the canonical JSON. TypeError where an argument of an operation is no JSON."""
    text = json.dumps(
        {"title": title, "stages": list(stages)}, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    return hashlib.sha256(text.encode()).hexdigest()


def store_plan(title: str, stages: Sequence[Stage]) -> Plan:
    """Keep a plan as it will be shown and carried out."""
    return Plan.objects.create(title=title, stages=list(stages), digest=digest_of(title, stages))


def steps_of(run_id: int, stages: Sequence[Stage]) -> list[Step]:
    """The steps of a plan for one run, not stored yet."""
    return [
        Step(
            run_id=run_id,
            stage=stage_number,
            lane=lane_number,
            position=position,
            operation=operation["key"],
            args=operation["args"],
            title=operation["describe"][:256],
        )
        for stage_number, one_stage in enumerate(stages)
        for lane_number, one_lane in enumerate(one_stage["lanes"])
        for position, operation in enumerate(one_lane["operations"])
    ]
