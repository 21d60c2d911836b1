"""One workflow on many chosen deployments: what they have, what would begin and what not, and the start."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models.fields.json import KeyTransform

from accounts.actors import Actor
from accounts.models import Tenant
from inventory.models import Deployment
from orchestration import execution_groups
from orchestration.bulk_looks import Looks, Preview
from orchestration.bulk_order import settle
from orchestration.dequeuing import named
from orchestration.errors import Refused
from orchestration.exposed import UNINSTALL
from orchestration.group_models import DeploymentGroup, ExecutionGroup
from orchestration.models import LocalDeployment
from orchestration.workflows import NOT_LIVE, is_available, merged_parameters, rules_of


@dataclasses.dataclass(frozen=True)
class Wish:
    """What is to run, and how."""

    workflow: str
    parameters: dict[str, Any] = dataclasses.field(default_factory=dict)
    concurrency: int = 5
    force: bool = False


class Changed(Exception):
    """Nothing was started: what would happen is not what was looked at any more."""

    def __init__(self, preview: Preview) -> None:
        super().__init__()
        self.preview = preview


@dataclasses.dataclass(frozen=True)
class Offer:
    """A workflow that some of the chosen deployments have."""

    name: str
    count: int
    parameters: dict[str, dict[str, Any]]  # of all of them together

    @property
    def must_be_told(self) -> bool:
        """Is there a parameter without a value of its own?"""
        return any("default" not in facts and facts.get("required", True) for facts in self.parameters.values())


def offers(rows: Sequence[Deployment]) -> list[Offer]:
    """The workflows of these deployments by name, those that most have first."""
    found = LocalDeployment.objects.filter(deployment__in=[row.pk for row in rows])
    declared = execution_groups.workflows_of(list(found.only("pk", "blueprint_id")))
    counts: Counter[str] = Counter()
    parameters: dict[str, dict[str, dict[str, Any]]] = {}
    for workflows in declared.values():
        for name, workflow in workflows.items():
            counts[name] += 1
            parameters.setdefault(name, {}).update(workflow.get("parameters") or {})
    ordered = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    return [Offer(name, count, parameters[name]) for name, count in ordered]


def preview(*, rows: Sequence[Deployment], tenant: Tenant, wish: Wish) -> Preview:
    """Which of these deployments it would begin on; the others each with the reason."""
    looks = Looks(rows, tenant)
    found = LocalDeployment.objects.filter(pk__in=[local.pk for local in looks.locals.values()])
    in_plan = KeyTransform(wish.workflow, KeyTransform("workflows", "plan"))
    declared: dict[int, Any] = dict(found.annotate(one=in_plan).values_list("pk", "one"))
    types: dict[int, list[str]] = {}
    if any("node_types_required" in (rules_of(wish.workflow, one) or {}) for one in declared.values() if one):
        types = dict(found.values_list("pk", "plan__node_types"))
    dependents = looks.dependents() if wish.workflow == UNINSTALL and not wish.force else {}
    standing = looks.standing() if wish.workflow == UNINSTALL and not wish.force else {}

    def why(row: Deployment, local: LocalDeployment) -> str:
        workflow = declared.get(local.pk)
        if not workflow:
            return f"It has no workflow {wish.workflow}."
        if on_it := standing.get(row.pk, []):
            return f"These services stand on it, uninstall them first: {named(on_it)}."
        states = sorted(looks.states.get(local.pk, ()))
        if not wish.force and not is_available(wish.workflow, workflow, states, set(types.get(local.pk) or ())):
            return f"{wish.workflow} is not available in its state: its instances are {', '.join(states) or 'none'}."
        try:
            merged_parameters(wish.workflow, workflow, wish.parameters, allow_custom=False)
        except Refused as refused:
            return f"{refused.message}."
        return ""

    found_out = looks.sort_out(why, wish.force)
    if wish.workflow == UNINSTALL and not wish.force:
        # One that is chosen as well and has nothing to uninstall stands in nobody's way.
        gone = {pk for pk, local in looks.locals.items() if looks.states.get(local.pk, set()) <= set(NOT_LIVE)}
        words = "Uninstall and remove what stands on it first: {}."
        settle(found_out, dependents, words, gone)
    found_out.asked = dataclasses.asdict(wish)
    return found_out


@transaction.atomic
def start(
    *,
    by: Actor,
    tenant: Tenant,
    rows: Sequence[Deployment],
    wish: Wish,
    digest: str,
    group: DeploymentGroup | None = None,
) -> ExecutionGroup:
    """Begin what `digest` was told of; Changed, and nothing begun, where that would be something else by now.

    `group`: whose members they are, where they were chosen as such.
    """
    lock(rows)
    now = preview(rows=rows, tenant=tenant, wish=wish)
    if now.digest != digest or not now.acting:
        raise Changed(now)
    return execution_groups.start(
        by=by,
        tenant=tenant,
        group=group,
        members=now.acting,
        workflow=wish.workflow,
        default_parameters=wish.parameters,
        concurrency=wish.concurrency,
        force=wish.force,
    )


def lock(rows: Sequence[Deployment]) -> None:
    """Two requests about one deployment come one after another; to be called within a transaction."""
    found = LocalDeployment.objects.select_for_update(of=("self",)).filter(deployment__in=[row.pk for row in rows])
    list(found.order_by("pk").values_list("pk", flat=True))
