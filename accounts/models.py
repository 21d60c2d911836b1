"""Users, groups, tenants and what they may; API tokens, secrets and the audit trail. Rules that span rows live in services."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.utils import timezone

from accounts.audit_models import AuditChain as AuditChain
from accounts.audit_models import AuditEntry as AuditEntry


class SystemRole(models.TextChoices):
    """What a user is in the whole installation; exactly one each."""

    SYS_ADMIN = "sys_admin", "System administrator"
    DEFAULT = "default", "User"


class TenantRole(models.TextChoices):
    """What a user or a group is in one tenant."""

    MANAGER = "manager", "Manager"
    USER = "user", "User"
    OPERATIONS = "operations", "Operations"
    VIEWER = "viewer", "Viewer"


class Visibility(models.TextChoices):
    """Who sees a resource; it can only widen."""

    PRIVATE = "private", "Private"
    TENANT = "tenant", "Tenant"
    GLOBAL = "global", "Global"


class UserManager(BaseUserManager["User"]):
    """Finds users by name; rows are made by accounts.services.create_user."""

    def create_superuser(self, username: str, password: str, **extra: Any) -> User:
        """For Django's own `createsuperuser` command."""
        user = self.model(username=username, role=SystemRole.SYS_ADMIN, **extra)
        user.set_password(password)
        user.save(using=self._db)
        return user


class Group(models.Model):
    """Several users who get roles together."""

    name = models.CharField(max_length=256, unique=True)
    role = models.CharField(max_length=16, choices=SystemRole, default=SystemRole.DEFAULT)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class User(AbstractBaseUser):
    """A person, or a program acting for one, who signs in here."""

    username = models.CharField(max_length=256, unique=True)
    full_name = models.CharField(max_length=256, blank=True)
    email = models.EmailField(blank=True)
    role = models.CharField(max_length=16, choices=SystemRole, default=SystemRole.DEFAULT)
    is_active = models.BooleanField(default=True)
    must_change_password = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    groups = models.ManyToManyField(Group, blank=True, related_name="users")

    objects: ClassVar[UserManager] = UserManager()
    USERNAME_FIELD = "username"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    # What accounts.roles.remember_access read for the length of one request; None: ask the database each time.
    access: Any = None

    class Meta:
        ordering = ["username"]

    @property
    def is_sys_admin(self) -> bool:
        """Also through a group that has the system role."""
        if self.access is not None:
            return bool(self.access.is_sys_admin)
        if self.role == SystemRole.SYS_ADMIN:
            return True
        return self.pk is not None and self.groups.filter(role=SystemRole.SYS_ADMIN).exists()

    # What django.contrib.admin asks of a user: the admin site is for system administrators only.
    @property
    def is_staff(self) -> bool:
        return self.is_sys_admin

    @property
    def is_superuser(self) -> bool:
        return self.is_sys_admin

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        return self.is_active and self.is_sys_admin

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_active and self.is_sys_admin


class Tenant(models.Model):
    """The owner of resources here; `default_tenant` always exists."""

    DEFAULT = "default_tenant"
    name = models.CharField(max_length=256, unique=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """A role of one user, or of one group, in one tenant."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, null=True, blank=True, on_delete=models.CASCADE, related_name="memberships")
    group = models.ForeignKey(Group, null=True, blank=True, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=TenantRole)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "user"], name="one_role_per_user_and_tenant"),
            models.UniqueConstraint(fields=["tenant", "group"], name="one_role_per_group_and_tenant"),
            models.CheckConstraint(
                condition=models.Q(user__isnull=False, group__isnull=True)
                | models.Q(user__isnull=True, group__isnull=False),
                name="membership_of_a_user_or_a_group",
            ),
        ]
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.user or self.group} is {self.role} in {self.tenant}"


class RolePermission(models.Model):
    """Where a role may otherwise than accounts.roles.ACTIONS says: no row, no difference."""

    role = models.CharField(max_length=16, choices=TenantRole)
    action = models.CharField(max_length=64)  # a key of accounts.roles.ACTIONS
    is_allowed = models.BooleanField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["role", "action"], name="one_answer_per_role_and_action")]
        ordering = ["action", "role"]

    def __str__(self) -> str:
        return f"{self.role}: {self.action}"


class Secret(models.Model):
    """A sealed value: to reach something (credential) or for blueprints; only accounts.vault opens it."""

    class Purpose(models.TextChoices):
        CREDENTIAL = "credential", "Credential (never read back)"
        BLUEPRINT = "blueprint", "For blueprints"

    # The id is part of what is authenticated when sealing, hence known before the row is written.
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="secrets")
    name = models.CharField(max_length=256)
    purpose = models.CharField(max_length=16, choices=Purpose, default=Purpose.CREDENTIAL)
    ciphertext = models.BinaryField(editable=False)
    key_id = models.CharField(max_length=16, editable=False)  # which vault key wrapped it
    visibility = models.CharField(max_length=8, choices=Visibility, default=Visibility.TENANT)
    is_hidden_value = models.BooleanField(default=False)
    schema = models.JSONField(null=True, blank=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="secret_name_per_tenant")]
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ApiToken(models.Model):
    """A token of one user: `ctok-<id>-<secret>`, shown once, kept as a hash."""

    id = models.CharField(primary_key=True, max_length=10)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    secret_hash = models.CharField(max_length=64, editable=False)
    description = models.CharField(max_length=256, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"ctok-{self.id}-********"

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()


class LoginFailure(models.Model):
    """A wrong password, kept for the throttle and for the person who asks why."""

    username = models.CharField(max_length=256, db_index=True)
    address = models.CharField(max_length=64)
    at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.username} from {self.address}"
