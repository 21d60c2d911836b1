"""Deployment groups: made, changed, filled and removed; each change as a whole or not at all."""

from __future__ import annotations

import dataclasses
import string
import uuid
from collections.abc import Sequence
from typing import Any

from django.db import transaction

from accounts import audit
from accounts.actors import Actor
from accounts.models import Tenant
from inventory.deployments import check_visibility
from inventory.label_rules import Pair
from inventory.models import Deployment, Site
from orchestration import group_members
from orchestration.blueprints import stored_labels
from orchestration.bulk_creation import CREATE, New, create_many
from orchestration.errors import Refused, bad_parameters
from orchestration.group_models import DeploymentGroup, ExecutionGroup
from orchestration.identity import check_id
from orchestration.models import Blueprint

CREATIONS_AT_ONCE = 10
DEFAULT_TEMPLATE = "{group_id}-{uuid}"
VARIABLES = ("group_id", "uuid", "blueprint_id", "count", "site_name")
VARYING = ("uuid", "count")


@dataclasses.dataclass
class Wish:
    """A new deployment as it was asked for: ids and names may be templates."""

    wire_id: str = ""
    display_name: str = ""
    inputs: dict[str, Any] = dataclasses.field(default_factory=dict)
    labels: Sequence[Pair] = ()
    site: Site | None = None
    runtime_only_evaluation: bool = False


@dataclasses.dataclass
class Attributes:
    """What a request says of the group itself; None: nothing."""

    description: str | None = None
    visibility: str | None = None
    blueprint: Blueprint | None = None
    default_inputs: dict[str, Any] | None = None
    labels: list[Pair] | None = None


def find_or_make(*, by: Actor, tenant: Tenant, wire_id: str, visibility: str) -> DeploymentGroup:
    """The group of this id, locked; a new one where there is none. To be called within a transaction."""
    check_id(wire_id, "group_id")
    group = DeploymentGroup.objects.select_for_update(of=("self",)).filter(tenant=tenant, wire_id=wire_id).first()
    if group is None:
        check_visibility(by, visibility)
        group = DeploymentGroup(tenant=tenant, wire_id=wire_id, visibility=visibility, created_by=by.user)
        group.save(force_insert=True)
        audit.record(
            by=by, action="deployment_group.create", row=group, tenant=tenant, after={"visibility": visibility}
        )
    return group


def lock(group: DeploymentGroup) -> None:
    """Two requests that change one group come one after another; to be called within a transaction."""
    DeploymentGroup.objects.select_for_update(of=("self",)).filter(pk=group.pk).first()


@transaction.atomic
def describe(*, by: Actor, group: DeploymentGroup, attributes: Attributes) -> None:
    """Set what the request names."""
    before = audit.snapshot(group)
    if attributes.visibility is not None and attributes.visibility != group.visibility:
        check_visibility(by, attributes.visibility, group.visibility)
        group.visibility = attributes.visibility
    if attributes.description is not None:
        group.description = attributes.description
    if attributes.blueprint is not None:
        group.default_blueprint = attributes.blueprint
    if attributes.default_inputs is not None:
        group.default_inputs = attributes.default_inputs
    after = audit.snapshot(group)
    if before != after:
        group.save(update_fields=["visibility", "description", "default_blueprint", "default_inputs"])
        audit.record(
            by=by, action="deployment_group.change", row=group, tenant=group.tenant, before=before, after=after
        )
    if attributes.labels is not None:
        set_labels(by=by, group=group, labels=attributes.labels)


def set_labels(*, by: Actor, group: DeploymentGroup, labels: list[Pair]) -> None:
    """Replace the labels of the group: what is new is given to all members, what is gone is taken from them."""
    before, after = group_members.pairs_of(group), list(dict.fromkeys(labels))
    added = [pair for pair in after if pair not in before]
    gone = [pair for pair in before if pair not in after]
    if not added and not gone:
        return
    group.labels = stored_labels(after, by, group.labels)
    group.save(update_fields=["labels"])
    members = list(group.members.select_related("tenant", "parent"))
    group_members.give_labels(by, added, members)
    group_members.take_labels(by, gone, members)
    audit.record(
        by=by,
        action="deployment_group.set_labels",
        row=group,
        tenant=group.tenant,
        before={"labels": sorted(f"{key}={value}" for key, value in before)},
        after={"labels": sorted(f"{key}={value}" for key, value in after)},
    )


