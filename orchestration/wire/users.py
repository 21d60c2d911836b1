"""Users on the wire: oneself for everybody, all of them for system administrators."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import services, throttle
from accounts.errors import Conflict
from accounts.models import ApiToken, Group, Membership, SystemRole, User
from accounts.roles import may
from orchestration.errors import Refused, bad_parameters, forbidden
from orchestration.wire.listing import find, listed
from orchestration.wire.shapes import Field, Shape, always, column, read_bool, time
from orchestration.wire.times import wire_time
from orchestration.wire.views import WireView


def own_roles() -> Prefetch[Any]:
    """The user's own roles, with their tenants."""
    return Prefetch("memberships", queryset=Membership.objects.select_related("tenant").order_by("tenant__name"))


def group_roles() -> Prefetch[Any]:
    """The user's groups with the roles that they give."""
    memberships = Prefetch("memberships", queryset=Membership.objects.select_related("tenant").order_by("tenant__name"))
    return Prefetch("groups", queryset=Group.objects.order_by("name").prefetch_related(memberships))


def direct(user: User) -> dict[str, str]:
    """{tenant: own role}."""
    return {row.tenant.name: row.role for row in user.memberships.all()}


def through_groups(user: User) -> dict[str, dict[str, list[str]]]:
    """{tenant: {role: [groups that give it]}}."""
    found: dict[str, dict[str, list[str]]] = {}
    for group in user.groups.all():
        for row in group.memberships.all():
            found.setdefault(row.tenant.name, {}).setdefault(row.role, []).append(group.name)
    return found


def all_roles(user: User) -> dict[str, list[str]]:
    """{tenant: [roles]}, in whatever way."""
    roles: dict[str, set[str]] = {tenant: {role} for tenant, role in direct(user).items()}
    for tenant, given in through_groups(user).items():
        roles.setdefault(tenant, set()).update(given)
    return {tenant: sorted(found) for tenant, found in roles.items()}


def system_roles(user: User) -> dict[str, list[str]]:
    """{system role: [groups that give it]}, without the one that everybody has."""
    found: dict[str, list[str]] = {}
    for group in user.groups.all():
        if group.role != SystemRole.DEFAULT:
            found.setdefault(group.role, []).append(group.name)
    return found


def shape(*, is_full: bool) -> Shape:
    """A user with roles and groups named (`_get_data=true`) or counted."""
    roles, groups = (own_roles, group_roles), (group_roles,)
    return Shape(
        "User",
        {
            "username": column("username"),
            "tenants": Field(lambda user: all_roles(user) if is_full else len(all_roles(user)), prefetches=roles),
            "tenant_roles": Field(
                lambda user: {"direct": direct(user), "groups": through_groups(user)} if is_full else None,
                prefetches=roles,
            ),
            "groups": Field(
                lambda user: [group.name for group in user.groups.all()] if is_full else len(user.groups.all()),
                prefetches=groups,
            ),
            "role": column("role"),
            "group_system_roles": Field(system_roles, prefetches=groups),
            "active": column("is_active", read_bool),
            "created_at": time("created_at"),
            "first_login_at": always(None),
            "last_login_at": Field(lambda user: wire_time(user.last_login), "last_login"),
            "is_locked": Field(lambda user: user.is_locked),
            "show_getting_started": always(False),
            "password_hash": always(None),
        },
        search=("username",),
        order=("username",),
    )


COUNTED, NAMED = shape(is_full=False), shape(is_full=True)


class UserView(WireView):
    """What all addresses of users share."""

    has_tenant = False
    resource = "user"

    def rows(self) -> QuerySet[User]:
        """Oneself; to a system administrator everybody."""
        rows = throttle.with_locks(User.objects.all())
        return rows if may(self.user, "user.manage") else rows.filter(pk=self.user.pk)

    def found(self, username: str) -> User:
        """The user; 404 for others where one may not see them, so that nobody learns which names there are."""
        user: User = find(self.rows(), "User", username, name="username")
        return user

    def shown(self, username: str, status: int = 200) -> Response:
        """One user as he is now."""
        shape = NAMED if self.flag("_get_data") else COUNTED
        rows = shape.load(throttle.with_locks(User.objects.filter(username=username)), shape.fields)
        return Response(shape.render(rows.get()), status=status)


class WhoAmI(UserView):
    """GET /user: the caller."""

    needs = {"GET": "account.manage_own"}

    def get(self, request: Request) -> Response:
        return self.shown(self.user.username)


class Users(UserView):
    """GET and PUT /users."""

    needs = {"GET": "user.manage", "PUT": "user.manage"}

    def get(self, request: Request) -> Response:
        return listed(self.rows(), request.query_params, NAMED if self.flag("_get_data") else COUNTED)

    def put(self, request: Request) -> Response:
        if self.boolean("is_prehashed"):
            raise bad_parameters("Hashes of passwords are not taken: send a password, which the user then changes.")
        username = self.required("username")
        try:
            services.create_user(
                by=self.actor,
                username=username,
                password=self.required("password"),
                role=self.optional("role", default=SystemRole.DEFAULT.value),
            )
        except Conflict:
            raise Refused(409, "conflict_error", f"User `{username}` already exists") from None
        return self.shown(username, status=201)


class UserDetail(UserView):
    """One user; one's own name and password are everybody's to see and to change."""

    needs = {"GET": "account.manage_own", "POST": "account.manage_own", "DELETE": "user.manage"}

    def get(self, request: Request, username: str) -> Response:
        return self.shown(self.found(username).username)

    def post(self, request: Request, username: str) -> Response:
        user = self.found(username)
        role, password = self.optional("role"), self.optional("password")
        if role is None and password is None and "show_getting_started" not in self.body():
            raise bad_parameters("Missing password or role in json request body")
        if role is not None:
            if not may(self.user, "user.manage"):
                raise forbidden(f"User `{self.user}` is not permitted to perform the action user_set_role")
            services.change_user(by=self.actor, user=user, role=role)
        if password is not None:
            if isinstance(request.auth, ApiToken) and user.pk == self.user.pk:
                raise forbidden(
                    "A token does not change its user's password: sign in with the present password for that."
                )
            services.set_password(by=self.actor, user=user, password=password)
        return self.shown(user.username)

    def delete(self, request: Request, username: str) -> Response:
        user = self.found(username)
        if user.pk == self.user.pk:
            raise Refused(400, "illegal_action_error", "You cannot delete yourself: ask another system administrator.")
        services.delete_user(by=self.actor, user=user)
        return Response(status=204)


class UserActive(UserView):
    """POST /users/active/NAME: {"action": "activate" | "deactivate"}."""

    needs = {"POST": "user.manage"}

    def post(self, request: Request, username: str) -> Response:
        action = self.required("action")
        if action not in ("activate", "deactivate"):
            raise bad_parameters(f"Invalid action: `{action}`. Valid actions are: ['activate', 'deactivate']")
        user, wanted = self.found(username), action == "activate"
        if user.is_active == wanted:
            raise Refused(409, "conflict_error", f"User `{username}` is already {'active' if wanted else 'inactive'}")
        services.change_user(by=self.actor, user=user, is_active=wanted)
        return self.shown(username)


class UserUnlock(UserView):
    """POST /users/unlock/NAME: wrong passwords are forgotten."""

    needs = {"POST": "user.manage"}

    def post(self, request: Request, username: str) -> Response:
        user = self.found(username)
        if not throttle.unlock(by=self.actor, user=user):
            raise Refused(409, "conflict_error", f"User `{username}` is already unlocked")
        return self.shown(username)
