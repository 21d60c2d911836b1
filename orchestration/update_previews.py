"""What an update would do to one deployment and to many, in words, before anything is changed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import transaction

from accounts.actors import Actor
from accounts.models import Tenant
from inventory.models import Deployment
from orchestration import update_plans, updates
from orchestration.bulk_looks import Looks, Preview
from orchestration.bulk_runs import Changed, lock
from orchestration.errors import Refused
from orchestration.group_models import ExecutionGroup
from orchestration.models import LocalDeployment
from orchestration.runner_types import BlueprintProblem, Row, RunnerError
from orchestration.update_steps import changed_nodes

MOST = 300  # deployments of one preview: each is worked out by the parser, some 40 ms
ACTIONS = {"add": "Add", "remove": "Remove", "modify": "Change"}
# As orchestration/runner/updating.py has them: a node with one of these is not installed anew.
OWN_OPERATIONS = tuple(
    f"cloudify.interfaces.lifecycle.{name}"
    for name in ("preupdate", "update", "postupdate", "update_config", "update_apply", "update_postapply")
)


@dataclasses.dataclass(frozen=True)
class Outlook:
    """The steps of an update, and what becomes of the nodes that stay. `drifted`: nodes that had drifted when they were last checked."""

    steps: list[Row]
    anew: list[str]
    by_operation: list[str]
    drifted: list[str]
    inputs: list[tuple[str, Any, Any]]  # name, old value, new value

    @property
    def is_nothing(self) -> bool:
        return not (self.steps or self.drifted or self.inputs)

    @property
    def lines(self) -> list[tuple[str, str]]:
        """(action, words) of each step."""
        return [(step["action"], words_of(step)) for step in self.steps]

    @property
    def summary(self) -> str:
        """In one line."""
        parts = []
        for action, word in (("add", "added"), ("remove", "removed")):
            count = sum(step["action"] == action and step["entity_type"] == "node" for step in self.steps)
            parts += [f"{count:,} node{'' if count == 1 else 's'} {word}"] if count else []
        parts += [f"installed anew: {', '.join(self.anew)}"] if self.anew else []
        parts += [f"brought up to date: {', '.join(self.by_operation)}"] if self.by_operation else []
        if not parts and self.steps:
            parts = [f"{len(self.steps):,} step{'' if len(self.steps) == 1 else 's'}, nothing is installed anew"]
        return "; ".join(parts) or "inputs only"


def words_of(step: Row) -> str:
    """A step as people read it."""
    path = step["entity_id"]
    if path[0] != "nodes" or len(path) == 2:
        name = f" {path[-1]}" if len(path) > 1 else ""
        return f"{ACTIONS[step['action']]} {step['entity_type']}{name}"
    return f"{ACTIONS[step['action']]} {step['entity_type']} {':'.join(path[3:])} of node {path[1]}"


def outlook(by: Actor, local: LocalDeployment, wanted: updates.Wanted, known: dict[str, Row] | None = None) -> Outlook:
    """What the update would do; Refused where it cannot be. `known`: plans that were prepared already, by what they are made of."""
    update = updates.new_update(by, local, wanted)
    key = json.dumps(
        [update.new_blueprint.pk if update.new_blueprint else 0, update.new_inputs], sort_keys=True, default=str
    )
    try:
        prepared = (known or {}).get(key) or update_plans.prepare(update)
        change = update_plans.Change(update, prepared)
    except BlueprintProblem as problem:
        raise Refused(400, "deployment_creation_error", problem.message) from None
    except RunnerError as error:
        raise Refused(500, "internal_server_error", str(error)) from None
    if known is not None:
        known[key] = prepared
    changed = changed_nodes(change.steps)
    drifted: set[str] = set()
    if not wanted.flags.get("skip_drift_check"):
        drifted = set(local.instances.filter(has_drift=True).values_list("node__name", flat=True))
    kept = {name for name in changed | drifted if name in change.new_nodes}
    own = (
        {name for name in kept if has_updates(change.new_nodes[name])}
        if not wanted.flags.get("force_reinstall")
        else set()
    )
    old, new = local.inputs or {}, prepared["inputs"]
    return Outlook(
        change.steps,
        [] if wanted.flags.get("skip_reinstall") else sorted(kept - own),
        sorted(own),
        sorted(drifted & kept),
        [(name, old.get(name), new.get(name)) for name in sorted({*old, *new}) if old.get(name) != new.get(name)],
    )


def has_updates(node: Mapping[str, Any]) -> bool:
    """Has the node an operation of its own for updates?"""
    operations = node.get("operations") or {}
    return any((operations.get(name) or {}).get("operation") for name in OWN_OPERATIONS)


def preview_many(*, by: Actor, rows: Sequence[Deployment], tenant: Tenant, wanted: updates.Wanted) -> Preview:
    """The outlook of each, as notes; those that would stay as they are, and those that cannot be updated, each with the reason."""
    looks = Looks(rows, tenant)
    whole = LocalDeployment.objects.select_related("deployment__tenant", "blueprint")
    locals_by_id = {local.pk: local for local in whole.filter(deployment__in=[row.pk for row in rows])}
    outlooks: dict[int, Outlook] = {}
    known: dict[str, Row] = {}

    def why(row: Deployment, local: LocalDeployment) -> str:
        try:
            outlooks[row.pk] = outlook(by, locals_by_id[local.pk], wanted, known)
        except Refused as refused:
            return refused.message if refused.message.endswith(".") else f"{refused.message}."
        return "Nothing would change: it is so already." if outlooks[row.pk].is_nothing else ""

    found = looks.sort_out(why)
    found.asked = told(wanted)
    found.outlooks = {row.pk: outlooks[row.pk] for row in found.acting}
    found.stamps = stamps_of(found.acting)
    return found


def stamps_of(rows: Iterable[Deployment]) -> dict[int, str]:
    """Blueprint and inputs of each, as a digest: an outlook holds as long as they do."""
    found = LocalDeployment.objects.filter(deployment__in=[row.pk for row in rows])
    return {
        deployment: hashlib.sha256(json.dumps([blueprint, inputs], sort_keys=True, default=str).encode()).hexdigest()
        for deployment, blueprint, inputs in found.values_list("deployment_id", "blueprint_id", "inputs")
    }


def told(wanted: updates.Wanted) -> dict[str, Any]:
    """How the update was asked for, to tell one from another."""
    return {
        "blueprint": wanted.blueprint.pk if wanted.blueprint else None,
        "inputs": wanted.inputs,
        "flags": wanted.flags,
        "reinstall_list": list(wanted.reinstall_list),
        "runtime_only_evaluation": wanted.runtime_only_evaluation,
    }


@transaction.atomic
def start_many(
    *, by: Actor, tenant: Tenant, rows: Sequence[Deployment], wanted: updates.Wanted, concurrency: int, digest: str
) -> ExecutionGroup:
    """Begin the updates that `digest` was told of; Changed, and nothing begun, where one of them is not what it was."""
    lock(rows)
    now = Looks(rows, tenant).sort_out(lambda row, local: "")
    now.asked, now.stamps = told(wanted), stamps_of(now.acting)
    if now.digest != digest or not now.acting:
        raise Changed(now)
    return updates.update_group(
        by=by, tenant=tenant, members=now.acting, wanted=wanted, concurrency=concurrency, force=False
    )
