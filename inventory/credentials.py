"""Credentials of environments: chosen from stored secrets or entered, in which case the values become secrets."""

from __future__ import annotations

from contextlib import suppress
from typing import TypedDict, cast

from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Q

from accounts import secrets
from accounts.actors import Actor
from accounts.errors import Conflict
from accounts.models import Secret, Tenant
from accounts.reads import visible_secrets
from inventory.connectors import address as wire
from inventory.models import Credential, Environment

PARTS = ("token", "username", "password")


class CredentialFields(TypedDict, total=False):
    """A token, or a user and a password; each entered, or a stored secret (the row or its name)."""

    token: str
    token_secret: Secret | str | None
    username: str
    username_secret: Secret | str | None
    password: str
    password_secret: Secret | str | None
    mint_token: bool  # have a token made there from user and password, and keep that alone


# Part ("token", "username", "password") -> stored secret, or the value entered.
Parts = dict[str, Secret | str]


def read_parts(by: Actor, tenant: Tenant, fields: CredentialFields) -> Parts:
    """The parts of one whole credential; ValidationError by field for none, half of one, or too much."""
    parts: Parts = {}
    faults: dict[str, str] = {}
    for part in PARTS:
        value = cast(str, fields.get(part) or "")
        chosen = cast("Secret | str", fields.get(f"{part}_secret") or "")
        if value and chosen:
            faults[part] = "Enter a new value or choose a stored secret, not both."
        elif chosen:
            try:
                parts[part] = _find(by, tenant, chosen)
            except Secret.DoesNotExist:
                faults[f"{part}_secret"] = (
                    f"There is no secret {chosen} here that you may use. Check the name, or enter the value."
                )
        elif value:
            parts[part] = value
    if not faults:
        faults = _faults_of(parts)
    if faults:
        raise ValidationError(faults)
    return parts


def is_given(fields: CredentialFields) -> bool:
    """Was anything said about the credential?"""
    return any(fields.get(part) or fields.get(f"{part}_secret") for part in PARTS)


def sharing(environment: Environment) -> int:
    """How many more environments sign in with its credential."""
    credential = environment.credential
    return credential.environments.exclude(pk=environment.pk).count() if credential is not None else 0


def _faults_of(parts: Parts) -> dict[str, str]:
    if not parts:
        return {"token": "Enter a token of that manager, or a user and a password there; or choose stored secrets."}
    if "token" in parts and len(parts) > 1:
        return {"token": "Give a token, or a user and a password, not both."}
    if "token" not in parts and len(parts) < 2:
        missing = "password" if "username" in parts else "username"
        return {missing: f"A user and a password go together. Enter the {missing}, or choose a stored one."}
    return _faults_of_values(parts)


def _faults_of_values(parts: Parts) -> dict[str, str]:
    """Of what was entered; stored secrets are not opened for this. A placeholder stands for the part that is stored."""
    plain = {part: value if isinstance(value, str) else "stored" for part, value in parts.items()}
    try:
        wire.Credential(**plain)
    except ValueError as error:
        return {"token" if "token" in parts else "username": str(error)}
    return {}


def _find(by: Actor, tenant: Tenant, chosen: Secret | str) -> Secret:
    """A stored secret that the person may use; hidden ones for blueprints only where the person may read them."""
    if isinstance(chosen, Secret):
        wanted, name = Q(pk=chosen.pk), chosen.name
    else:
        wanted, name = Q(name=chosen), chosen
    rows = visible_secrets(by.user, tenant) if by.user else Secret.objects.filter(tenant=tenant)
    found = sorted(rows.filter(wanted).defer(None), key=lambda secret: secret.tenant_id != tenant.pk)
    if not found or not _may_use(by, found[0]):
        raise Secret.DoesNotExist(f"There is no secret {name}.")
    return found[0]


