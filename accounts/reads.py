"""Reads that need to know who asks; plain ones are methods of the query sets."""

from __future__ import annotations

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
