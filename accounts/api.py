"""View sets of /api/v1: me, users, groups, tenants, memberships, secrets, tokens, audit. They ask and tell; services write."""

from __future__ import annotations

from typing import cast

import django_filters
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet, ViewSet

from accounts import secrets, services, throttle, tokens
from accounts.actors import Actor, actor_of
from accounts.models import ApiToken, AuditEntry, Group, Membership, Secret, Tenant, User
from accounts.reads import visible_audit, visible_secrets
from accounts.rights_api import Permissions
from accounts.roles import ACTIONS, OPEN_ACTIONS, may, roles_in, tenants_of
from accounts.serializers import (
    AuditEntrySerializer,
    GroupSerializer,
    MembershipSerializer,
    MeSerializer,
    NewTokenSerializer,
    PasswordSerializer,
    SecretSerializer,
    TenantSerializer,
    TokenSerializer,
    UserSerializer,
)


def caller(request: Request) -> User:
    """The signed-in user; permissions have seen to that."""
    return cast(User, request.user)


def asker(request: Request) -> Actor:
    """The same as an actor."""
    return actor_of(request, via="api")


class Reading(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet):
    """List and retrieve."""


class Me(ViewSet):
    """Who am I, and what may I do here?"""

    needs = {"*": "account.manage_own"}
    serializer_class = MeSerializer

    @extend_schema(responses=MeSerializer)
    def list(self, request: Request) -> Response:
        """The caller with roles in each tenant, and the actions allowed in the present one."""
        user, tenant = caller(request), request.tenant  # type: ignore[attr-defined]
        mine = [{"tenant": found.name, "roles": sorted(roles_in(user, found))} for found in tenants_of(user)]
        told = {
            "username": user.username,
            "full_name": user.full_name,
            "role": user.role,
            "is_sys_admin": user.is_sys_admin,
            "must_change_password": user.must_change_password,
            "tenant": tenant.name if tenant else None,
            "tenants": mine,
            "actions": sorted(name for name in [*ACTIONS, *OPEN_ACTIONS] if may(user, name, tenant)),
        }
        return Response(MeSerializer(told).data)

    @extend_schema(request=PasswordSerializer, responses={204: None})
    @action(detail=False, methods=["post"])
    def password(self, request: Request) -> Response:
        """Change one's own password; needs the present one, and counts as a sign-in where that is wrong."""
        given = PasswordSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        user, address = caller(request), throttle.address_of(request._request)
        throttle.check_not_locked(user.username, address)
        if not user.check_password(given.validated_data["old"]):
            throttle.count_failure(user.username, address)
            raise ValidationError({"old": "This is not your present password."})
        services.set_password(by=asker(request), user=user, password=given.validated_data["new"])
        return Response(status=status.HTTP_204_NO_CONTENT)


