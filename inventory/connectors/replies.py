"""What a manager says about itself and about us, as typed values; what it holds is in `resources`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from inventory.connectors.shapes import Json, mapping, text, text_or_empty


@dataclass(frozen=True)
class Version:
    """Which manager answers."""

    version: str
    edition: str

    @classmethod
    def read(cls, content: Json) -> Version:
        return cls(text(content, "version"), text_or_empty(content, "edition"))

    @property
    def numbers(self) -> tuple[int, int] | None:
        """(major, minor), or None where the text does not begin with two numbers."""
        parts = self.version.split(".")
        if len(parts) < 2 or not (parts[0].isdecimal() and parts[1].isdecimal()):
            return None
        return int(parts[0]), int(parts[1])


@dataclass(frozen=True)
class Status:
    """Whether the manager's own parts are well, by its own account."""

    is_ok: bool
    failing: tuple[str, ...]

    @classmethod
    def read(cls, content: Json) -> Status:
        services = mapping(content, "services")
        failing = [
            name
            for name, service in services.items()
            if isinstance(service, dict) and service.get("status") != "Active"
        ]
        return cls(text(content, "status") == "OK", tuple(sorted(failing)))


@dataclass(frozen=True)
class Whoami:
    """The account as the manager knows it. `roles` maps tenant to roles; None where the manager only gave a count."""

    username: str
    system_roles: frozenset[str]
    roles: Mapping[str, frozenset[str]] | None

    @classmethod
    def read(cls, content: Json) -> Whoami:
        system = frozenset((text(content, "role"), *mapping(content, "group_system_roles")))
        return cls(text(content, "username"), system, _tenant_roles(content))

    def roles_in(self, tenant: str) -> frozenset[str] | None:
        """System roles and those held in this tenant; None where the manager does not tell."""
        if self.roles is None:
            return None
        return self.system_roles | self.roles.get(tenant, frozenset())


def _tenant_roles(content: Json) -> dict[str, frozenset[str]] | None:
    """`tenants` is a count, or (with _get_data) tenant to roles; `tenant_roles` tells direct ones and those by group."""
    found: dict[str, set[str]] = {}
    tenants = content.get("tenants")
    detail = content.get("tenant_roles")
    if not isinstance(tenants, dict) and not isinstance(detail, dict):
        return None
    if isinstance(tenants, dict):
        for name, roles in tenants.items():
            found.setdefault(name, set()).update([roles] if isinstance(roles, str) else roles or ())
    if isinstance(detail, dict):
        for name, role in mapping(detail, "direct").items():
            found.setdefault(name, set()).update([role] if isinstance(role, str) else role or ())
        for name, by_role in mapping(detail, "groups").items():
            found.setdefault(name, set()).update(by_role or ())
    return {name: frozenset(roles) for name, roles in found.items()}


@dataclass(frozen=True)
class Token:
    """A token just minted: the only moment at which its value can be read."""

    id: str
    value: str = field(repr=False)
    expires_at: str = ""

    @classmethod
    def read(cls, content: Json) -> Token:
        return cls(text(content, "id"), text(content, "value"), text_or_empty(content, "expiration_date"))
