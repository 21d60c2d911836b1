"""Deployment rows: create, delete, site and visibility; labels are in labels, states of families in rollup."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q

from accounts import audit
from accounts.actors import Actor
from accounts.errors import Conflict
from accounts.models import Tenant, Visibility
from accounts.roles import may
from inventory import names
from inventory.label_rules import ENVIRONMENT_TYPE, PARENT_KEY, TYPE_KEY, Pair, normalise_all
from inventory.labels import first_labels
from inventory.models import Deployment, Site
from inventory.rollup import refresh_states

__all__ = ["create_deployment", "delete_deployment", "refresh_states", "set_site", "set_visibility"]

_WIDTH = {Visibility.PRIVATE: 0, Visibility.TENANT: 1, Visibility.GLOBAL: 2}


@transaction.atomic
def create_deployment(
    *,
    by: Actor,
    tenant: Tenant,
    wire_id: str,
    kind: str,
    display_name: str = "",
    description: str = "",
    blueprint_name: str = "",
    site: Site | None = None,
    parent: Deployment | None = None,
    labels: list[Pair] | None = None,
    visibility: str = Visibility.TENANT,
) -> Deployment:
    """A new row, with its states and those of its ancestors. Conflict where the id is taken; what owns the row is the caller's."""
    names.check_id(wire_id, "id", begins_with_letter=False)
    check_visibility(by, visibility)
    _check_site(visibility, site)
    check_is_free(tenant, wire_id, visibility)
    pairs = normalise_all(labels or [])
    if parent is not None and (PARENT_KEY, parent.wire_id) not in pairs:
        pairs.insert(0, (PARENT_KEY, parent.wire_id))
    if kind == Deployment.Kind.ENVIRONMENT and (TYPE_KEY, ENVIRONMENT_TYPE) not in pairs:
        pairs.insert(0, (TYPE_KEY, ENVIRONMENT_TYPE))
    row = Deployment(
        tenant=tenant,
        wire_id=wire_id,
        kind=kind,
        display_name=names.check_title(display_name or wire_id, "display_name"),
        description=description,
        blueprint_name=blueprint_name,
        site=site,
        visibility=visibility,
        created_by=by.user,
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:  # somebody was faster since the check
        raise Conflict(_taken(wire_id, tenant)) from None
    first_labels(by=by, deployment=row, labels=pairs)
    if row.parent_id is not None:
        refresh_states(row)
    if kind == Deployment.Kind.LOCAL:
        after = audit.snapshot(row) | {"labels": [f"{key}={value}" for key, value in pairs]}
        audit.record(by=by, action="deployment.create", row=row, tenant=tenant, after=after)
    return row


@transaction.atomic
def delete_deployment(*, by: Actor, deployment: Deployment) -> None:
    """Remove a row that has no children; its owner (environment, placement) goes first. Conflict names the children."""
    children = list(deployment.children.order_by("wire_id").values_list("wire_id", flat=True)[:4])
    if children:
        shown = ", ".join(children[:3]) + (" and more" if len(children) > 3 else "")
        raise Conflict(f"{deployment.wire_id} has deployments below it: {shown}. Remove those first.")
    parent = deployment.parent
    if deployment.kind == Deployment.Kind.LOCAL:
        before = audit.snapshot(deployment)
        audit.record(by=by, action="deployment.delete", row=deployment, tenant=deployment.tenant, before=before)
    deployment.delete()
    if parent is not None:
        refresh_states(parent)


@transaction.atomic
def set_site(*, by: Actor, deployment: Deployment, site: Site | None) -> None:
    """Put a deployment at a site, or at none."""
    _check_site(deployment.visibility, site)
    before = {"site": deployment.site.name if deployment.site else None}
    deployment.site = site
    deployment.save(update_fields=["site"])
    after = {"site": site.name if site else None}
    if before != after:
        audit.record(
            by=by, action="deployment.set_site", row=deployment, tenant=deployment.tenant, before=before, after=after
        )


@transaction.atomic
def set_visibility(*, by: Actor, deployment: Deployment, visibility: str) -> None:
    """Widen who sees a deployment: private, tenant, global; it never shrinks."""
    before = deployment.visibility
    check_visibility(by, visibility, before)
    _check_site(visibility, deployment.site)
    if visibility == Visibility.GLOBAL:
        check_is_free(deployment.tenant, deployment.wire_id, visibility, besides=deployment)
    deployment.visibility = visibility
    deployment.save(update_fields=["visibility"])
    if before != visibility:
        change = {"before": {"visibility": before}, "after": {"visibility": visibility}}
        audit.record(by=by, action="deployment.set_visibility", row=deployment, tenant=deployment.tenant, **change)


def check_visibility(by: Actor, visibility: str, before: str = Visibility.PRIVATE) -> None:
    """Raises where there is no such visibility, it would shrink, or only a system administrator may give it."""
    if visibility not in Visibility.values:
        raise ValidationError({"visibility": f"Choose one of: {', '.join(Visibility.values)}."})
    if _WIDTH[Visibility(visibility)] < _WIDTH[Visibility(before)]:
        raise ValidationError({"visibility": f"Visibility can only widen, and this is {before} already."})
    if visibility == Visibility.GLOBAL != before and by.user is not None and not may(by.user, "global.create"):
        raise PermissionDenied(
            "Only a system administrator makes something global. Choose visibility tenant, or ask one."
        )


def check_is_free(tenant: Tenant, wire_id: str, visibility: str, besides: Deployment | None = None) -> None:
    """Conflict where the tenant has such an id, a global row has it, or (to become global) any tenant has it."""
    taken = Deployment.objects.filter(wire_id=wire_id)
    if visibility != Visibility.GLOBAL:
        taken = taken.filter(Q(tenant=tenant) | Q(visibility=Visibility.GLOBAL))
    if besides is not None:
        taken = taken.exclude(pk=besides.pk)
    if taken.exists():
        raise Conflict(_taken(wire_id, tenant))


def _taken(wire_id: str, tenant: Tenant) -> str:
    return f"{wire_id} exists already in tenant {tenant.name}, or with global visibility. Change that one, or choose another name."


def _check_site(visibility: str, site: Site | None) -> None:
    if site is not None and _WIDTH[Visibility(visibility)] > _WIDTH[Visibility(site.visibility)]:
        raise ValidationError(
            {
                "site": f"Site {site.name} is {site.visibility}, and what stands there cannot be seen more widely. Widen the site first."
            }
        )
