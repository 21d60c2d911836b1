"""Groups of users on the wire, for system administrators."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import services
from accounts.errors import Conflict
from accounts.models import Group, Membership, SystemRole, User
from orchestration.errors import Refused, bad_parameters, not_found
from orchestration.wire.listing import find, listed
from orchestration.wire.shapes import Field, Shape, always, column
from orchestration.wire.views import WireView


def members() -> Prefetch[Any]:
    """Who is in it."""
    return Prefetch("users", queryset=User.objects.order_by("username").only("username"))


def roles() -> Prefetch[Any]:
    """What it gives where."""
    return Prefetch("memberships", queryset=Membership.objects.select_related("tenant").order_by("tenant__name"))


def shape(*, is_full: bool) -> Shape:
    """A group with users and tenants named (`_get_data=true`) or counted."""
    return Shape(
        "Group",
        {
            "name": column("name"),
            "ldap_dn": always(None),
            "tenants": Field(
                lambda group: (
                    {row.tenant.name: row.role for row in group.memberships.all()}
                    if is_full
                    else len(group.memberships.all())
                ),
                prefetches=(roles,),
            ),
            "users": Field(
                lambda group: [user.username for user in group.users.all()] if is_full else len(group.users.all()),
                prefetches=(members,),
            ),
            "role": column("role"),
        },
        search=("name",),
        order=("name",),
    )


COUNTED, NAMED = shape(is_full=False), shape(is_full=True)


class GroupView(WireView):
    """What all addresses of groups share."""

    has_tenant = False
    resource = "user_group"

    def shape(self) -> Shape:
        """As full as asked for."""
        return NAMED if self.flag("_get_data") else COUNTED

    def found(self, name: str) -> Group:
        """The group or 404."""
        group: Group = find(Group.objects.all(), "Group", name, name="name")
        return group

    def shown(self, name: str, status: int = 200) -> Response:
        """One group as it is now."""
        shape = self.shape()
        rows: QuerySet[Group] = shape.load(Group.objects.filter(name=name), shape.fields)
        return Response(shape.render(rows.get()), status=status)


class Groups(GroupView):
    """GET and POST /user-groups."""

    needs = {"GET": "user.manage", "POST": "user.manage"}

    def get(self, request: Request) -> Response:
        return listed(Group.objects.all(), request.query_params, self.shape())

    def post(self, request: Request) -> Response:
        name = self.required("group_name")
        if self.body().get("ldap_group_dn"):
            raise bad_parameters("This manager asks no LDAP server: create the group without a distinguished name.")
        try:
            services.create_group(
                by=self.actor, name=name, role=self.optional("role", default=SystemRole.DEFAULT.value)
            )
        except Conflict:
            raise Refused(409, "conflict_error", f"User group `{name}` already exists") from None
        return self.shown(name, status=201)


class GroupDetail(GroupView):
    """One group."""

    needs = {"GET": "user.manage", "POST": "user.manage", "DELETE": "user.manage"}

    def get(self, request: Request, name: str) -> Response:
        return self.shown(self.found(name).name)

    def post(self, request: Request, name: str) -> Response:
        services.change_group(by=self.actor, group=self.found(name), role=self.required("role"))
        return self.shown(name)

    def delete(self, request: Request, name: str) -> Response:
        services.delete_group(by=self.actor, group=self.found(name))
        return Response(status=204)


class GroupUsers(GroupView):
    """PUT and DELETE /user-groups/users: {"username", "group_name"}."""

    needs = {"PUT": "user.manage", "DELETE": "user.manage"}

    def put(self, request: Request) -> Response:
        user, group, users = self.pair()
        if user in users:
            raise Refused(409, "conflict_error", f"User `{user}` is already associated with user group `{group}`")
        services.change_group(by=self.actor, group=group, users=[*users, user])
        return self.shown(group.name)

    def delete(self, request: Request) -> Response:
        user, group, users = self.pair()
        if user not in users:
            raise Refused(404, "not_found_error", f"User `{user}` is not associated with user group `{group}`")
        services.change_group(by=self.actor, group=group, users=[one for one in users if one != user])
        return Response(status=204)

    def pair(self) -> tuple[User, Group, list[User]]:
        """(the user, the group, who is in it)."""
        username = self.required("username")
        user = User.objects.filter(username=username).first()
        if user is None:
            raise not_found("User", username)
        group = self.found(self.required("group_name"))
        return user, group, list(group.users.all())