def _may_use(by: Actor, secret: Secret) -> bool:
    """Whoever can send a secret to an address of their choice has read it: what may not be read may not be used either."""
    return secret.purpose == Secret.Purpose.CREDENTIAL or by.user is None or secrets.may_read_value(by.user, secret)


def make_credential(*, by: Actor, tenant: Tenant, parts: Parts, prefix: str) -> Credential:
    """A new credential; values entered become secrets named `<prefix>-<part>`."""
    stored = _store(by, tenant, parts, prefix)
    return Credential.objects.create(tenant=tenant, kind=_kind(parts), own_parts=_entered(parts), **stored)


def change_credential(*, by: Actor, credential: Credential, parts: Parts, prefix: str) -> Credential:
    """Give a credential other parts. A value entered replaces that of its own secret, unless something else uses that, too.

    Secrets that were made for it and are no part of it any more go, as with `delete_credential`.
    """
    stored: dict[str, Secret] = {}
    own = _own_secrets(credential)
    new: Parts = {}
    for part, value in parts.items():
        present = getattr(credential, part)
        if isinstance(value, str) and present is not None and _is_ours_alone(credential, present):
            secrets.replace_secret(by=by, secret=present, value=value)
            stored[part] = present
        else:
            new[part] = value
    stored |= _store(by, credential.tenant, new, prefix)
    credential.kind = _kind(parts)
    for part in PARTS:
        setattr(credential, part, stored.get(part))
    made = _entered(new)
    credential.own_parts = [part for part in PARTS if part in made or (part in own and stored.get(part) == own[part])]
    credential.last_success_at = credential.last_failure_at = credential.token_expires_at = None
    credential.last_failure = ""
    credential.save()
    _drop_unused(by, [secret for secret in own.values() if secret not in stored.values()])
    return credential


def delete_credential(*, by: Actor, credential: Credential) -> None:
    """With the secrets that were made from values entered for it; those that something else uses by now stay."""
    own = list(_own_secrets(credential).values())
    credential.delete()
    _drop_unused(by, own)


def _own_secrets(credential: Credential) -> dict[str, Secret]:
    found = {part: getattr(credential, part) for part in credential.own_parts}
    return {part: secret for part, secret in found.items() if secret is not None}


def _drop_unused(by: Actor, rows: list[Secret]) -> None:
    for secret in rows:
        # In use elsewhere, or hidden since by somebody who alone may change it: it stays.
        with suppress(Conflict, PermissionDenied):
            secrets.delete_secret(by=by, secret=secret)


def _entered(parts: Parts) -> list[str]:
    return [part for part, value in parts.items() if isinstance(value, str)]


def _kind(parts: Parts) -> str:
    return Credential.Kind.TOKEN if "token" in parts else Credential.Kind.PASSWORD


def _is_ours_alone(credential: Credential, secret: Secret) -> bool:
    users = Credential.objects.filter(Q(token=secret) | Q(username=secret) | Q(password=secret)).exclude(
        pk=credential.pk
    )
    return (
        secret.purpose == Secret.Purpose.CREDENTIAL and secret.tenant_id == credential.tenant_id and not users.exists()
    )


def _store(by: Actor, tenant: Tenant, parts: Parts, prefix: str) -> dict[str, Secret]:
    stored: dict[str, Secret] = {}
    for part, value in parts.items():
        if isinstance(value, Secret):
            stored[part] = value
        else:
            stored[part] = secrets.create_secret(
                by=by, tenant=tenant, name=_free_name(tenant, prefix, part), value=value
            )
    return stored


def _free_name(tenant: Tenant, prefix: str, part: str) -> str:
    """`<prefix>-<part>`, with a number where that is taken."""
    base = prefix if prefix[:1].isalpha() else f"env-{prefix}"
    base = f"{base[:230]}-{part}"
    taken = set(
        Secret.objects.filter(Q(tenant=tenant) | Q(visibility="global"), name__startswith=base).values_list(
            "name", flat=True
        )
    )
    number = 2
    name = base
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    return name