@transaction.atomic
def replace_members(*, by: Actor, group: DeploymentGroup, rows: Sequence[Deployment]) -> None:
    """These deployments, and no others."""
    wanted = {row.pk for row in rows}
    gone = Deployment.objects.filter(pk__in=group_members.ids_of(group) - wanted)
    group_members.remove(by=by, group=group, rows=list(gone))
    group_members.add(by=by, group=group, rows=rows)


@transaction.atomic
def create_members(*, by: Actor, group: DeploymentGroup, wishes: Sequence[Wish]) -> list[Deployment]:
    """New deployments of the group's blueprint and inputs; they are created as an execution group of its own."""
    blueprint = group.default_blueprint
    if blueprint is None:
        raise Refused(
            409, "conflict_error", f"Cannot create deployments: group {group.wire_id} has no default blueprint set"
        )
    wanted = [named(group, blueprint, wish, number) for number, wish in enumerate(wishes, group.creation_counter + 1)]
    executions = ExecutionGroup(
        tenant=group.tenant,
        deployment_group=group,
        workflow=CREATE,
        concurrency=CREATIONS_AT_ONCE,
        visibility=group.visibility,
        created_by=by.user,
    )
    executions.save(force_insert=True)
    rows = create_many(
        by=by,
        tenant=group.tenant,
        blueprint=blueprint,
        wanted=wanted,
        visibility=group.visibility,
        group=executions,
    )
    group.creation_counter += len(rows)
    group.save(update_fields=["creation_counter"])
    group_members.add(by=by, group=group, rows=rows, has_labels=True)
    return rows


def named(group: DeploymentGroup, blueprint: Blueprint, wish: Wish, number: int) -> New:
    """A wish with its id and name made of their templates, and with the group's inputs and labels."""
    values = {
        "group_id": group.wire_id,
        "uuid": str(uuid.uuid4()),
        "blueprint_id": blueprint.wire_id,
        "count": str(number),
        "site_name": wish.site.name if wish.site is not None else "",
    }
    template = wish.wire_id
    if not template:
        settings = (blueprint.plan or {}).get("deployment_settings") or {}
        template = settings.get("id_template") or DEFAULT_TEMPLATE
        if not any(f"{{{name}}}" in template for name in VARYING):
            raise Refused(
                409,
                "conflict_error",
                f"The id template {template} of blueprint {blueprint.wire_id} gives all deployments one id. "
                "Put {uuid} or {count} into it, or name the ids.",
            )
    return New(
        wire_id=filled(template, values),
        display_name=filled(wish.display_name, values),
        inputs={**(group.default_inputs or {}), **wish.inputs},
        labels=[*group_members.pairs_of(group), *wish.labels],
        site=wish.site,
        runtime_only_evaluation=wish.runtime_only_evaluation,
    )


def filled(template: str, values: dict[str, str]) -> str:
    """The template with its variables put in; 400 for one that is not there."""
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError:
        raise bad_parameters(f"`{template}` is no template: its braces do not match.") from None
    text = ""
    for literal, name, form, conversion in parts:
        if name is not None and (name not in values or form or conversion):
            raise bad_parameters(
                f"`{template}`: {{{name}}} is unknown. Use {', '.join(f'{{{v}}}' for v in VARIABLES)}."
            )
        text += literal + (values[name] if name is not None else "")
    return text


@transaction.atomic
def delete(*, by: Actor, group: DeploymentGroup) -> None:
    """Remove the group; its members stay."""
    audit.record(by=by, action="deployment_group.delete", row=group, tenant=group.tenant, before=audit.snapshot(group))
    group.delete()
