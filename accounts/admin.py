"""Django's admin over accounts, and the two base classes that the admin of every app uses: what is saved there is audited."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.auth.models import Group as UnusedGroup
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models, transaction
from django.db.models import ProtectedError, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from accounts import admin_forms, audit, secrets, services, tokens
from accounts.actors import Actor
from accounts.errors import Conflict
from accounts.models import (
    ApiToken,
    AuditChain,
    AuditEntry,
    Group,
    LoginFailure,
    Membership,
    RolePermission,
    Secret,
    Tenant,
    User,
)

REFUSALS = (Conflict, ValidationError, ProtectedError, PermissionDenied)


def words_of(error: Exception) -> str:
    """What a service refused, in one line."""
    if isinstance(error, ValidationError):
        return " ".join(error.messages)
    if isinstance(error, ProtectedError):
        kinds = sorted({str(row._meta.verbose_name_plural) for row in error.protected_objects})
        return f"It is in use by {', '.join(kinds)}. Remove those first."
    return str(error)


class AuditedAdmin(admin.ModelAdmin):
    """Every save and delete leaves an audit entry, in one transaction with the change.

    Where the app has a service, override `create`, `change` or `remove` and call it: the service writes the entry itself.
    Fields that hold secrets are never shown. Only system administrators come here.
    """

    hidden_fields: ClassVar[tuple[str, ...]] = ("ciphertext", "secret_hash", "password")

    # --- what to override ---

    def tenant_of(self, row: Any) -> Tenant | None:
        """Whose audit chain a change of this row belongs to."""
        for _ in range(4):
            tenant = getattr(row, "tenant", None)
            if isinstance(tenant, Tenant):
                return tenant
            names = ("deployment", "service", "rollout", "local", "execution", "environment", "run")
            row = next((found for name in names if (found := getattr(row, name, None)) is not None), None)
        return None

    def create(self, by: Actor, row: Any, form: ModelForm) -> Any:
        """Store a new row; return it. None: this did not write an audit entry, `save_related` shall."""
        row.save()
        return None

    def change(self, by: Actor, row: Any, form: ModelForm) -> Any:
        """Store a changed row; return it where an audit entry was written."""
        row.save()
        return None

    def remove(self, by: Actor, row: Any) -> None:
        """Delete a row and write the audit entry."""
        with transaction.atomic():
            audit.record(
                by=by,
                action=self.action_name("delete"),
                row=row,
                tenant=self.tenant_of(row),
                before=audit.snapshot(row),
            )
            row.delete()

    # --- how it is done ---

    def actor(self, request: HttpRequest) -> Actor:
        """The person at the admin pages."""
        return Actor(user=request.user if isinstance(request.user, User) else None, via="admin")

    def action_name(self, verb: str) -> str:
        """ "secret.create" """
        return f"{self.model._meta.model_name}.{verb}"

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> Any:
        names = {field.name for field in self.opts.get_fields()}
        return [*(super().get_exclude(request, obj) or []), *(name for name in self.hidden_fields if name in names)]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        with transaction.atomic():
            if change:
                form.audit_before = self._told(self.model._base_manager.get(pk=obj.pk))
            store = self.change if change else self.create
            stored = store(self.actor(request), obj, form)
            form.is_audited = stored is not None
            if stored is not None and stored is not obj:
                obj.__dict__.update(stored.__dict__)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        if form.is_audited:
            return  # the service has stored the relations, too
        super().save_related(request, form, formsets, change)
        row = form.instance
        before, after = form.audit_before if change else None, self._told(self.model._base_manager.get(pk=row.pk))
        if before != after:
            action = self.action_name("change" if change else "create")
            audit.record(
                by=self.actor(request), action=action, row=row, tenant=self.tenant_of(row), before=before, after=after
            )

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self.remove(self.actor(request), obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        with transaction.atomic():
            for row in queryset:
                self.remove(self.actor(request), row)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._in_words(request, super().changeform_view, *args, **kwargs)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._in_words(request, super().delete_view, *args, **kwargs)

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._in_words(request, super().changelist_view, *args, **kwargs)

    def _in_words(self, request: HttpRequest, view: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        """What a service refuses is a message above the form, not an error page; nothing of it is stored."""
        if request.method != "POST":
            return view(request, *args, **kwargs)  # type: ignore[no-any-return]
        try:
            with transaction.atomic():
                return view(request, *args, **kwargs)  # type: ignore[no-any-return]
        except REFUSALS as error:
            if isinstance(error, PermissionDenied) and not str(error):
                raise  # the admin's own check
            self.message_user(request, words_of(error), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def _told(self, row: models.Model) -> dict[str, Any]:
        told = audit.snapshot(row)
        for field in row._meta.many_to_many:
            told[field.name] = sorted(str(found) for found in getattr(row, field.name).all())
        return told


class ReadOnlyAdmin(AuditedAdmin):
    """Rows that only the product itself writes: runs, steps, events, audit, states."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(User)
