"""Writes of users, groups, tenants and memberships, each with its audit entry. Secrets and tokens have modules of their own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from accounts import audit
from accounts.actors import Actor
from accounts.errors import Conflict
from accounts.models import Group, Membership, SystemRole, Tenant, TenantRole, User
from accounts.names import check_name

FORBIDDEN_TENANTS = {"users", "user-groups"}  # taken by addresses of v3.1


# --- users -----------------------------------------------------------------------------------------------------------


def create_user(
    *,
    by: Actor,
    username: str,
    password: str,
    full_name: str = "",
    email: str = "",
    role: str = SystemRole.DEFAULT,
    must_change_password: bool = False,
    groups: Iterable[Group] = (),
) -> User:
    """A new active user. Conflict where the name is taken."""
    check_name(username, "username")
    _check_profile(full_name, email, role)
    if User.objects.filter(username=username).exists():
        raise Conflict(f"There is a user {username} already. Choose another name.")
    user = User(
        username=username, full_name=full_name, email=email, role=role, must_change_password=must_change_password
    )
    _set_password(user, password)
    with transaction.atomic():
        user.save(force_insert=True)
        user.groups.set(groups)
        audit.record(by=by, action="user.create", row=user, tenant=None, after=_told_user(user))
    return user


def change_user(
    *,
    by: Actor,
    user: User,
    full_name: str | None = None,
    email: str | None = None,
    role: str | None = None,
    is_active: bool | None = None,
    must_change_password: bool | None = None,
    groups: Iterable[Group] | None = None,
) -> User:
    """Change what is given; Conflict where no system administrator would be left."""
    given = {
        "full_name": full_name,
        "email": email,
        "role": role,
        "is_active": is_active,
        "must_change_password": must_change_password,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    _check_profile(
        str(changes.get("full_name", "")), str(changes.get("email", "")), str(changes.get("role", SystemRole.DEFAULT))
    )
    with transaction.atomic():
        # Read afresh: the instance given may already carry what a form wants.
        stored = User.objects.select_for_update().get(pk=user.pk)
        before = _told_user(stored)
        for name, value in changes.items():
            setattr(stored, name, value)
            setattr(user, name, value)
        stored.save(update_fields=list(changes))
        if groups is not None:
            stored.groups.set(groups)
        after = _told_user(stored)
        if after != before:
            _check_an_administrator_is_left()
            audit.record(by=by, action="user.change", row=stored, tenant=None, before=before, after=after)
    return user


def set_password(*, by: Actor, user: User, password: str, must_change: bool = False) -> None:
    """A new password; sessions made with the old one end. `must_change`: it opens only the page that changes it."""
    _set_password(user, password)
    user.must_change_password = must_change
    with transaction.atomic():
        user.save(update_fields=["password", "must_change_password"])
        audit.record(
            by=by, action="user.set_password", row=user, tenant=None, after={"must_change_password": must_change}
        )


def delete_user(*, by: Actor, user: User) -> None:
    """Remove a user with tokens and roles; what the user made stays. Switching off (change_user) keeps the name on it."""
    with transaction.atomic():
        audit.record(by=by, action="user.delete", row=user, tenant=None, before=_told_user(user))
        user.delete()
        _check_an_administrator_is_left()


# --- groups ----------------------------------------------------------------------------------------------------------


def create_group(*, by: Actor, name: str, role: str = SystemRole.DEFAULT, users: Iterable[User] = ()) -> Group:
    """A new group. Conflict where the name is taken."""
    check_name(name)
    _check_role(role, SystemRole.values)
    if Group.objects.filter(name=name).exists():
        raise Conflict(f"There is a group {name} already. Choose another name.")
    with transaction.atomic():
        group = Group.objects.create(name=name, role=role)
        group.users.set(users)
        audit.record(by=by, action="group.create", row=group, tenant=None, after=_told_group(group))
    return group


def change_group(*, by: Actor, group: Group, role: str | None = None, users: Iterable[User] | None = None) -> Group:
    """Change the system role of a group, who is in it, or both."""
    with transaction.atomic():
        stored = Group.objects.select_for_update().get(pk=group.pk)
        before = _told_group(stored)
        if role is not None:
            _check_role(role, SystemRole.values)
            stored.role = group.role = role
            stored.save(update_fields=["role"])
        if users is not None:
            stored.users.set(users)
        after = _told_group(stored)
        if after != before:
            _check_an_administrator_is_left()
            audit.record(by=by, action="group.change", row=stored, tenant=None, before=before, after=after)
    return group


def delete_group(*, by: Actor, group: Group) -> None:
    """Remove a group and the roles that it gave."""
    with transaction.atomic():
        audit.record(by=by, action="group.delete", row=group, tenant=None, before=_told_group(group))
        group.delete()
        _check_an_administrator_is_left()


# --- tenants and roles in them ---------------------------------------------------------------------------------------


def create_tenant(*, by: Actor, name: str) -> Tenant:
    """A new tenant, empty and without members."""
    check_name(name)
    if name in FORBIDDEN_TENANTS:
        raise ValidationError({"name": f"{name} is an address of the API. Choose another name."})
    if Tenant.objects.filter(name=name).exists():
        raise Conflict(f"There is a tenant {name} already. Choose another name.")
    with transaction.atomic():
        tenant = Tenant.objects.create(name=name)
        audit.record(by=by, action="tenant.create", row=tenant, tenant=None, after={"name": name})
    return tenant


def delete_tenant(*, by: Actor, tenant: Tenant) -> None:
    """Remove an empty tenant; its audit trail stays. Conflict names what still stands in it."""
    if tenant.name == Tenant.DEFAULT:
        raise Conflict(f"{Tenant.DEFAULT} always exists: clients use it when they name no tenant.")
    with transaction.atomic():
        Tenant.objects.select_for_update().get(pk=tenant.pk)
        left = _contents(tenant)
        if left:
            raise Conflict(f"Tenant {tenant.name} still has {', '.join(left)}. Delete those first.")
        audit.record(by=by, action="tenant.delete", row=tenant, tenant=None, before={"name": tenant.name})
        tenant.delete()


def set_membership(
    *, by: Actor, tenant: Tenant, role: str, user: User | None = None, group: Group | None = None
) -> Membership:
    """Give one user, or one group, this role in the tenant instead of the one it had; the same role again changes nothing."""
    if (user is None) == (group is None):
        raise ValidationError({"user": "Name a user or a group, one of the two."})
    _check_role(role, TenantRole.values)
    with transaction.atomic():
        membership, is_new = Membership.objects.get_or_create(
            tenant=tenant, user=user, group=group, defaults={"role": role}
        )
        before = None if is_new else _told_membership(membership)
        if not is_new and membership.role != role:
            membership.role = role
            membership.save(update_fields=["role"])
        after = _told_membership(membership)
        if after != before:
            audit.record(by=by, action="membership.set", row=membership, tenant=tenant, before=before, after=after)
    return membership


def remove_membership(*, by: Actor, membership: Membership) -> None:
    """Take a role away; it ends with the next request."""
    with transaction.atomic():
        told = _told_membership(membership)
        audit.record(by=by, action="membership.remove", row=membership, tenant=membership.tenant, before=told)
        membership.delete()


# --- inside ----------------------------------------------------------------------------------------------------------


def _set_password(user: User, password: str) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise ValidationError({"password": error.messages}) from None
    if len(password) > 256:
        raise ValidationError({"password": "Use at most 256 characters."})
    user.set_password(password)


def _check_profile(full_name: str, email: str, role: str) -> None:
    if len(full_name) > 256:
        raise ValidationError({"full_name": "Use at most 256 characters."})
    if email:
        try:
            validate_email(email)
        except ValidationError as error:
            raise ValidationError({"email": error.messages}) from None
    _check_role(role, SystemRole.values)


def _check_role(role: str, allowed: list[str]) -> None:
    if role not in allowed:
        raise ValidationError({"role": f"Choose one of: {', '.join(allowed)}."})


def _check_an_administrator_is_left() -> None:
    active = User.objects.filter(is_active=True)
    if not (active.filter(role=SystemRole.SYS_ADMIN) | active.filter(groups__role=SystemRole.SYS_ADMIN)).exists():
        raise Conflict("No system administrator would be left. Make another user one first.")


def _contents(tenant: Tenant) -> list[str]:
    """ "3 environments", ... for every kind of row that belongs to the tenant; memberships go with it."""
    found = []
    for relation in Tenant._meta.related_objects:
        model: Any = relation.related_model
        if model is Membership:
            continue
        count = model._base_manager.filter(**{relation.field.name: tenant}).count()
        if count:
            found.append(f"{count} {model._meta.verbose_name if count == 1 else model._meta.verbose_name_plural}")
    return found


def _told_user(user: User) -> dict[str, Any]:
    return {
        "username": user.username,
        "full_name": user.full_name,
        "email": user.email,
        "role": user.role,
        "is_active": user.is_active,
        "must_change_password": user.must_change_password,
        "groups": sorted(user.groups.values_list("name", flat=True)),
    }


def _told_group(group: Group) -> dict[str, Any]:
    return {"name": group.name, "role": group.role, "users": sorted(group.users.values_list("username", flat=True))}


def _told_membership(membership: Membership) -> dict[str, Any]:
    holder = {"user": membership.user.username} if membership.user else {"group": str(membership.group)}
    return holder | {"role": membership.role}
