"""Who may enter the double: accounts, tokens, and the words in which a manager turns people away."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Refusal = tuple[int, dict[str, Any]]


@dataclass
class Account:
    """A user of the double, with a role in each of their tenants."""

    username: str
    password: str = ""
    tenants: Mapping[str, str] = field(default_factory=dict)
    role: str = "default"
    token: str = ""
    is_token_expired: bool = False
    token_until: str = ""  # as the manager writes it

    def role_in(self, tenant: str) -> str:
        return "sys_admin" if self.role == "sys_admin" else self.tenants.get(tenant, "")

    def answer(self, *, with_data: bool) -> dict[str, Any]:
        """GET /user."""
        roles: dict[str, Any] | int = (
            {name: [role] for name, role in self.tenants.items()} if with_data else len(self.tenants)
        )
        return {
            "username": self.username,
            "tenants": roles,
            "tenant_roles": {"direct": dict(self.tenants), "groups": {}} if with_data else None,
            "groups": [] if with_data else 0,
            "role": self.role,
            "group_system_roles": {},
            "active": True,
            "is_locked": False,
        }


def error(status: int, code: str, message: str) -> Refusal:
    """A manager's error answer."""
    return status, {"error_code": code, "message": message, "server_traceback": None}


class Gate:
    """Finds the account of a request, or the refusal."""

    def __init__(self) -> None:
        self._by_name: dict[str, Account] = {}
        self._by_token: dict[str, Account] = {}
        self._by_basic: dict[str, Account] = {}
        self.tenants: set[str] = set()

    def add(self, account: Account) -> None:
        self._by_name[account.username] = account
        if account.token:
            self._by_token[account.token] = account
        self._by_basic[base64.b64encode(f"{account.username}:{account.password}".encode()).decode()] = account
        self.tenants.update(account.tenants)

    def enter(self, headers: Mapping[str, str]) -> Account | Refusal:
        """`headers` have lower-case names."""
        basic, token = headers.get("authorization", ""), headers.get("authentication-token", "")
        if basic.startswith("Basic "):
            account = self._by_basic.get(basic[6:])
            return account if account is not None else self._wrong_password(basic[6:])
        if token:
            account = self._by_token.get(token)
            if account is not None and not account.is_token_expired:
                return account
            if account is not None:
                return _unauthorized("Token is expired")
            return _unauthorized("Unauthorized" if token.count("-") == 2 else "Invalid token structure")
        return _unauthorized("No authentication info provided")

    def _wrong_password(self, encoded: str) -> Refusal:
        try:
            name = base64.b64decode(encoded).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            name = ""
        if name not in self._by_name:
            return _unauthorized("No authentication info provided")
        return _unauthorized(f"Authentication failed for <User username=`{name}`>. Wrong credentials or locked account")

    def enter_tenant(self, account: Account, tenant: str, action: str, *, writes: bool) -> Refusal | None:
        """The refusal for this account in this tenant, or None."""
        if not tenant:
            return error(403, "forbidden_error", "Authorization failed: tenant not provided")
        if tenant not in self.tenants:
            said = f"Authorization failed: Tried to authenticate with invalid tenant name: {tenant}"
            return error(403, "forbidden_error", said)
        role = account.role_in(tenant)
        may_write = role in ("sys_admin", "manager", "user") or (
            role == "operations" and not action.startswith("blueprint")
        )
        if not role or (writes and not may_write):
            said = f"User `{account.username}` is not permitted to perform the action {action} in the tenant `{tenant}`"
            return error(403, "forbidden_error", said)
        return None


def _unauthorized(said: str) -> Refusal:
    return error(401, "unauthorized_error", "User unauthorized: " + said)
