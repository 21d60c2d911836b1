"""Reads that need to know who asks; plain ones are methods of the query sets."""

from __future__ import annotations

import json
from typing import Any

from django.db.models import Q, QuerySet

from accounts.models import AuditEntry, Secret, Tenant, User, Visibility
from accounts.roles import may


def visible_secrets(user: User, tenant: Tenant) -> QuerySet[Secret]:
    """Secrets (never their values) of the tenant, without others' private ones, and the global ones of all tenants."""
    mine = Q(tenant=tenant)
    if not may(user, "private.see", tenant):
        mine &= ~Q(visibility=Visibility.PRIVATE) | Q(created_by=user)
    return (
        Secret.objects.filter(mine | Q(visibility=Visibility.GLOBAL))
        .select_related("tenant", "created_by")
        .defer("ciphertext")
    )


def visible_audit(user: User, tenant: Tenant | None) -> QuerySet[AuditEntry]:
    """Entries of the tenant's chain; to a system administrator those of all chains."""
    if may(user, "installation.manage"):
        return AuditEntry.objects.all()
    return AuditEntry.objects.filter(chain=tenant.name) if tenant else AuditEntry.objects.none()


def differences(entry: AuditEntry) -> list[tuple[str, str, str]]:
    """What an entry says has changed: (name, before, after) as people read it; what stayed is left out."""
    before, after = entry.before or {}, entry.after or {}
    names = list(dict.fromkeys((*before, *after)))
    pairs = ((name, before.get(name), after.get(name)) for name in names)
    return [(name, spelt(old), spelt(new)) for name, old, new in pairs if old != new]


def spelt(value: Any) -> str:
    """A stored value as text; nothing for what is not there."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False)
