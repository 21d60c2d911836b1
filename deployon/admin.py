"""Django's admin over services and rollouts; what a rollout itself writes is read-only."""

from __future__ import annotations

from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest

from accounts.actors import Actor
from accounts.admin import AuditedAdmin, ReadOnlyAdmin
from deployon import catalogue
from deployon.models import Placement, Preview, Rollout, Scan, Service, ServiceVersion, StartKey, Target


@admin.register(Service)
class ServiceAdmin(AuditedAdmin):
    """Services are made by registering a first version; here they are described and removed."""

    list_display = ["name", "tenant", "description", "created_by", "created_at"]
    list_filter = ["tenant"]
    list_select_related = ["tenant", "created_by"]
    search_fields = ["name", "description"]
    fields = ("name", "tenant", "description", "created_by", "created_at")
    readonly_fields = tuple(name for name in fields if name != "description")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def change(self, by: Actor, row: Service, form: ModelForm) -> Service:
        stored = Service.objects.select_related("tenant").get(pk=row.pk)
        return catalogue.describe_service(by=by, service=stored, description=form.cleaned_data["description"])

    def remove(self, by: Actor, row: Service) -> None:
        catalogue.delete_service(by=by, service=row)


@admin.register(ServiceVersion)
class ServiceVersionAdmin(ReadOnlyAdmin):
    """Versions: their content never changes."""

    list_display = ["service", "number", "source", "digest", "created_at"]
    list_filter = ["source"]
    list_select_related = ["service"]
    search_fields = ["service__name", "digest"]


@admin.register(Placement)
class PlacementAdmin(ReadOnlyAdmin):
    """Which service stands on which environment."""

    list_display = ["service", "environment", "state", "why", "updated_at"]
    list_filter = ["state", "service"]
    list_select_related = ["service", "environment__deployment"]
    search_fields = ["service__name", "environment__deployment__display_name"]


@admin.register(Preview)
class PreviewAdmin(ReadOnlyAdmin):
    """Previews of the last day."""

    list_display = ["digest", "action", "version", "tenant", "created_by", "created_at"]
    list_select_related = ["version__service", "tenant", "created_by"]
    search_fields = ["digest"]


@admin.register(Rollout)
class RolloutAdmin(ReadOnlyAdmin):
    """Rollouts; they are started and steered by page and API."""

    list_display = ["id", "action", "version", "tenant", "run", "created_by", "created_at"]
    list_filter = ["action", "tenant"]
    list_select_related = ["version__service", "tenant", "run", "created_by"]
    search_fields = ["version__service__name", "digest"]


@admin.register(Target)
class TargetAdmin(ReadOnlyAdmin):
    """One environment in one rollout."""

    list_display = ["rollout", "environment_name", "intent", "attempts", "run"]
    list_filter = ["intent"]
    list_select_related = ["rollout__version__service", "run"]
    search_fields = ["environment_name"]


@admin.register(StartKey)
class StartKeyAdmin(ReadOnlyAdmin):
    """Idempotency keys that started a rollout."""

    list_display = ["key", "tenant", "rollout", "created_at"]
    list_select_related = ["tenant", "rollout__version__service"]
    search_fields = ["key"]


@admin.register(Scan)
class ScanAdmin(ReadOnlyAdmin):
    """What sub-managers listed when they were asked last."""

    list_display = ["environment", "looked_at", "seen_at", "error"]
    list_select_related = ["environment__deployment"]
    search_fields = ["environment__deployment__display_name", "error"]