class UserAdmin(AuditedAdmin):
    """Users; a new password is typed, an old one is never shown."""

    form = admin_forms.UserForm
    list_display = ["username", "full_name", "role", "is_active", "last_login"]
    list_filter = ["role", "is_active"]
    search_fields = ["username", "full_name", "email"]
    filter_horizontal = ["groups"]
    readonly_fields = ["last_login", "created_at"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["last_login", "created_at", *(["username"] if obj else [])]

    def create(self, by: Actor, row: User, form: ModelForm) -> User:
        data = form.cleaned_data
        names = ("username", "full_name", "email", "role", "must_change_password", "groups")
        user = services.create_user(by=by, password=data["new_password"], **{name: data[name] for name in names})
        if not data["is_active"]:
            services.change_user(by=by, user=user, is_active=False)
        return user

    def change(self, by: Actor, row: User, form: ModelForm) -> User:
        data = form.cleaned_data
        if data["new_password"]:
            services.set_password(
                by=by, user=row, password=data["new_password"], must_change=data["must_change_password"]
            )
        names = ("full_name", "email", "role", "is_active", "must_change_password", "groups")
        return services.change_user(by=by, user=row, **{name: data[name] for name in names})

    def remove(self, by: Actor, row: User) -> None:
        services.delete_user(by=by, user=row)


@admin.register(Group)
class GroupAdmin(AuditedAdmin):
    """Groups and who is in them."""

    form = admin_forms.GroupForm
    list_display = ["name", "role"]
    search_fields = ["name"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["name"] if obj else []

    def create(self, by: Actor, row: Group, form: ModelForm) -> Group:
        return services.create_group(by=by, **form.cleaned_data)

    def change(self, by: Actor, row: Group, form: ModelForm) -> Group:
        return services.change_group(by=by, group=row, role=form.cleaned_data["role"], users=form.cleaned_data["users"])

    def remove(self, by: Actor, row: Group) -> None:
        services.delete_group(by=by, group=row)


@admin.register(Tenant)
class TenantAdmin(AuditedAdmin):
    """Tenants; a name stays, as it names the audit chain."""

    list_display = ["name", "created_at"]
    search_fields = ["name"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["created_at", *(["name"] if obj else [])]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # there is nothing to change

    def create(self, by: Actor, row: Tenant, form: ModelForm) -> Tenant:
        return services.create_tenant(by=by, name=form.cleaned_data["name"])

    def remove(self, by: Actor, row: Tenant) -> None:
        services.delete_tenant(by=by, tenant=row)


@admin.register(Membership)
class MembershipAdmin(AuditedAdmin):
    """Roles of users and groups in tenants."""

    list_display = ["tenant", "user", "group", "role"]
    list_filter = ["tenant", "role"]
    list_select_related = ["tenant", "user", "group"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["tenant", "user", "group"] if obj else []

    def create(self, by: Actor, row: Membership, form: ModelForm) -> Membership:
        return services.set_membership(by=by, **form.cleaned_data)

    def change(self, by: Actor, row: Membership, form: ModelForm) -> Membership:
        role = form.cleaned_data["role"]
        return services.set_membership(by=by, tenant=row.tenant, user=row.user, group=row.group, role=role)

    def remove(self, by: Actor, row: Membership) -> None:
        services.remove_membership(by=by, membership=row)


@admin.register(RolePermission)
class RolePermissionAdmin(ReadOnlyAdmin):
    """Where roles may otherwise than by default; changed on the page of permissions, which shows whom it hits."""

    list_display = ["action", "role", "is_allowed"]
    list_filter = ["role", "is_allowed"]


@admin.register(Secret)
class SecretAdmin(AuditedAdmin):
    """Secrets; a value is typed in and never shown."""

    form = admin_forms.SecretForm
    list_display = ["name", "tenant", "purpose", "visibility", "updated_at"]
    list_filter = ["tenant", "purpose", "visibility"]
    list_select_related = ["tenant"]
    search_fields = ["name"]
    fields = [
        "tenant",
        "name",
        "purpose",
        "new_value",
        "visibility",
        "is_hidden_value",
        "created_by",
        "created_at",
        "updated_at",
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["created_by", "created_at", "updated_at", *(["tenant", "name", "purpose"] if obj else [])]

    def create(self, by: Actor, row: Secret, form: ModelForm) -> Secret:
        data = dict(form.cleaned_data)
        return secrets.create_secret(by=by, value=data.pop("new_value"), **data)

    def change(self, by: Actor, row: Secret, form: ModelForm) -> Secret:
        data, stored = form.cleaned_data, Secret.objects.get(pk=row.pk)
        secrets.change_secret(
            by=by, secret=stored, visibility=data["visibility"], is_hidden_value=data["is_hidden_value"]
        )
        return secrets.replace_secret(by=by, secret=stored, value=data["new_value"]) if data["new_value"] else stored

    def remove(self, by: Actor, row: Secret) -> None:
        secrets.delete_secret(by=by, secret=row)


@admin.register(ApiToken)
class ApiTokenAdmin(AuditedAdmin):
    """Tokens of all users: to see and to revoke. Each user makes them for himself, as a value is shown once."""

    list_display = ["__str__", "user", "description", "created_at", "expires_at", "last_used_at"]
    list_select_related = ["user"]
    search_fields = ["id", "user__username", "description"]
    readonly_fields = ["id", "user", "created_at", "expires_at", "last_used_at"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def remove(self, by: Actor, row: ApiToken) -> None:
        tokens.revoke_token(by=by, token=row)


@admin.register(LoginFailure)
class LoginFailureAdmin(ReadOnlyAdmin):
    """Wrong passwords of the last quarter of an hour; deleting them lets a person try again at once."""

    list_display = ["at", "username", "address"]
    search_fields = ["username", "address"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_active and isinstance(request.user, User) and request.user.is_sys_admin)


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """The audit trail."""

    list_display = ["at", "chain", "actor", "via", "action", "object_type", "object_name"]
    list_filter = ["action", "chain"]
    search_fields = ["actor", "object_name", "object_id"]
    date_hierarchy = "at"


@admin.register(AuditChain)
class AuditChainAdmin(ReadOnlyAdmin):
    """Heads of the audit chains."""

    list_display = ["__str__", "sequence", "hash"]


if admin.site.is_registered(UnusedGroup):
    admin.site.unregister(UnusedGroup)  # Django's own groups grant nothing here
admin.site.site_header = admin.site.site_title = "DeployOn administration"
