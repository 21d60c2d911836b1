"""How a host is signed in to: a key or a password, entered (and then kept as a secret) or chosen among stored ones."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from django.core.exceptions import ValidationError

from accounts.actors import Actor
from accounts.models import Secret, Tenant
from accounts.reads import visible_secrets
from inventory.cluster_secrets import name_of, store_secret
from inventory.host_names import is_address, is_host_name

USER_NAME = re.compile(r"[a-z_][a-z0-9_.-]{0,31}")
PARTS = ("private_key", "password", "sudo_password")


@dataclass(frozen=True)
class Access:
    """What a person says about signing in; of each part either the value, or the name of a stored secret."""

    user: str = "root"
    address: str = ""  # where SSH goes; empty: the address for users
    private_key: str = field(default="", repr=False)  # PEM or OpenSSH form
    password: str = field(default="", repr=False)
    sudo_password: str = field(default="", repr=False)
    private_key_secret: str = ""
    password_secret: str = ""
    sudo_password_secret: str = ""

    @property
    def has_credential(self) -> bool:
        return any(getattr(self, part) or getattr(self, f"{part}_secret") for part in PARTS)


@dataclass(frozen=True)
class StoredAccess:
    """The same with everything kept: what a row of a host holds."""

    user: str
    address: str
    private_key: Secret | None = None
    password: Secret | None = None
    sudo_password: Secret | None = None

    def columns(self) -> dict[str, object]:
        """Field of ClusterNode -> value."""
        named = {"user": "ssh_user", "address": "ssh_address"}
        return {named.get(each.name, each.name): getattr(self, each.name) for each in fields(self)}


def store_access(*, by: Actor, tenant: Tenant, cluster_name: str, prefix: str, access: Access) -> StoredAccess:
    """Check what was said and keep what was entered as secrets `cluster.<cluster>.<prefix>-<part>`."""
    check_access(access)
    stored: dict[str, Secret] = {}
    for part in PARTS:
        value, chosen = getattr(access, part), getattr(access, f"{part}_secret")
        if chosen:
            stored[part] = _find(by, tenant, part, chosen)
        elif value:
            name = name_of(cluster_name, f"{prefix}-{part}" if prefix else part)
            stored[part] = store_secret(by=by, tenant=tenant, name=name, value=value)
    return StoredAccess(access.user, access.address, **stored)


def check_access(access: Access) -> None:
    """ValidationError by field for what cannot be used to sign in."""
    faults: dict[str, str] = {}
    if not USER_NAME.fullmatch(access.user):
        faults["ssh_user"] = f"{access.user!r} is no user of a Debian host. Use lower-case letters, digits, - and _."
    if access.address and not is_address(access.address) and not is_host_name(access.address):
        faults["ssh_address"] = f"{access.address!r} is neither a host name nor an address. Leave out scheme and port."
    for part in PARTS:
        if getattr(access, part) and getattr(access, f"{part}_secret"):
            faults[part] = "Enter a value or choose a stored secret, not both."
    if access.private_key and "private_key" not in faults and (fault := fault_of_key(access.private_key)):
        faults["private_key"] = fault
    if access.user == "root" and (access.sudo_password or access.sudo_password_secret):
        faults |= {"sudo_password": "The user root needs no sudo. Leave this empty, or sign in as an ordinary user."}
    if faults:
        raise ValidationError(faults)


def fault_of_key(text: str) -> str:
    """What keeps a private key from being used, or ""."""
    load = serialization.load_pem_private_key
    if "BEGIN OPENSSH PRIVATE KEY" in text:
        load = serialization.load_ssh_private_key
    elif "PRIVATE KEY-----" not in text:
        return "This is no private key. Paste the whole file, from -----BEGIN to the line with -----END."
    try:
        load(text.strip().encode() + b"\n", None)
    except TypeError:
        return "This key is protected by a passphrase. Make one without for DeployOn (ssh-keygen -t ed25519); it is kept sealed."
    except (ValueError, UnsupportedAlgorithm) as error:
        if "password" in str(error).lower():
            return "This key is protected by a passphrase. Make one without for DeployOn (ssh-keygen -t ed25519); it is kept sealed."
        return "This key cannot be read. Paste the whole file as ssh-keygen wrote it, or make a new one."
    return ""


def _find(by: Actor, tenant: Tenant, part: str, name: str) -> Secret:
    """A stored credential that the person may use; values for blueprints are not sent to hosts."""
    rows = visible_secrets(by.user, tenant) if by.user else Secret.objects.filter(tenant=tenant)
    found = rows.filter(name=name, purpose=Secret.Purpose.CREDENTIAL).defer(None)
    secret = min(found, key=lambda row: row.tenant_id != tenant.pk, default=None)
    if secret is None:
        raise ValidationError(
            {
                f"{part}_secret": f"There is no credential {name} here that you may use. Check the name, or enter the value."
            }
        )
    return secret
