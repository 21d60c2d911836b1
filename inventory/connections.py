"""From what people enter and rows keep to what connectors take: address, trust, credential, a client of an environment."""

from __future__ import annotations

import dataclasses
import ipaddress
import ssl
from typing import TypedDict
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError

from accounts import secrets
from accounts.models import Secret, Tenant
from accounts.vault import VaultError
from inventory.connectors import address as wire
from inventory.connectors.certificate import colons
from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.manager import ManagerClient
from inventory.connectors.policy import policy_from_settings
from inventory.models import Credential, Environment, SubManager

NO_CREDENTIAL = (
    "There is no credential for this environment yet. Give it a token, or a user and a password: by Change, or by storing a secret "
    "that its blueprint names (or admin_token, or cloudify_user and cloudify_password) and running install once more."
)
DEFAULT_PORTS = {"https": 443, "http": 80}
_TRUSTS = SubManager.Trust


class ConnectionFields(TypedDict, total=False):
    """Where a remote manager is and how it is trusted, as entered."""

    endpoint: str  # host name, address, or a whole URL
    protocol: str
    port: int | None
    remote_tenant: str
    trust: str  # SubManager.Trust
    ca_bundle: str
    fingerprint: str
    insecure_reason: str


@dataclasses.dataclass(frozen=True)
class Target:
    """ConnectionFields, checked; `trust` is "" where it was not said."""

    endpoint: str
    protocol: str
    port: int
    remote_tenant: str
    trust: str
    ca_bundle: str = ""
    fingerprint: str = ""
    insecure_reason: str = ""

    @property
    def trust_fields(self) -> dict[str, str]:
        """As columns of SubManager."""
        return {
            "trust": self.trust or _TRUSTS.SYSTEM,
            "ca_bundle": self.ca_bundle,
            "fingerprint": self.fingerprint,
            "insecure_reason": self.insecure_reason,
        }


def read_target(fields: ConnectionFields) -> Target:
    """What was entered, taken apart and checked; ValidationError with every wrong field."""
    faults: dict[str, str] = {}
    protocol, port = fields.get("protocol") or "https", fields.get("port")
    endpoint = (fields.get("endpoint") or "").strip()
    try:
        endpoint, protocol, port = _split(endpoint, protocol, port)
        endpoint = wire.Address(endpoint).endpoint
    except ValueError as error:
        faults["endpoint"] = str(error) if endpoint else "Enter the host name or the address of the manager."
    if protocol not in DEFAULT_PORTS:
        faults["protocol"] = "The protocol is http or https."
    if port is not None and not 1 <= port <= 65535:
        faults["port"] = "The port is a number from 1 to 65535 (usually 443 for https, 80 for http)."
    remote_tenant = (fields.get("remote_tenant") or Tenant.DEFAULT).strip()
    try:
        wire.Address("localhost", tenant=remote_tenant)
    except ValueError as error:
        faults["remote_tenant"] = str(error)
    trust: dict[str, str] = {"trust": ""}
    try:
        trust = _read_trust(fields, protocol)
    except ValidationError as error:
        faults.update({field: messages[0] for field, messages in error.message_dict.items()})
    if faults:
        raise ValidationError(faults)
    return Target(endpoint, protocol, port or DEFAULT_PORTS[protocol], remote_tenant, **trust)


def _split(endpoint: str, protocol: str, port: int | None) -> tuple[str, str, int | None]:
    """Host, protocol and port; what a pasted URL says counts more than the other fields. ValueError in words."""
    if "@" in endpoint:
        raise ValueError("Leave user and password out of the endpoint: the credential has its own fields.")
    try:
        ipaddress.ip_address(endpoint)
        return endpoint, protocol, port
    except ValueError:
        pass
    has_scheme = "://" in endpoint
    try:
        parts = urlsplit(endpoint if has_scheme else f"//{endpoint}")
        named_port = parts.port
    except ValueError:
        raise ValueError("The endpoint is a host name such as manager.example.com, or an IP address.") from None
    if not has_scheme and parts.path.strip("/"):
        raise ValueError("Enter the host name or IP address alone; protocol and port have their own fields.")
    if has_scheme:
        return parts.hostname or "", parts.scheme.lower(), named_port or DEFAULT_PORTS.get(parts.scheme.lower())
    return parts.hostname or "", protocol, named_port or port


