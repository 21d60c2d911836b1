"""Secrets of a tenant: stored, replaced, deleted, and the two ways to read one. How values are sealed is accounts.vault's."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import ProtectedError
from django.utils import timezone

from accounts import audit, vault
from accounts.actors import Actor
from accounts.errors import Conflict
from accounts.models import Secret, Tenant, User, Visibility
from accounts.names import check_name
from accounts.roles import may

LONGEST_VALUE = 64 * 1024  # characters: certificates and key files fit
_WIDTH = [Visibility.PRIVATE, Visibility.TENANT, Visibility.GLOBAL]


def create_secret(
    *,
    by: Actor,
    tenant: Tenant,
    name: str,
    value: str,
    purpose: str = Secret.Purpose.CREDENTIAL,
    visibility: str = Visibility.TENANT,
    is_hidden_value: bool = False,
    schema: dict[str, Any] | None = None,
) -> Secret:
    """A new sealed secret. Conflict where the name is taken, in this tenant or by a global secret."""
    check_name(name)
    _check_value(value, purpose)
    _check_visibility(by, visibility)
    if Secret.objects.filter(tenant=tenant, name=name).exists():
        raise Conflict(f"There is a secret {name} in {tenant.name} already. Replace its value, or choose another name.")
    clash = Secret.objects.filter(name=name)
    if visibility != Visibility.GLOBAL:
        clash = clash.filter(visibility=Visibility.GLOBAL)
    if clash.exists():
        raise Conflict(
            f"A secret {name} exists in another tenant, and a global name must be the only one. Choose another name."
        )
    secret = Secret(
        id=uuid.uuid4(), tenant=tenant, name=name, purpose=purpose, visibility=visibility,
        is_hidden_value=is_hidden_value, schema=schema, created_by=by.user,
    )  # fmt: skip
    secret.ciphertext, secret.key_id = vault.seal(secret.id, value)
    with transaction.atomic():
        secret.save(force_insert=True)
        audit.record(by=by, action="secret.create", row=secret, tenant=tenant, after=_told(secret))
    return secret


def replace_secret(*, by: Actor, secret: Secret, value: str) -> Secret:
    """Give a secret a new value; what uses it takes the new one from its next use on."""
    _check_may_change(by, secret)
    _check_value(value, secret.purpose)
    secret.ciphertext, secret.key_id = vault.seal(secret.id, value)
    secret.updated_at = timezone.now()
    with transaction.atomic():
        secret.save(update_fields=["ciphertext", "key_id", "updated_at"])
        audit.record(by=by, action="secret.replace", row=secret, tenant=secret.tenant, after={"value": "replaced"})
    return secret


def change_secret(
    *, by: Actor, secret: Secret, visibility: str | None = None, is_hidden_value: bool | None = None
) -> Secret:
    """Change who sees a secret; visibility can only widen."""
    _check_may_change(by, secret)
    before = _told(secret)
    if visibility is not None and visibility != secret.visibility:
        _check_visibility(by, visibility)
        if _WIDTH.index(Visibility(visibility)) < _WIDTH.index(Visibility(secret.visibility)):
            raise ValidationError(
                {
                    "visibility": f"Visibility can only widen, and this secret is {secret.visibility}. Make a new secret instead."
                }
            )
        if visibility == Visibility.GLOBAL and Secret.objects.filter(name=secret.name).exclude(pk=secret.pk).exists():
            raise Conflict(f"A secret {secret.name} exists in another tenant, and a global name must be the only one.")
        secret.visibility = visibility
    if is_hidden_value is not None:
        secret.is_hidden_value = is_hidden_value
    if _told(secret) == before:
        return secret
    secret.updated_at = timezone.now()
    with transaction.atomic():
        secret.save(update_fields=["visibility", "is_hidden_value", "updated_at"])
        audit.record(
            by=by, action="secret.change", row=secret, tenant=secret.tenant, before=before, after=_told(secret)
        )
    return secret


def delete_secret(*, by: Actor, secret: Secret) -> None:
    """Remove a secret for good. Conflict where something uses it."""
    _check_may_change(by, secret)
    try:
        with transaction.atomic():
            audit.record(by=by, action="secret.delete", row=secret, tenant=secret.tenant, before=_told(secret))
            secret.delete()
    except ProtectedError as error:
        users = sorted({f"{row._meta.verbose_name} {row.pk}" for row in error.protected_objects})
        shown = ", ".join(users[:3]) + (f" and {len(users) - 3} more" if len(users) > 3 else "")
        raise Conflict(
            f"Secret {secret.name} is in use by {shown}. Give those another secret first, or replace its value."
        ) from None


def reveal(secret: Secret) -> str:
    """The value, for operations, connectors and the runner's pipe only: pass it through `context.hide` at once."""
    return vault.open_sealed(secret.id, bytes(secret.ciphertext), secret.key_id)


def read_blueprint_secret(*, by: Actor, secret: Secret) -> str:
    """The value to a person who may read it, which is audited; "" to others and for credentials, which nobody reads back."""
    if secret.purpose != Secret.Purpose.BLUEPRINT or not may_read_value(by.user, secret):
        return ""
    value = reveal(secret)
    audit.record(by=by, action="secret.read", row=secret, tenant=secret.tenant)
    return value


def may_read_value(user: User | None, secret: Secret) -> bool:
    """The creator, who must still have a role in the tenant, its managers and system administrators."""
    if user is None:
        return False
    action = "secret.see_hidden" if secret.is_hidden_value else "secret.read_value"
    if may(user, action, secret.tenant):
        return True
    return secret.created_by_id == user.pk and may(user, "secret.view", secret.tenant)


def _check_may_change(by: Actor, secret: Secret) -> None:
    """Secrets that are private or hidden are changed only by those who may see them; the role was checked by the caller."""
    if by.user is None or secret.created_by_id == by.user.pk:
        return
    if secret.is_hidden_value and not may(by.user, "secret.see_hidden", secret.tenant):
        raise PermissionDenied(
            f"The value of secret {secret.name} is hidden: only its creator and the managers of {secret.tenant.name} may change it."
        )
    if secret.visibility == Visibility.PRIVATE and not may(by.user, "private.see", secret.tenant):
        raise PermissionDenied(
            f"Secret {secret.name} is private: only its creator and the managers of {secret.tenant.name} may change it."
        )


def _check_visibility(by: Actor, visibility: str) -> None:
    if visibility not in Visibility.values:
        raise ValidationError({"visibility": f"Choose one of: {', '.join(Visibility.values)}."})
    if visibility == Visibility.GLOBAL and by.user is not None and not may(by.user, "global.create"):
        raise PermissionDenied(
            "Only a system administrator makes global secrets. Choose visibility tenant, or ask one."
        )


def _check_value(value: str, purpose: str) -> None:
    if purpose not in Secret.Purpose.values:
        raise ValidationError({"purpose": f"Choose one of: {', '.join(Secret.Purpose.values)}."})
    if not value and purpose == Secret.Purpose.CREDENTIAL:
        raise ValidationError({"value": "Enter a value: an empty credential opens nothing."})
    if len(value) > LONGEST_VALUE:
        raise ValidationError(
            {
                "value": f"A secret has at most {LONGEST_VALUE // 1024} KiB. Store larger content as a blueprint resource."
            }
        )


def _told(secret: Secret) -> dict[str, Any]:
    return {
        "purpose": secret.purpose,
        "visibility": secret.visibility,
        "is_hidden_value": secret.is_hidden_value,
        "schema": secret.schema,
    }
