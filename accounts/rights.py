"""What each role may, as administrators change it: what a change would do to whom, the change itself, and back to the defaults."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts import audit
from accounts.actors import Actor
from accounts.errors import Conflict
from accounts.models import Group, Membership, RolePermission, SystemRole, TenantRole, User
from accounts.roles import ACTIONS, FIXED_ACTIONS, OPEN_ACTIONS, Rights, read_rights

Cell = tuple[TenantRole, str]  # a role and an action
NAMES_SHOWN = 5

ADMINISTRATOR = (
    "A system administrator may everything, so that nobody is locked out of governing this installation. To take rights from "
    "a person, give another system role."
)
EVERYBODY = "The role `default` is what everybody has who signs in, in no tenant: it gets nothing more. Give a role in the tenant instead."
# What a right gives beyond its name.
CAUTIONS = {
    "cluster.change": "Who may this becomes root on the hosts of clusters.",
    "secret.read_value": "Who may this reads the values of the tenant's blueprint secrets.",
    "secret.see_hidden": "Who may this sees values that were hidden on purpose.",
    "environment.change": "Who may this stores credentials and decides which managers are called.",
    "private.see": "Who may this sees what others marked private.",
}


@dataclasses.dataclass(frozen=True)
class Effect:
    """What would change of one action: roles that get it or lose it, and people for whom it makes a difference."""

    action: str
    given_to: tuple[TenantRole, ...]
    taken_from: tuple[TenantRole, ...]
    gain: tuple[str, ...]  # user names
    lose: tuple[str, ...]
    cautions: tuple[str, ...]

    @property
    def some_gain(self) -> tuple[str, ...]:
        return self.gain[:NAMES_SHOWN]

    @property
    def some_lose(self) -> tuple[str, ...]:
        return self.lose[:NAMES_SHOWN]


@dataclasses.dataclass(frozen=True)
class Preview:
    """What would change, under a digest that names it and the rights that it starts from."""

    effects: tuple[Effect, ...]
    digest: str

    @property
    def people(self) -> int:
        """How many people notice."""
        return len({name for effect in self.effects for name in effect.gain + effect.lose})


def read_cell(role: str, action: str) -> Cell:
    """A role and an action that can be changed; ValidationError in words for all others."""
    if action not in ACTIONS and action not in OPEN_ACTIONS:
        raise ValidationError({"permission": f"There is no permission {action!r}. GET /permissions lists them all."})
    if role == SystemRole.SYS_ADMIN:
        raise ValidationError({"role": ADMINISTRATOR})
    if role == SystemRole.DEFAULT:
        raise ValidationError({"role": EVERYBODY})
    if role not in TenantRole:
        raise ValidationError({"role": f"There is no role {role!r}. Roles are {', '.join(TenantRole.values)}."})
    if action in OPEN_ACTIONS:
        raise ValidationError({"permission": f"{action} is for everybody who is signed in, whatever the role."})
    if action in FIXED_ACTIONS:
        text = f"{action} reaches beyond one tenant: it stays with system administrators."
        raise ValidationError({"permission": text})
    return TenantRole(role), action


def preview(wanted: Mapping[Cell, bool]) -> Preview:
    """What would change, and for whom; four queries."""
    now = read_rights()
    then = changed(now, wanted)
    people = _roles_of_people()
    effects = tuple(_effect(action, now, then, people) for action in ACTIONS if now[action] != then[action])
    told = [sorted((action, sorted(rights[action])) for action in ACTIONS) for rights in (now, then)]
    return Preview(effects, hashlib.sha256(json.dumps(told).encode()).hexdigest())


def changed(rights: Rights, wanted: Mapping[Cell, bool]) -> Rights:
    """The rights as they would be."""
    found = dict(rights)
    for (role, action), is_allowed in wanted.items():
        found[action] = found[action] | {role} if is_allowed else found[action] - {role}
    return found


def change_rights(*, by: Actor, wanted: Mapping[Cell, bool], digest: str | None = None) -> list[Cell]:
    """Store what differs, each with its audit entry; the cells that changed. Conflict where the preview no longer holds."""
    with transaction.atomic():
        list(RolePermission.objects.select_for_update())
        if digest is not None and preview(wanted).digest != digest:
            raise Conflict(
                "Somebody changed permissions in the meantime. Look at what would change now, then apply it."
            )
        now = read_rights()
        cells = [cell for cell, is_allowed in wanted.items() if (cell[0] in now[cell[1]]) != is_allowed]
        for role, action in cells:
            _store(by, role, action, wanted[role, action])
    return cells


def defaults() -> dict[Cell, bool]:
    """Every cell as it is without any change, to preview and to apply."""
    return {
        (role, action): role in ACTIONS[action]
        for action in ACTIONS
        if action not in FIXED_ACTIONS
        for role in TenantRole
    }


def _store(by: Actor, role: TenantRole, action: str, is_allowed: bool) -> None:
    """One cell; a row only where it differs from the default."""
    if is_allowed == (role in ACTIONS[action]):
        RolePermission.objects.filter(role=role, action=action).delete()
    else:
        RolePermission.objects.update_or_create(role=role, action=action, defaults={"is_allowed": is_allowed})
    audit.record_about(
        by=by,
        action="permission.allow" if is_allowed else "permission.disallow",
        object_type=RolePermission._meta.label_lower,
        object_id=f"{role.value}:{action}",
        object_name=f"{role.value}: {action}",
        before={"is_allowed": not is_allowed},
        after={"is_allowed": is_allowed},
    )


def _roles_of_people() -> dict[tuple[str, int], set[str]]:
    """(name, tenant) -> roles there, own and through groups; without system administrators, who may everything."""
    root = set(Group.objects.filter(role=SystemRole.SYS_ADMIN).values_list("pk", flat=True))
    names = dict(User.objects.filter(is_active=True).exclude(role=SystemRole.SYS_ADMIN).values_list("pk", "username"))
    members: dict[int, list[int]] = {}
    for group, user in Group.users.through.objects.values_list("group_id", "user_id"):
        members.setdefault(group, []).append(user)
    for group in root:
        for user in members.get(group, []):
            names.pop(user, None)
    found: dict[tuple[str, int], set[str]] = {}
    for tenant, user, group, role in Membership.objects.values_list("tenant_id", "user_id", "group_id", "role"):
        for one in [user] if user else members.get(group, []):
            if one in names:
                found.setdefault((names[one], tenant), set()).add(role)
    return found


def _effect(action: str, now: Rights, then: Rights, people: Mapping[tuple[str, int], set[str]]) -> Effect:
    given, taken = then[action] - now[action], now[action] - then[action]
    gain: set[str] = set()
    lose: set[str] = set()
    for (name, _), roles in people.items():
        before, after = bool(now[action] & roles), bool(then[action] & roles)
        if before != after:
            (gain if after else lose).add(name)
    return Effect(
        action, _sorted(given), _sorted(taken), tuple(sorted(gain)), tuple(sorted(lose)), _cautions(action, given, then)
    )


def _cautions(action: str, given: frozenset[TenantRole], then: Rights) -> tuple[str, ...]:
    found = [CAUTIONS[action]] if given and action in CAUTIONS else []
    noun, _, verb = action.partition(".")
    view = f"{noun}.view"
    if verb == "view":
        blind = {
            role for other in ACTIONS if other.startswith(f"{noun}.") and other != action for role in then[other]
        } - then[action]
    else:
        blind = set(then[action] - then.get(view, then[action]))
    if blind:
        names = ", ".join(_sorted(blind))
        found.append(f"{names} could act on what the role does not see: allow {view} as well, or take away both.")
    return tuple(found)


def _sorted(roles: Iterable[TenantRole]) -> tuple[TenantRole, ...]:
    return tuple(role for role in TenantRole if role in set(roles))
