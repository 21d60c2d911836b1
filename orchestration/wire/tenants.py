"""Tenants and who has which role in them, on the wire: premium in the old system, part of the product here."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import services
from accounts.errors import Conflict
from accounts.models import Group, Membership, Tenant, User
from accounts.roles import may, tenants_of
from orchestration.errors import Refused, forbidden, not_found
from orchestration.wire.listing import find, listed
from orchestration.wire.shapes import Field, Shape, always, column
from orchestration.wire.views import WireView

TENANT = Shape(
    "Tenant",
    {
        "name": column("name"),
        "groups": Field(lambda row: row.group_count),
        "users": Field(lambda row: row.user_count),
        "user_roles": always(None),
        "rabbitmq_username": always(None),
        "rabbitmq_password": always(None),
        "rabbitmq_vhost": always(None),
    },
    search=("name",),
    order=("pk",),
)


def counted(rows: QuerySet[Tenant]) -> QuerySet[Tenant]:
    """With the numbers of users and groups that have a role."""
    return rows.annotate(
        user_count=Count("memberships__user", distinct=True), group_count=Count("memberships__group", distinct=True)
    )


def members_of(tenants: list[Tenant]) -> dict[int, dict[str, Any]]:
    """{tenant: {"groups", "users", "user_roles"}} as `_get_data=true` shows them; two queries, however many tenants."""
    found: dict[int, dict[str, Any]] = {
        tenant.pk: {"groups": {}, "users": {}, "user_roles": {"direct": {}, "groups": {}}} for tenant in tenants
    }
    rows = (
        Membership.objects.filter(tenant__in=tenants).select_related("user", "group").prefetch_related("group__users")
    )
    for row in rows:
        told = found[row.tenant_id]
        if row.user is not None:
            told["user_roles"]["direct"][row.user.username] = row.role
            add_role(told["users"], row.user.username, row.role, direct=row.role)
        if row.group is not None:
            names = [user.username for user in row.group.users.all()]
            told["groups"][row.group.name] = row.role
            told["user_roles"]["groups"][row.group.name] = {"role": row.role, "users": names}
            for name in names:
                add_role(told["users"], name, row.role)
    return found


def add_role(users: dict[str, Any], name: str, role: str, direct: str | None = None) -> None:
    """One more way in which a user has a role."""
    told = users.setdefault(name, {"tenant-role": None, "roles": []})
    told["tenant-role"] = direct or told["tenant-role"]
    told["roles"] = sorted({*told["roles"], role})


class TenantView(WireView):
    """What all addresses of tenants share."""

    has_tenant = False
    resource = "tenant"

    def rows(self) -> QuerySet[Tenant]:
        """Those in which the caller has a role; a system administrator sees all."""
        return counted(Tenant.objects.filter(pk__in=[tenant.pk for tenant in tenants_of(self.user)]))

    def shown(self, name: str, status: int = 200) -> Response:
        """One tenant as it is now."""
        return Response(TENANT.render(counted(Tenant.objects.filter(name=name)).get()), status=status)


class Tenants(TenantView):
    """GET /tenants; who is in them is told to their managers."""

    needs = {"GET": "installation.view"}

    def get(self, request: Request) -> Response:
        rows = self.rows()
        response = listed(rows, request.query_params, TENANT)
        if self.flag("_get_data"):
            names = [item["name"] for item in response.data["items"] if "name" in item]
            mine = [row for row in rows.filter(name__in=names) if may(self.user, "membership.view", row)]
            told = members_of(mine)
            by_name = {row.name: told[row.pk] for row in mine}
            nothing: dict[str, Any] = {"groups": {}, "users": {}, "user_roles": {"direct": {}, "groups": {}}}
            for item in response.data["items"]:
                data = by_name.get(item.get("name"), nothing)
                item.update({name: value for name, value in data.items() if name in item})
        return response


class TenantDetail(TenantView):
    """One tenant."""

    needs = {"GET": "installation.view", "POST": "tenant.manage", "DELETE": "tenant.manage"}

    def get(self, request: Request, name: str) -> Response:
        row = find(self.rows(), "Tenant", name, name="name")
        shown = TENANT.render(row)
        if self.flag("_get_data"):
            if not may(self.user, "membership.view", row):
                raise forbidden(f"User `{self.user}` is not permitted to see who is in the tenant `{name}`")
            shown |= members_of([row])[row.pk]
        return Response(shown)

    def post(self, request: Request, name: str) -> Response:
        try:
            services.create_tenant(by=self.actor, name=name)
        except Conflict as error:
            raise Refused(409, "conflict_error", f"Tenant `{name}` already exists. {error}") from None
        return self.shown(name, status=201)

    def delete(self, request: Request, name: str) -> Response:
        services.delete_tenant(by=self.actor, tenant=find(Tenant.objects.all(), "Tenant", name, name="name"))
        return Response(status=204)


class MembershipView(TenantView):
    """Roles of users, or of groups, in a tenant: PUT gives one, PATCH another, DELETE takes it."""

    needs = dict.fromkeys(("PUT", "PATCH", "DELETE"), "membership.change")

    def subject(self) -> tuple[Tenant, dict[str, Any], str]:
        """(tenant, {"user" or "group": row}, its name)."""
        raise NotImplementedError

    def the_tenant(self) -> Tenant:
        """The tenant that the body names."""
        name = self.required("tenant_name")
        tenant: Tenant = find(Tenant.objects.all(), "Tenant", name, name="name")
        return tenant

    def membership(self) -> Membership:
        """The role that is there; 404 where there is none."""
        tenant, who, name = self.subject()
        row = Membership.objects.filter(tenant=tenant, **who).select_related("user", "group", "tenant").first()
        if row is None:
            kind = "User" if "user" in who else "Group"
            raise Refused(404, "not_found_error", f"{kind} `{name}` is not associated with tenant `{tenant.name}`")
        return row

    def put(self, request: Request) -> Response:
        tenant, who, name = self.subject()
        if Membership.objects.filter(tenant=tenant, **who).exists():
            kind = "User" if "user" in who else "Group"
            raise Refused(409, "conflict_error", f"{kind} `{name}` is already associated with tenant `{tenant.name}`")
        services.set_membership(by=self.actor, tenant=tenant, role=self.optional("role", default="user"), **who)
        return self.shown(tenant.name)

    def patch(self, request: Request) -> Response:
        row = self.membership()
        services.set_membership(
            by=self.actor, tenant=row.tenant, role=self.required("role"), user=row.user, group=row.group
        )
        return self.shown(row.tenant.name)

    def delete(self, request: Request) -> Response:
        services.remove_membership(by=self.actor, membership=self.membership())
        return Response(status=204)


class TenantUsers(MembershipView):
    """PUT, PATCH, DELETE /tenants/users."""

    resource = "tenant_user"

    def subject(self) -> tuple[Tenant, dict[str, Any], str]:
        name = self.required("username")
        user = User.objects.filter(username=name).first()
        if user is None:
            raise not_found("User", name)
        return self.the_tenant(), {"user": user}, name


class TenantGroups(MembershipView):
    """PUT, PATCH, DELETE /tenants/user-groups."""

    resource = "tenant_group"

    def subject(self) -> tuple[Tenant, dict[str, Any], str]:
        name = self.required("group_name")
        group = Group.objects.filter(name=name).first()
        if group is None:
            raise not_found("Group", name)
        return self.the_tenant(), {"group": group}, name
