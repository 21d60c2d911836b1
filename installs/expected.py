"""What each step of a plan is expected to do, as far as that is known without asking a host."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from accounts.models import AuditEntry
from installs.asked import Kind, joining_of
from installs.installing import Planned
from installs.models import ClusterRun
from inventory.models import Cluster
from runs.models import Run, Step
from runs.plans import Stage
from runs.states import FINAL_RUN_STATES, StepState

NEW, LEAVES, DIFFERS, AS_WANTED = "new", "leaves", "differs", "as wanted"
CHANGES = ("cluster.change", "host.change", "host.add", "host.remove", "certificate.keep")


@dataclass(frozen=True)
class Expected:
    """A word for steps, by operation and arguments; `verify` is the run that they come from, where they come from one."""

    words: Mapping[str, str] = field(default_factory=dict)
    by_host: Mapping[str, str] = field(default_factory=dict)
    verify: Run | None = None

    def of(self, step: Mapping[str, Any]) -> str:
        """NEW, LEAVES, DIFFERS, AS_WANTED, or "" where nothing is known."""
        args = step["args"]
        return self.by_host.get(args.get("leaving") or args.get("host") or "", "") or self.words.get(_key(step), "")

    def marked(self, stages: Sequence[Stage]) -> list[Stage]:
        """The same stages, each step with its word as `expected`."""
        return [
            stage
            | {
                "lanes": [
                    lane | {"operations": [step | {"expected": self.of(step)} for step in lane["operations"]]}
                    for lane in stage["lanes"]
                ]
            }
            for stage in stages
        ]

    def count(self, stages: Sequence[Stage]) -> dict[str, int]:
        """How many steps have each word."""
        words = [self.of(step) for stage in stages for lane in stage["lanes"] for step in lane["operations"]]
        return {word: words.count(word) for word in (NEW, LEAVES, DIFFERS, AS_WANTED) if word in words}


def expected_of(cluster: Cluster, planned: Planned) -> Expected:
    """Of hosts that come or go their own steps; else what the last check found, where nothing was done or changed since."""
    if planned.kind == Kind.REMOVE_HOST:
        return Expected(by_host={planned.host: LEAVES})
    if planned.kind != Kind.INSTALL:
        return Expected()
    if joining := joining_of(cluster):
        return Expected(by_host=dict.fromkeys(joining, NEW))
    last = ClusterRun.objects.filter(cluster=cluster).exclude(kind=Kind.PREFLIGHT).select_related("run").first()
    if last is None or last.kind != Kind.VERIFY or last.run.state not in FINAL_RUN_STATES:
        return Expected()
    changed = AuditEntry.objects.filter(chain=cluster.tenant.name, at__gt=last.run.created_at, action__in=CHANGES)
    if changed.exists():
        return Expected()
    seen = Step.objects.filter(run=last.run, state__in=[StepState.SKIPPED, StepState.FAILED])
    return Expected(
        words={
            _key({"key": operation, "args": args}): AS_WANTED if state == StepState.SKIPPED else DIFFERS
            for operation, args, state in seen.values_list("operation", "args", "state")
        },
        verify=last.run,
    )


def _key(step: Mapping[str, Any]) -> str:
    return json.dumps([step["key"], step["args"]], sort_keys=True)
