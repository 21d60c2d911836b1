"""Django's admin over runs: to read only; what they do is asked for on their pages."""

from __future__ import annotations

from django.contrib import admin

from accounts.admin import ReadOnlyAdmin
from runs.models import Event, Lease, Plan, Run, Step, Worker


@admin.register(Plan)
class PlanAdmin(ReadOnlyAdmin):
    list_display = ("id", "title", "digest", "created_at")
    search_fields = ("title", "digest")


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    list_display = ("id", "title", "tenant", "state", "why", "created_at", "ended_at")
    list_filter = ("state", "mode", "tenant")
    list_select_related = ("tenant",)
    search_fields = ("title",)


@admin.register(Step)
class StepAdmin(ReadOnlyAdmin):
    list_display = ("id", "run", "title", "operation", "state", "why", "attempt")
    list_filter = ("state", "operation")
    list_select_related = ("run",)
    search_fields = ("title", "operation")


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ("id", "at", "run", "kind", "message")
    list_filter = ("kind",)
    list_select_related = ("run",)
    show_full_result_count = False


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    list_display = ("name", "started_at", "heartbeat_at")


@admin.register(Lease)
class LeaseAdmin(ReadOnlyAdmin):
    list_display = ("name", "worker", "until")
