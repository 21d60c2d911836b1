"""Saved filters: create, change, delete, look up, and those that every installation has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from accounts import audit
from accounts.actors import Actor
from accounts.errors import Conflict
from accounts.models import Tenant, User, Visibility
from accounts.revisions import check_seen
from inventory import editable, names
from inventory.deployments import check_visibility
from inventory.filters import Rule, parse, stored
from inventory.label_rules import PARENT_KEY, RESERVED_PREFIX, TYPE_KEY
from inventory.models import Filter

_TYPED = (
    "aws azure gcp helm ansible terragrunt starlingx vsphere docker openstack openstack-v3 utilities host-pool netconf fabric "
    "libvirt diamond vcloud"
).split()


def _label(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"type": "label", "key": key, "operator": operator, "values": list(values)}


SYSTEM_FILTERS: dict[str, list[dict[str, Any]]] = {
    "csys-environment-filter": [_label(TYPE_KEY, "any_of", "environment"), _label(PARENT_KEY, "is_null")],
    "csys-service-filter": [_label(TYPE_KEY, "is_not", "environment"), _label(PARENT_KEY, "is_null")],
    "csys-k8s-filter": [_label(TYPE_KEY, "any_of", "k8s")],
    "csys-terraform-filter": [_label(TYPE_KEY, "any_of", "terraform")],
    **{f"{kind}-deployments": [_label("obj-type", "any_of", kind)] for kind in _TYPED},
}


@transaction.atomic
def create_filter(
    *,
    by: Actor,
    tenant: Tenant,
    name: str,
    rules: Any,
    visibility: str = Visibility.TENANT,
    are_titles_free: bool = False,
) -> Filter:
    """A new saved filter. `rules` as on the wire (InvalidRule for a wrong one); Conflict where the name is taken."""
    names.check_id(name, "name")
    _check_is_not_reserved(name)
    check_visibility(by, visibility)
    saved = Filter(
        tenant=tenant,
        name=name,
        rules=_to_json(parse(rules, are_titles_free=are_titles_free)),
        visibility=visibility,
        created_by=by.user,
    )
    _check_is_free(saved)
    try:
        with transaction.atomic():
            saved.save(force_insert=True)
    except IntegrityError:
        raise Conflict(_taken(saved)) from None
    audit.record(by=by, action="filter.create", row=saved, tenant=tenant, after=audit.snapshot(saved))
    return saved


@transaction.atomic
def update_filter(
    *,
    by: Actor,
    saved: Filter,
    name: str = "",
    rules: Any = None,
    visibility: str | None = None,
    are_titles_free: bool = False,
    seen: str = "",
) -> Filter:
    """Give a saved filter another name, other rules (all of them), or wider visibility.

    `seen` is the revision that was edited (accounts.revisions): Changed where it is another one by now.
    """
    _check_is_own(saved)
    saved.refresh_from_db(from_queryset=Filter.objects.select_for_update())
    check_seen(seen, editable.of_filter(saved), saved, tenant=saved.tenant)
    before = audit.snapshot(saved)
    if name and name != saved.name:
        _check_is_not_reserved(names.check_id(name, "name"))
        saved.name = name
        _check_is_free(saved)
    if rules is not None:
        saved.rules = _to_json(parse(rules, are_titles_free=are_titles_free))
    if visibility is not None:
        check_visibility(by, visibility, saved.visibility)
        saved.visibility = visibility
        _check_is_free(saved)
    saved.updated_at = timezone.now()
    saved.save()
    audit.record(
        by=by, action="filter.change", row=saved, tenant=saved.tenant, before=before, after=audit.snapshot(saved)
    )
    return saved


@transaction.atomic
def delete_filter(*, by: Actor, saved: Filter) -> None:
    """Remove a saved filter; rollouts keep a copy of the rules that they were started with."""
    _check_is_own(saved)
    audit.record(by=by, action="filter.delete", row=saved, tenant=saved.tenant, before=audit.snapshot(saved))
    saved.delete()


def rules_of(user: User | None, tenant: Tenant, name: str) -> list[Rule]:
    """The rules of a saved filter that the user sees, this tenant's own before a global one; Filter.DoesNotExist otherwise."""
    saved: Filter = Filter.objects.visible_to(user, tenant).named(name, tenant)
    return stored(saved.rules)


def ensure_system_filters(tenant: Tenant) -> None:
    """The filters that every installation has, in its default tenant and seen by all; made where they are missing."""
    there = set(Filter.objects.filter(tenant=tenant).values_list("name", flat=True))
    Filter.objects.bulk_create(
        Filter(tenant=tenant, name=name, rules=rules, is_system=True, visibility=Visibility.GLOBAL)
        for name, rules in SYSTEM_FILTERS.items()
        if name not in there
    )


def _to_json(rules: Iterable[Rule]) -> list[dict[str, Any]]:
    return [rule.to_json() for rule in rules]


def _check_is_not_reserved(name: str) -> None:
    if name.lower().startswith(RESERVED_PREFIX):
        raise ValidationError(
            {
                "name": f"Names that begin with {RESERVED_PREFIX} are reserved for filters of the system. Choose another name."
            }
        )


def _check_is_own(saved: Filter) -> None:
    if saved.is_system:
        raise ValidationError(
            {"name": f"{saved.name} is a filter of the system and stays as it is. Save a copy under another name."}
        )


def _check_is_free(saved: Filter) -> None:
    taken = Filter.objects.filter(name=saved.name).exclude(pk=saved.pk)
    if saved.visibility != Visibility.GLOBAL:
        taken = taken.filter(Q(tenant=saved.tenant) | Q(visibility=Visibility.GLOBAL))
    if taken.exists():
        raise Conflict(_taken(saved))


def _taken(saved: Filter) -> str:
    return f"A filter {saved.name} exists already in tenant {saved.tenant.name}, or with global visibility. Change that one, or choose another name."