class Users(Reading):
    """Users of the installation, for system administrators."""

    needs = {"*": "user.manage"}
    queryset = User.objects.prefetch_related("groups")
    serializer_class = UserSerializer
    filterset_fields = ["username", "role", "is_active"]

    def create(self, request: Request) -> Response:
        """Make a user."""
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        data = dict(given.validated_data)
        is_active = data.pop("is_active", True)
        with transaction.atomic():
            user = services.create_user(by=asker(request), **data)
            if not is_active:
                services.change_user(by=asker(request), user=user, is_active=False)
        return Response(self.get_serializer(user).data, status=status.HTTP_201_CREATED)

    def partial_update(self, request: Request, pk: str) -> Response:
        """Change a user; a password given here opens at once."""
        user = self.get_object()
        given = self.get_serializer(user, data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        data = dict(given.validated_data)
        password = data.pop("password", None)
        if data:
            services.change_user(by=asker(request), user=user, **data)
        if password is not None:
            services.set_password(
                by=asker(request), user=user, password=password, must_change=user.must_change_password
            )
        return Response(self.get_serializer(self.get_object()).data)

    def destroy(self, request: Request, pk: str) -> Response:
        """Delete a user; what the user made stays."""
        services.delete_user(by=asker(request), user=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)


class Groups(Reading):
    """Groups of users, for system administrators."""

    needs = {"*": "user.manage"}
    queryset = Group.objects.prefetch_related("users")
    serializer_class = GroupSerializer
    filterset_fields = ["name"]

    def create(self, request: Request) -> Response:
        """Make a group."""
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        group = services.create_group(by=asker(request), **given.validated_data)
        return Response(self.get_serializer(group).data, status=status.HTTP_201_CREATED)

    def partial_update(self, request: Request, pk: str) -> Response:
        """Change a group's system role, who is in it, or both."""
        group = self.get_object()
        given = self.get_serializer(group, data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        services.change_group(by=asker(request), group=group, **given.validated_data)
        return Response(self.get_serializer(self.get_object()).data)

    def destroy(self, request: Request, pk: str) -> Response:
        """Delete a group and the roles that it gave."""
        services.delete_group(by=asker(request), group=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)


class Tenants(Reading):
    """One's own tenants; system administrators see all, make and delete them."""

    needs = {"list": "installation.view", "retrieve": "installation.view", "*": "tenant.manage"}
    queryset = Tenant.objects.all()
    serializer_class = TenantSerializer
    filterset_fields = ["name"]

    def get_queryset(self) -> QuerySet[Tenant]:
        if getattr(self, "swagger_fake_view", False):
            return Tenant.objects.none()
        return Tenant.objects.filter(pk__in=[tenant.pk for tenant in tenants_of(caller(self.request))])

    def create(self, request: Request) -> Response:
        """Make a tenant, empty and without members."""
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        tenant = services.create_tenant(by=asker(request), **given.validated_data)
        return Response(self.get_serializer(tenant).data, status=status.HTTP_201_CREATED)

    def destroy(self, request: Request, pk: str) -> Response:
        """Delete an empty tenant."""
        services.delete_tenant(by=asker(request), tenant=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)


class MembershipFilter(django_filters.FilterSet):
    """By names."""

    tenant = django_filters.CharFilter("tenant__name")
    user = django_filters.CharFilter("user__username")
    group = django_filters.CharFilter("group__name")

    class Meta:
        model = Membership
        fields = ["role"]


class Memberships(Reading):
    """Who has which role where: managers see those of their tenant, system administrators all, and give and take them."""

    needs = {"list": "membership.view", "retrieve": "membership.view", "*": "membership.change"}
    queryset = Membership.objects.select_related("tenant", "user", "group")
    serializer_class = MembershipSerializer
    filterset_class = MembershipFilter

    def get_queryset(self) -> QuerySet[Membership]:
        rows: QuerySet[Membership] = super().get_queryset()
        if getattr(self, "swagger_fake_view", False) or may(caller(self.request), "membership.change"):
            return rows
        return rows.filter(tenant=self.request.tenant)  # type: ignore[attr-defined]

    def create(self, request: Request) -> Response:
        """Give a role; it takes the place of the one that the user or group had there."""
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        membership = services.set_membership(by=asker(request), **given.validated_data)
        return Response(self.get_serializer(membership).data, status=status.HTTP_201_CREATED)

    def destroy(self, request: Request, pk: str) -> Response:
        """Take a role away."""
        services.remove_membership(by=asker(request), membership=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)


class Secrets(Reading):
    """Secrets of the tenant: values go in and never come out."""

    needs = {"list": "secret.view", "retrieve": "secret.view", "*": "secret.change"}
    queryset = Secret.objects.none()
    serializer_class = SecretSerializer
    filterset_fields = ["name", "purpose", "visibility"]

    def get_queryset(self) -> QuerySet[Secret]:
        if getattr(self, "swagger_fake_view", False):
            return Secret.objects.none()
        rows = visible_secrets(caller(self.request), self.request.tenant)  # type: ignore[attr-defined]
        # A global secret is seen everywhere and changed only from the tenant that owns it.
        return rows if self.action in {"list", "retrieve"} else rows.filter(tenant=self.request.tenant)  # type: ignore[attr-defined]

    def create(self, request: Request) -> Response:
        """Store a secret."""
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        secret = secrets.create_secret(by=asker(request), tenant=request.tenant, **given.validated_data)  # type: ignore[attr-defined]
        return Response(self.get_serializer(secret).data, status=status.HTTP_201_CREATED)

    def partial_update(self, request: Request, pk: str) -> Response:
        """Replace the value, widen who sees it, or hide it."""
        secret = self.get_object()
        given = self.get_serializer(secret, data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        data = dict(given.validated_data)
        value = data.pop("value", None)
        if data:
            secrets.change_secret(by=asker(request), secret=secret, **data)
        if value is not None:
            secrets.replace_secret(by=asker(request), secret=secret, value=value)
        return Response(self.get_serializer(secret).data)

    def destroy(self, request: Request, pk: str) -> Response:
        """Delete a secret that nothing uses."""
        secrets.delete_secret(by=asker(request), secret=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)


class Tokens(Reading):
    """One's own API tokens; a system administrator revokes any, and sees all with `?user=`."""

    needs = {"*": "token.manage_own"}
    queryset = ApiToken.objects.select_related("user")
    serializer_class = TokenSerializer

    def get_queryset(self) -> QuerySet[ApiToken]:
        rows: QuerySet[ApiToken] = super().get_queryset()
        if getattr(self, "swagger_fake_view", False):
            return rows.none()
        user = caller(self.request)
        if not may(user, "user.manage"):
            return rows.filter(user=user)
        if self.action == "list":
            return rows.filter(user__username=self.request.query_params.get("user", user.username))
        return rows

    @extend_schema(request=TokenSerializer, responses={201: NewTokenSerializer})
    def create(self, request: Request) -> Response:
        """Make a token for oneself; its value is in this reply and nowhere else."""
        given = TokenSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        token, value = tokens.mint_token(by=asker(request), user=caller(request), **given.validated_data)
        return Response({**TokenSerializer(token).data, "value": value}, status=status.HTTP_201_CREATED)

    def destroy(self, request: Request, pk: str) -> Response:
        """Revoke a token; it is refused from the next request on."""
        tokens.revoke_token(by=asker(request), token=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)


class AuditFilter(django_filters.FilterSet):
    """What, who, when."""

    since = django_filters.IsoDateTimeFilter("at", "gte")
    until = django_filters.IsoDateTimeFilter("at", "lt")

    class Meta:
        model = AuditEntry
        fields = ["chain", "actor", "action", "object_type", "object_id"]


class Audit(Reading):
    """The audit trail, newest first: managers read that of their tenant, system administrators all (`?chain=`)."""

    needs = {"*": "audit.view"}
    queryset = AuditEntry.objects.none()
    serializer_class = AuditEntrySerializer
    filterset_class = AuditFilter

    def get_queryset(self) -> QuerySet[AuditEntry]:
        if getattr(self, "swagger_fake_view", False):
            return AuditEntry.objects.none()
        return visible_audit(caller(self.request), self.request.tenant)  # type: ignore[attr-defined]


routes: list[tuple[str, type, str]] = [
    ("me", Me, "me"),
    ("users", Users, "user"),
    ("groups", Groups, "group"),
    ("tenants", Tenants, "tenant"),
    ("memberships", Memberships, "membership"),
    ("permissions", Permissions, "permission"),
    ("secrets", Secrets, "secret"),
    ("tokens", Tokens, "token"),
    ("audit", Audit, "audit"),
]
