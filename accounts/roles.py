"""Who may do what: the one decision that pages, API, v3.1 and websockets ask."""

from __future__ import annotations

import dataclasses

from django.contrib.auth.models import AnonymousUser
from django.db.models import Q

from accounts.models import Membership, RolePermission, SystemRole, Tenant, TenantRole, User

_VIEW = frozenset(TenantRole)
_OPERATE = frozenset({TenantRole.MANAGER, TenantRole.USER, TenantRole.OPERATIONS})
_AUTHOR = frozenset({TenantRole.MANAGER, TenantRole.USER})
_GOVERN = frozenset({TenantRole.MANAGER})
_SYSTEM: frozenset[TenantRole] = frozenset()  # system administrators only

# Everybody who is signed in, whatever the tenant.
OPEN_ACTIONS = frozenset({"installation.view", "token.manage_own", "account.manage_own"})

# action -> tenant roles that may unless RolePermission says otherwise (`read_rights`); a system administrator may everything.
# Source: the roles of the genuine manager.
ACTIONS: dict[str, frozenset[TenantRole]] = {
    "deployment.view": _VIEW,
    "deployment.change": _OPERATE,
    "environment.view": _VIEW,
    "environment.change": _AUTHOR,  # stores credentials, hence as for secrets
    "environment.probe": _OPERATE,
    "cluster.view": _VIEW,
    "cluster.change": _GOVERN,  # becomes root on hosts
    "site.view": _VIEW,
    "site.change": _AUTHOR,
    "filter.view": _VIEW,
    "filter.change": _OPERATE,
    "service.view": _VIEW,
    "service.change": _AUTHOR,
    "rollout.view": _VIEW,
    "rollout.start": _OPERATE,
    "run.view": _VIEW,
    "run.control": _OPERATE,
    "blueprint.view": _VIEW,
    "blueprint.change": _AUTHOR,
    "execution.view": _VIEW,
    "execution.start": _OPERATE,
    "secret.view": _VIEW,
    "secret.change": _AUTHOR,
    "secret.read_value": _GOVERN,  # of blueprint secrets; their creator may, too
    "secret.see_hidden": _GOVERN,
    "private.see": _GOVERN,
    "audit.view": _GOVERN,
    "membership.view": _GOVERN,
    "membership.change": _SYSTEM,
    "user.manage": _SYSTEM,
    "tenant.manage": _SYSTEM,
    "global.create": _SYSTEM,
    "permission.manage": _SYSTEM,
    "installation.manage": _SYSTEM,
}
# These reach beyond one tenant, hence no tenant's role can be given them; permissions themselves are governed by one of them.
FIXED_ACTIONS = frozenset(action for action, roles in ACTIONS.items() if not roles)

Rights = dict[str, frozenset[TenantRole]]  # action -> tenant roles that may


@dataclasses.dataclass(frozen=True)
class Access:
    """What a user is, in the installation and in each tenant, own and through groups."""

    is_sys_admin: bool
    roles: dict[int, frozenset[TenantRole]]  # by tenant id
    tenants: tuple[Tenant, ...]  # with a role, by name
    rights: Rights = dataclasses.field(default_factory=lambda: ACTIONS, repr=False)


def read_rights() -> Rights:
    """What each tenant role may now: one query, asked anew for every request, so that a change holds at once everywhere."""
    rights = dict(ACTIONS)
    for role, action, is_allowed in RolePermission.objects.values_list("role", "action", "is_allowed"):
        if action in rights and action not in FIXED_ACTIONS and role in TenantRole:
            found = {TenantRole(role)}
            rights[action] = rights[action] | found if is_allowed else rights[action] - found
    return rights


def read_access(user: User) -> Access:
    """At most three queries, whatever the number of tenants."""
    rows = Membership.objects.filter(Q(user=user) | Q(group__users=user)).select_related("tenant")
    roles: dict[int, set[TenantRole]] = {}
    tenants: dict[int, Tenant] = {}
    for row in rows:
        roles.setdefault(row.tenant_id, set()).add(TenantRole(row.role))
        tenants[row.tenant_id] = row.tenant
    is_sys_admin = user.role == SystemRole.SYS_ADMIN or user.groups.filter(role=SystemRole.SYS_ADMIN).exists()
    return Access(
        is_sys_admin=is_sys_admin,
        roles={tenant: frozenset(found) for tenant, found in roles.items()},
        tenants=tuple(sorted(tenants.values(), key=lambda tenant: tenant.name)),
        rights=ACTIONS if is_sys_admin or not roles else read_rights(),
    )


def remember_access(user: User) -> Access:
    """Read once what the user may and keep it on this instance: for the length of one request, never longer."""
    user.access = read_access(user)
    return user.access  # type: ignore[no-any-return]


def roles_in(user: User, tenant: Tenant) -> frozenset[TenantRole]:
    """All roles of the user in the tenant, own and through groups."""
    access: Access = user.access or read_access(user)
    return access.roles.get(tenant.pk, frozenset())


def may(user: User | AnonymousUser, action: str, tenant: Tenant | None = None) -> bool:
    """Is the action (a key of ACTIONS or OPEN_ACTIONS) allowed to the user in the tenant? KeyError for an unknown action."""
    if action not in OPEN_ACTIONS and action not in ACTIONS:
        raise KeyError(f"no such action: {action!r}; see accounts.roles.ACTIONS")
    if not isinstance(user, User) or not user.is_active:
        return False
    if action in OPEN_ACTIONS:
        return True
    if user.is_sys_admin:
        return True
    if tenant is None:
        return False
    access: Access = user.access or read_access(user)
    return bool(access.rights[action] & access.roles.get(tenant.pk, frozenset()))


def tenants_of(user: User) -> list[Tenant]:
    """Tenants in which the user has a role, by name; all of them for a system administrator."""
    access: Access = user.access or read_access(user)
    if access.is_sys_admin:
        return list(Tenant.objects.order_by("name"))
    return list(access.tenants)


def tenant_named(user: User, name: str) -> Tenant | None:
    """The tenant of that name if the user may act there; None for "not there" and "not yours" alike."""
    access: Access = user.access or read_access(user)
    if access.is_sys_admin:
        return Tenant.objects.filter(name=name).first()
    return next((tenant for tenant in access.tenants if tenant.name == name), None)


def first_tenant(user: User) -> Tenant | None:
    """Where the user acts when nothing else is said: `default_tenant` if it is one of his, else the first by name."""
    access: Access = user.access or read_access(user)
    if access.is_sys_admin:
        return Tenant.objects.filter(name=Tenant.DEFAULT).first() or Tenant.objects.order_by("name").first()
    return next(
        (tenant for tenant in access.tenants if tenant.name == Tenant.DEFAULT), next(iter(access.tenants), None)
    )
