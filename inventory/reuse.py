"""Tells where a stored credential would go to a sub-manager that it was not used at before; the form asks before it is sent, and that it was sent is kept."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Q

from accounts import audit
from accounts.actors import Actor
from accounts.models import Secret, Tenant
from inventory.connections import Target
from inventory.models import Environment, SubManager
from inventory.sub_managers import listed


def secrets_of(environment: Environment) -> list[Secret]:
    """What must be kept secret of its credential; a user's name need not."""
    credential = environment.credential
    if credential is None:
        return []
    return [secret for secret in (credential.token, credential.password) if secret is not None]


def warning_of(tenant: Tenant, stored: Iterable[Secret], target: Target) -> str:
    """Words where one of these secrets is in use, but not at the address of `target`; "" where there is nothing to say."""
    address = (target.endpoint, target.protocol, target.port)
    for secret in stored:
        used = Q(environments__credential__token=secret) | Q(environments__credential__password=secret)
        managers = list(SubManager.objects.filter(used).select_related("tenant").distinct().order_by("pk"))
        if managers and address not in {(each.endpoint, each.protocol, each.port) for each in managers}:
            ours = [str(each) for each in managers if each.tenant_id == tenant.pk]
            where = listed(ours) if ours else "sub-managers of another tenant"
            there = f"{target.protocol}://{target.endpoint}:{target.port}"
            return (
                f"The stored secret {secret.name} is in use at {where}, and whoever runs {there} would learn it. "
                "Correct the endpoint, type another credential, or tick that it may be sent there."
            )
    return ""


def note_sent(by: Actor, stored: Iterable[Secret], target: Target) -> None:
    """Keep in the audit trail where stored secrets were sent."""
    for secret in stored:
        told = {"to": f"{target.protocol}://{target.endpoint}:{target.port}"}
        audit.record(by=by, action="secret.send", row=secret, tenant=secret.tenant, after=told)