def _read_trust(fields: ConnectionFields, protocol: str) -> dict[str, str]:
    """Columns of SubManager; those that do not belong to the chosen trust are empty. Plain http has no certificate to judge."""
    mode = fields.get("trust") or ""
    if mode and mode not in _TRUSTS.values:
        raise ValidationError({"trust": f"Choose one of: {', '.join(_TRUSTS.values)}."})
    if protocol == "http":
        return {"trust": _TRUSTS.SYSTEM if mode else ""}
    if mode == _TRUSTS.CA_BUNDLE:
        return {"trust": mode, "ca_bundle": _read_bundle(fields.get("ca_bundle") or "")}
    if mode == _TRUSTS.FINGERPRINT:
        pinned = _or_fault("fingerprint", wire.Trust.pinned, fields.get("fingerprint") or "")
        return {"trust": mode, "fingerprint": colons(pinned.fingerprint)}
    if mode == _TRUSTS.INSECURE:
        reason = _or_fault("insecure_reason", wire.Trust.insecure, fields.get("insecure_reason") or "").reason
        if len(reason) > 256:
            raise ValidationError({"insecure_reason": "Say it in at most 256 characters."})
        return {"trust": mode, "insecure_reason": reason}
    return {"trust": mode}


def _read_bundle(pem: str) -> str:
    if "PRIVATE KEY" in pem:
        raise ValidationError(
            {"ca_bundle": "This holds a private key, which stays where it is. Paste the certificates alone."}
        )
    bundle = _or_fault("ca_bundle", wire.Trust.bundle, pem).ca_bundle.strip() + "\n"
    try:
        ssl.create_default_context(cadata=bundle)
    except (ssl.SSLError, ValueError):
        raise ValidationError(
            {"ca_bundle": "The CA bundle cannot be read. Copy it again, whole, with its BEGIN and END lines."}
        ) from None
    return bundle


def _or_fault(field: str, make: object, text: str) -> wire.Trust:
    try:
        trust: wire.Trust = make(text)  # type: ignore[operator]
    except ValueError as error:
        raise ValidationError({field: str(error)}) from None
    return trust


def address_for(target: Target) -> wire.Address:
    """Where a checked target is."""
    return wire.Address(target.endpoint, target.port, target.protocol, target.remote_tenant, _trust(target))


def address_of(sub_manager: SubManager, remote_tenant: str) -> wire.Address:
    """Where one tenant of a sub-manager is, and how far its certificate is trusted. ValueError for a row that holds nonsense."""
    return wire.Address(
        sub_manager.endpoint, sub_manager.port, sub_manager.protocol, remote_tenant, _trust(sub_manager)
    )


def _trust(row: SubManager | Target) -> wire.Trust:
    if row.trust == _TRUSTS.CA_BUNDLE:
        return wire.Trust.bundle(row.ca_bundle)
    if row.trust == _TRUSTS.FINGERPRINT:
        return wire.Trust.pinned(row.fingerprint)
    if row.trust == _TRUSTS.INSECURE:
        return wire.Trust.insecure(row.insecure_reason)
    return wire.Trust.system()


def credential_of(environment: Environment) -> wire.Credential:
    """Who we are at an environment, opened from its secrets; ManagerError (credential) where they do not open or cannot be one."""
    if environment.credential is None:
        raise ManagerError(ErrorKind.CREDENTIAL, NO_CREDENTIAL)
    return open_credential(environment.credential)


def open_credential(credential: Credential) -> wire.Credential:
    """The same for a credential row."""
    if credential.kind == Credential.Kind.TOKEN:
        return opened(token=credential.token)
    return opened(username=credential.username, password=credential.password)


def opened(
    token: Secret | str | None = None, username: Secret | str | None = None, password: Secret | str | None = None
) -> wire.Credential:
    """A credential from values and stored secrets; ManagerError (credential) in words where it cannot be one."""
    try:
        if token:
            return wire.Credential.by_token(_open(token))
        return wire.Credential.by_password(_open(username), _open(password))
    except VaultError as error:
        raise ManagerError(ErrorKind.CREDENTIAL, f"The stored credential does not open. {error}") from None
    except ValueError as error:
        raise ManagerError(ErrorKind.CREDENTIAL, str(error)) from None


def _open(part: Secret | str | None) -> str:
    if isinstance(part, Secret):
        return secrets.reveal(part)
    return part or ""


def client_for(environment: Environment) -> ManagerClient:
    """A client of an environment; close it. ManagerError where address or credential cannot be used.

    Reads up to four rows; none where the environment came `for_connecting()`.
    """
    try:
        address = address_of(environment.sub_manager, environment.remote_tenant)
    except ValueError as error:
        raise ManagerError(ErrorKind.INPUT, str(error)) from None
    return ManagerClient(address, credential_of(environment), policy_from_settings())
