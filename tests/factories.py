"""Rows that many tests need, made by the product's own services; rows of one app alone are made in tests/<app>/factories.py."""

from __future__ import annotations

import itertools

from accounts import secrets as secret_services
from accounts import services, tokens
from accounts.actors import SYSTEM, Actor
from accounts.models import Group, Membership, Secret, SystemRole, Tenant, User

PASSWORD = "correct-horse-battery"
_numbers = itertools.count(1)


def number() -> int:
    """Another one at each call, for names that must differ."""
    return next(_numbers)


def actor(user: User, via: str = "page") -> Actor:
    return Actor(user=user, via=via)


def user(name: str = "", role: str = SystemRole.DEFAULT, **more) -> User:
    """The user of that name, made if need be, with password PASSWORD."""
    name = name or f"user{number()}"
    return User.objects.filter(username=name).first() or services.create_user(
        by=SYSTEM, username=name, password=more.pop("password", PASSWORD), role=role, **more
    )


def admin(name: str = "admin") -> User:
    return user(name, SystemRole.SYS_ADMIN)


def group(name: str = "", **more) -> Group:
    return services.create_group(by=SYSTEM, name=name or f"group{number()}", **more)


def tenant(name: str = "") -> Tenant:
    """The tenant of that name, made if need be."""
    name = name or f"tenant{number()}"
    return Tenant.objects.filter(name=name).first() or services.create_tenant(by=SYSTEM, name=name)


def member(of: User, tenant: Tenant, role: str) -> Membership:
    return services.set_membership(by=SYSTEM, tenant=tenant, user=of, role=role)


def secret(tenant: Tenant, name: str = "", value: str = "s3cret-value", by: Actor = SYSTEM, **more) -> Secret:
    return secret_services.create_secret(by=by, tenant=tenant, name=name or f"secret{number()}", value=value, **more)


def token(of: User, **more) -> str:
    """The value of a new API token."""
    return tokens.mint_token(by=actor(of), user=of, **more)[1]


def alice() -> User:
    """Alice: role user in tenant acme."""
    found = user("alice")
    member(found, tenant("acme"), "user")
    return found


def bob() -> User:
    """Bob: viewer in tenant acme."""
    found = user("bob")
    member(found, tenant("acme"), "viewer")
    return found


def charlie() -> User:
    """Charlie: role user in another tenant."""
    found = user("charlie")
    member(found, tenant("other"), "user")
    return found
