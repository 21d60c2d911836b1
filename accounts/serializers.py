"""How accounts look in /api/v1. Values of secrets and tokens go in, or out once, and are never read back."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from rest_framework import serializers

from accounts.models import (
    ApiToken,
    AuditEntry,
    Group,
    Membership,
    Secret,
    SystemRole,
    Tenant,
    TenantRole,
    User,
    Visibility,
)


class UserSerializer(serializers.ModelSerializer):
    """A user; the password only goes in."""

    password = serializers.CharField(write_only=True, max_length=256, trim_whitespace=False, required=False)
    groups = serializers.SlugRelatedField(slug_field="name", many=True, queryset=Group.objects.all(), required=False)

    class Meta:
        model = User
        fields = [
            "id", "username", "password", "full_name", "email", "role", "is_active", "must_change_password", "groups",
            "last_login", "created_at",
        ]  # fmt: skip
        read_only_fields = ["last_login", "created_at"]
        extra_kwargs: dict[str, Any] = {"username": {"validators": []}}  # services.create_user says whether it is free

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if self.instance is None and not attrs.get("password"):
            raise serializers.ValidationError({"password": "Give the user a first password."})
        if self.instance is not None and attrs.pop("username", self.instance.username) != self.instance.username:
            raise serializers.ValidationError(
                {"username": "A name stays: it is in the audit trail. Make another user instead."}
            )
        return attrs


class GroupSerializer(serializers.ModelSerializer):
    """A group and who is in it."""

    users = serializers.SlugRelatedField(slug_field="username", many=True, queryset=User.objects.all(), required=False)

    class Meta:
        model = Group
        fields = ["id", "name", "role", "users"]
        extra_kwargs: dict[str, Any] = {"name": {"validators": []}}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if self.instance is not None and attrs.pop("name", self.instance.name) != self.instance.name:
            raise serializers.ValidationError({"name": "A name stays. Make another group instead."})
        return attrs


class TenantSerializer(serializers.ModelSerializer):
    """A tenant."""

    class Meta:
        model = Tenant
        fields = ["id", "name", "created_at"]
        read_only_fields = ["created_at"]
        extra_kwargs: dict[str, Any] = {"name": {"validators": []}}


class MembershipSerializer(serializers.ModelSerializer):
    """A role of one user, or of one group, in one tenant; all by name."""

    tenant = serializers.SlugRelatedField(slug_field="name", queryset=Tenant.objects.all())
    user = serializers.SlugRelatedField(
        slug_field="username", queryset=User.objects.all(), required=False, allow_null=True
    )
    group = serializers.SlugRelatedField(
        slug_field="name", queryset=Group.objects.all(), required=False, allow_null=True
    )
    role = serializers.ChoiceField(choices=TenantRole.choices)

    class Meta:
        model = Membership
        fields = ["id", "tenant", "user", "group", "role"]
        validators: list[Any] = []  # giving a role again is no mistake


class SecretSerializer(serializers.ModelSerializer):
    """A secret without its value, which only goes in."""

    value = serializers.CharField(write_only=True, trim_whitespace=False, allow_blank=True, required=False)
    has_value = serializers.SerializerMethodField()
    tenant: serializers.SlugRelatedField = serializers.SlugRelatedField(slug_field="name", read_only=True)
    created_by: serializers.SlugRelatedField = serializers.SlugRelatedField(slug_field="username", read_only=True)
    visibility = serializers.ChoiceField(choices=Visibility.choices, required=False)

    class Meta:
        model = Secret
        fields = [
            "id", "tenant", "name", "purpose", "value", "has_value", "visibility", "is_hidden_value", "schema", "created_by",
            "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = ["created_at", "updated_at"]

    def get_has_value(self, secret: Secret) -> bool:
        """Always: a secret without a value is not stored."""
        return bool(secret.key_id)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if self.instance is None and "value" not in attrs:
            raise serializers.ValidationError({"value": "Give the secret a value."})
        if self.instance is not None:
            for fixed in ("name", "purpose", "schema"):
                if attrs.pop(fixed, getattr(self.instance, fixed)) != getattr(self.instance, fixed):
                    raise serializers.ValidationError(
                        {fixed: "This stays as it was made. Make another secret instead."}
                    )
        return attrs


class TokenSerializer(serializers.ModelSerializer):
    """A token without its value."""

    user: serializers.SlugRelatedField = serializers.SlugRelatedField(slug_field="username", read_only=True)
    is_expired = serializers.BooleanField(read_only=True)

    class Meta:
        model = ApiToken
        fields = ["id", "user", "description", "created_at", "expires_at", "is_expired", "last_used_at"]
        read_only_fields = ["id", "created_at", "last_used_at"]

    def validate_expires_at(self, at: Any) -> Any:
        if at is not None and at <= timezone.now():
            raise serializers.ValidationError(
                "This time has passed. Choose one in the future, or none for a token that does not expire."
            )
        return at


class NewTokenSerializer(TokenSerializer):
    """The reply to making a token: the only time that its value is told."""

    value = serializers.CharField(read_only=True, help_text="Shown once: keep it now.")

    class Meta(TokenSerializer.Meta):
        fields = [*TokenSerializer.Meta.fields, "value"]


class AuditEntrySerializer(serializers.ModelSerializer):
    """One change that a person or a token asked for."""

    class Meta:
        model = AuditEntry
        fields = [
            "id", "chain", "sequence", "at", "actor", "via", "action", "object_type", "object_id", "object_name", "before",
            "after", "previous_hash", "hash",
        ]  # fmt: skip


class TenantRolesSerializer(serializers.Serializer):
    """What the caller is in one tenant."""

    tenant = serializers.CharField()
    roles = serializers.ListField(child=serializers.ChoiceField(choices=TenantRole.choices))


class MeSerializer(serializers.Serializer):
    """Who is calling, where, and what that allows."""

    username = serializers.CharField()
    full_name = serializers.CharField()
    role = serializers.ChoiceField(choices=SystemRole.choices)
    is_sys_admin = serializers.BooleanField()
    must_change_password = serializers.BooleanField()
    tenant = serializers.CharField(allow_null=True, help_text="where this request acts")
    tenants = TenantRolesSerializer(many=True)
    actions = serializers.ListField(child=serializers.CharField(), help_text="what is allowed in that tenant")


class PasswordSerializer(serializers.Serializer):
    """Changing one's own password."""

    old = serializers.CharField(write_only=True, trim_whitespace=False)
    new = serializers.CharField(write_only=True, trim_whitespace=False, max_length=256)
