"""Writes of saved filters of blueprints, each with its audit entry, and the rules of one."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from accounts import audit
from accounts.actors import Actor
from accounts.errors import Conflict
from accounts.models import Tenant, Visibility
from inventory import names
from inventory.deployments import check_visibility
from inventory.label_rules import RESERVED_PREFIX
from orchestration.blueprint_rules import read_rules
from orchestration.filter_models import BlueprintFilter


@transaction.atomic
def create(*, by: Actor, tenant: Tenant, name: str, rules: list[Any], visibility: str) -> BlueprintFilter:
    """A new one. InvalidRule for a wrong rule; Conflict where the name is taken."""
    names.check_id(name, "name")
    if name.lower().startswith(RESERVED_PREFIX):
        raise ValidationError(
            {"name": f"Names that begin with {RESERVED_PREFIX} are the system's. Choose another name."}
        )
    check_visibility(by, visibility)
    saved = BlueprintFilter(tenant=tenant, name=name, rules=checked(rules), visibility=visibility, created_by=by.user)
    check_is_free(saved)
    try:
        with transaction.atomic():
            saved.save(force_insert=True)
    except IntegrityError:
        raise Conflict(taken(saved)) from None
    audit.record(by=by, action="blueprint_filter.create", row=saved, tenant=tenant, after=audit.snapshot(saved))
    return saved


@transaction.atomic
def update(
    *, by: Actor, saved: BlueprintFilter, rules: list[Any] | None = None, visibility: str | None = None
) -> BlueprintFilter:
    """Other rules (all of them), or wider visibility."""
    before = audit.snapshot(saved)
    if rules is not None:
        saved.rules = checked(rules)
    if visibility is not None:
        check_visibility(by, visibility, saved.visibility)
        saved.visibility = visibility
        check_is_free(saved)
    saved.updated_at = timezone.now()
    saved.save()
    after = audit.snapshot(saved)
    audit.record(by=by, action="blueprint_filter.change", row=saved, tenant=saved.tenant, before=before, after=after)
    return saved


@transaction.atomic
def delete(*, by: Actor, saved: BlueprintFilter) -> None:
    """Remove it."""
    before = audit.snapshot(saved)
    audit.record(by=by, action="blueprint_filter.delete", row=saved, tenant=saved.tenant, before=before)
    saved.delete()


def checked(rules: list[Any]) -> list[dict[str, Any]]:
    """The rules as they are kept, the keys of labels in lower case."""
    found = read_rules({"filter_rules": rules})
    return [{**rule, "key": rule["key"].lower()} for rule in found]


def check_is_free(saved: BlueprintFilter) -> None:
    """Conflict where a filter of that name is there already, or would be seen beside this one."""
    others = BlueprintFilter.objects.filter(name=saved.name).exclude(pk=saved.pk)
    if saved.visibility != Visibility.GLOBAL:
        others = others.filter(Q(tenant=saved.tenant) | Q(visibility=Visibility.GLOBAL))
    if others.exists():
        raise Conflict(taken(saved))


def taken(saved: BlueprintFilter) -> str:
    """What to do about a name that is taken."""
    return f"A filter {saved.name} of blueprints exists already. Change that one, or choose another name."
