"""Secrets that move between managers in a file: written out, sealed by a passphrase or plain, and taken in again."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import hmac
import os
import time
from collections.abc import Iterable
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from django.core.exceptions import PermissionDenied, ValidationError

from accounts.actors import Actor
from accounts.errors import Conflict
from accounts.models import Secret, Tenant, User, Visibility
from accounts.roles import may, tenant_named
from accounts.secrets import change_secret, create_secret, read_blueprint_secret, replace_secret

# Fixed by the format, which has neither a salt of its own nor a count: files of existing managers must open here and ours there.
_SALT, _ROUNDS = b"salt_", 100_000
_VERSION, _HEAD, _MAC = 0x80, 25, 32
FIELDS = ("key", "value", "visibility", "tenant_name", "is_hidden_value", "encrypted")
MOST = 10_000


class WrongPassphrase(Exception):
    """The passphrase does not open this value, or the value was changed since."""


class PassphraseLock:
    """The format of the files: AES-256 in CBC mode with an HMAC over all of it, both keys drawn from the passphrase."""

    def __init__(self, passphrase: str) -> None:
        both = hashlib.pbkdf2_hmac("sha256", passphrase.encode(), _SALT, _ROUNDS, 64)
        self._signing, self._ciphering = both[:32], both[32:]

    def close(self, value: str) -> str:
        """The value as it stands in a file."""
        vector, padder = os.urandom(16), PKCS7(128).padder()
        encryptor = Cipher(algorithms.AES256(self._ciphering), modes.CBC(vector)).encryptor()
        padded = padder.update(value.encode()) + padder.finalize()
        told = bytes([_VERSION]) + int(time.time()).to_bytes(8, "big") + vector
        told += encryptor.update(padded) + encryptor.finalize()
        return base64.urlsafe_b64encode(told + self._mac(told)).decode()

    def open(self, text: str) -> str:
        """The value behind the text of a file; WrongPassphrase otherwise."""
        try:
            whole = base64.urlsafe_b64decode(text.encode())
        except (binascii.Error, ValueError):
            raise WrongPassphrase from None
        told, mac = whole[:-_MAC], whole[-_MAC:]
        if len(told) < _HEAD + 16 or told[0] != _VERSION or not hmac.compare_digest(mac, self._mac(told)):
            raise WrongPassphrase
        try:
            decryptor = Cipher(algorithms.AES256(self._ciphering), modes.CBC(told[9:_HEAD])).decryptor()
            unpadder = PKCS7(128).unpadder()
            padded = decryptor.update(told[_HEAD:]) + decryptor.finalize()
            return (unpadder.update(padded) + unpadder.finalize()).decode()
        except ValueError:
            raise WrongPassphrase from None

    def _mac(self, told: bytes) -> bytes:
        return hmac.digest(self._signing, told, hashlib.sha256)


def export_secrets(*, by: Actor, secrets: Iterable[Secret], passphrase: str = "") -> list[dict[str, Any]]:
    """The entries of a file: those for blueprints whose value this person may read. Each reading is audited."""
    lock = PassphraseLock(passphrase) if passphrase else None
    entries = []
    for secret in secrets:
        value = read_blueprint_secret(by=by, secret=secret)
        if value:
            entries.append(
                {
                    "key": secret.name,
                    "value": lock.close(value) if lock else value,
                    "visibility": secret.visibility,
                    "tenant_name": secret.tenant.name,
                    "is_hidden_value": secret.is_hidden_value,
                    "encrypted": lock is not None,
                }
            )
    return entries


@dataclasses.dataclass
class Imported:
    """How an import went: names that were there already by tenant, and what was wrong with which entry (by its place)."""

    colliding: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    errors: dict[int, dict[str, Any]] = dataclasses.field(default_factory=dict)


def import_secrets(
    *,
    by: Actor,
    user: User,
    entries: list[Any],
    tenants: dict[str, str] | None = None,
    passphrase: str = "",
    overrides: bool = False,
) -> Imported:
    """Store the entries of a file, each for itself. `tenants`: {tenant in the file: tenant here}."""
    if len(entries) > MOST:
        raise ValidationError({"secrets_list": f"A file has at most {MOST} secrets. Split it."})
    missing = sorted({name for name in (tenants or {}).values() if tenant_named(user, str(name)) is None})
    if missing:
        raise ValidationError(
            {"tenant_map": f"The following destination tenants do not exist on the manager: {', '.join(missing)}"}
        )
    lock = PassphraseLock(passphrase) if passphrase else None
    imported = Imported()
    for place, entry in enumerate(entries):
        faults = _faults(entry)
        tenant = (
            None if faults else _tenant(user, (tenants or {}).get(entry["tenant_name"], entry["tenant_name"]), faults)
        )
        value = "" if faults else _value(entry, lock, faults)
        if tenant is not None and not faults:
            _take(by, tenant, entry, value, overrides=overrides, imported=imported, faults=faults)
        if faults:
            imported.errors[place] = faults
    return imported


def _faults(entry: Any) -> dict[str, Any]:
    """What is wrong with the form of an entry."""
    if not isinstance(entry, dict):
        return {"secret": "Not a JSON object"}
    faults: dict[str, Any] = {}
    missing = [name for name in FIELDS if entry.get(name) is None or entry[name] == ""]
    if missing:
        faults["missing secret fields"] = missing
    for name in ("key", "value", "visibility", "tenant_name"):
        if name not in missing and not isinstance(entry[name], str):
            faults[name] = "Not text"
    for name in ("is_hidden_value", "encrypted"):
        if name not in missing and str(entry[name]).lower() not in ("true", "false"):
            faults[name] = "Not boolean"
    if "visibility" not in missing and entry["visibility"] not in Visibility.values:
        faults["visibility"] = "Not a valid visibility"
    return faults


def _tenant(user: User, name: str, faults: dict[str, Any]) -> Tenant | None:
    """Where it goes: a tenant in which the person may make secrets."""
    tenant = tenant_named(user, name)
    if tenant is None:
        faults["tenant_name"] = f"The tenant `{name}` was not found"
    elif not may(user, "secret.change", tenant):
        faults["tenant_name"] = f"User `{user}` is not permitted to create secrets in the tenant `{name}`"
    return tenant


def _value(entry: dict[str, Any], lock: PassphraseLock | None, faults: dict[str, Any]) -> str:
    """The value in the clear."""
    if not _true(entry["encrypted"]):
        return str(entry["value"])
    if lock is None:
        faults["No passphrase"] = "The secret is encrypted but no passphrase was given"
        return ""
    try:
        return lock.open(entry["value"])
    except WrongPassphrase:
        faults["value"] = "The passphrase does not open this secret"
        return ""


def _take(
    by: Actor,
    tenant: Tenant,
    entry: dict[str, Any],
    value: str,
    *,
    overrides: bool,
    imported: Imported,
    faults: dict[str, Any],
) -> None:
    """Create it; where the name is taken say so, and replace the value if that is wanted."""
    hidden = _true(entry["is_hidden_value"])
    try:
        old = Secret.objects.filter(tenant=tenant, name=entry["key"]).select_related("tenant", "created_by").first()
        if old is None:
            create_secret(
                by=by,
                tenant=tenant,
                name=entry["key"],
                value=value,
                purpose=Secret.Purpose.BLUEPRINT,
                visibility=entry["visibility"],
                is_hidden_value=hidden,
            )
            return
        imported.colliding.setdefault(tenant.name, []).append(old.name)
        if overrides and old.purpose != Secret.Purpose.BLUEPRINT:
            faults["key"] = f"{old.name} is a credential of this portal and is not overridden"
        elif overrides:
            replace_secret(by=by, secret=old, value=value)
            change_secret(by=by, secret=old, is_hidden_value=hidden)
    except ValidationError as error:
        faults["secret"] = " ".join(error.messages)
    except (Conflict, PermissionDenied) as error:
        faults["secret"] = str(error)


def _true(flag: Any) -> bool:
    return str(flag).lower() == "true"
