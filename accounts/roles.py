"""Who may do what: the one decision that pages, API, v3.1 and websockets ask."""
from __future__ import annotations

from accounts.models import Membership, Tenant, TenantRole, User

_VIEW = frozenset(TenantRole)
_OPERATE = frozenset({TenantRole.MANAGER, TenantRole.USER, TenantRole.OPERATIONS})
_AUTHOR = frozenset({TenantRole.MANAGER, TenantRole.USER})
_GOVERN = frozenset({TenantRole.MANAGER})
_SYSTEM: frozenset[TenantRole] = frozenset()  # system administrators only

# Everybody who is signed in, whatever the tenant.
OPEN_ACTIONS = frozenset({"installation.view", "token.manage_own", "account.manage_own"})

# action -> tenant roles that may; a system administrator may everything. Source: the roles of the genuine manager.
ACTIONS: dict[str, frozenset[TenantRole]] = {
    "deployment.view": _VIEW,
    "deployment.change": _OPERATE,
    "environment.view": _VIEW,
    "environment.change": _AUTHOR,  # stores credentials, hence as for secrets
    "environment.probe": _OPERATE,
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
    "secret.see_hidden": _GOVERN,
    "private.see": _GOVERN,
    "audit.view": _GOVERN,
    "membership.change": _SYSTEM,
    "user.manage": _SYSTEM,
    "tenant.manage": _SYSTEM,
    "global.create": _SYSTEM,
    "installation.manage": _SYSTEM,
}


def roles_in(user: User, tenant: Tenant) -> frozenset[TenantRole]:
    """All roles of the user in the tenant, own and through groups."""
    rows = Membership.objects.filter(tenant=tenant)
    own = rows.filter(user=user).values_list("role", flat=True)
    through_groups = rows.filter(group__users=user).values_list("role", flat=True)
    return frozenset(TenantRole(role) for role in own.union(through_groups))


def may(user: User, action: str, tenant: Tenant | None = None) -> bool:
    """Is the action (a key of ACTIONS or OPEN_ACTIONS) allowed to the user in the tenant? KeyError for an unknown action."""
    if action not in OPEN_ACTIONS and action not in ACTIONS:
        raise KeyError(f"no such action: {action!r}; see accounts.roles.ACTIONS")
    if not user.is_authenticated or not user.is_active:
        return False
    if action in OPEN_ACTIONS:
        return True
    if user.is_sys_admin:
        return True
    return tenant is not None and bool(ACTIONS[action] & roles_in(user, tenant))


def tenants_of(user: User) -> list[Tenant]:
    """Tenants in which the user has a role, by name; all of them for a system administrator."""
    if user.is_sys_admin:
        return list(Tenant.objects.order_by("name"))
    mine = Membership.objects.filter(user=user) | Membership.objects.filter(group__users=user)
    return list(Tenant.objects.filter(pk__in=mine.values("tenant")).order_by("name"))
