"""Django's admin over blueprints, deployments made here and their executions; what the product itself writes is read-only."""

from __future__ import annotations

from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest

from accounts.actors import Actor
from accounts.admin import AuditedAdmin, ReadOnlyAdmin
from orchestration import blueprints
from orchestration.models import (
    Blueprint,
    BlueprintFilter,
    BlueprintNode,
    Dependency,
    DeploymentGroup,
    DeploymentUpdate,
    Execution,
    ExecutionEvent,
    ExecutionGroup,
    ExecutionSchedule,
    LocalDeployment,
    Modification,
    NodeInstance,
    StoredOperation,
    TaskGraph,
)


@admin.register(Blueprint)
class BlueprintAdmin(AuditedAdmin):
    """Blueprints are made by uploading; here they are described and removed."""

    list_display = ["wire_id", "tenant", "state", "visibility", "main_file", "created_by", "created_at"]
    list_filter = ["state", "visibility", "tenant"]
    list_select_related = ["tenant", "created_by"]
    search_fields = ["wire_id", "description"]
    fields = (
        "wire_id",
        "tenant",
        "state",
        "error",
        "description",
        "visibility",
        "main_file",
        "labels",
        "archive",
        "created_by",
        "created_at",
        "updated_at",
    )
    readonly_fields = tuple(name for name in fields if name != "description")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def change(self, by: Actor, row: Blueprint, form: ModelForm) -> Blueprint:
        stored = Blueprint.objects.select_related("tenant").get(pk=row.pk)
        blueprints.describe(by=by, blueprint=stored, description=form.cleaned_data["description"])
        return stored

    def remove(self, by: Actor, row: Blueprint) -> None:
        blueprints.delete(by=by, blueprint=row, force=True)


@admin.register(LocalDeployment)
class LocalDeploymentAdmin(ReadOnlyAdmin):
    """What was deployed here."""

    list_display = ["deployment", "blueprint"]
    list_select_related = ["deployment", "blueprint"]
    search_fields = ["deployment__wire_id", "blueprint__wire_id"]


@admin.register(BlueprintFilter)
class BlueprintFilterAdmin(ReadOnlyAdmin):
    """Saved filters of blueprints; made, changed and removed through v3.1, which checks their rules."""

    list_display = ["name", "tenant", "visibility", "updated_at"]
    list_filter = ["tenant"]
    list_select_related = ["tenant"]
    search_fields = ["name"]


@admin.register(Dependency)
class DependencyAdmin(ReadOnlyAdmin):
    """Which deployment depends on which; the deployments make and end them."""

    list_display = ["source", "target", "creator", "created_at"]
    list_select_related = ["source", "target"]
    search_fields = ["source__wire_id", "target__wire_id"]


@admin.register(Execution)
class ExecutionAdmin(ReadOnlyAdmin):
    """Executions; they are started and steered through v3.1."""

    list_display = ["id", "workflow", "local", "tenant", "state", "created_by", "created_at", "ended_at"]
    list_filter = ["state", "tenant"]
    list_select_related = ["local__deployment", "tenant", "created_by"]
    search_fields = ["workflow", "local__deployment__wire_id"]


@admin.register(DeploymentGroup)
class DeploymentGroupAdmin(ReadOnlyAdmin):
    """Groups of deployments; they are filled and changed through v3.1."""

    list_display = ["wire_id", "tenant", "default_blueprint", "creation_counter", "created_by", "created_at"]
    list_filter = ["tenant"]
    list_select_related = ["tenant", "default_blueprint", "created_by"]
    search_fields = ["wire_id", "description"]


@admin.register(ExecutionGroup)
class ExecutionGroupAdmin(ReadOnlyAdmin):
    """Workflows on groups; they are started and steered through v3.1."""

    list_display = ["id", "workflow", "deployment_group", "tenant", "concurrency", "created_by", "created_at"]
    list_filter = ["tenant"]
    list_select_related = ["deployment_group", "tenant", "created_by"]
    search_fields = ["workflow", "deployment_group__wire_id"]


@admin.register(DeploymentUpdate)
class DeploymentUpdateAdmin(ReadOnlyAdmin):
    """Updates; they are asked for through v3.1."""

    list_display = ["wire_id", "local", "state", "old_blueprint", "new_blueprint", "created_by", "created_at"]
    list_filter = ["state"]
    list_select_related = ["local__deployment", "old_blueprint", "new_blueprint", "created_by"]
    search_fields = ["wire_id"]


@admin.register(Modification)
class ModificationAdmin(ReadOnlyAdmin):
    """Modifications; the workflow `scale` makes and ends them."""

    list_display = ["id", "local", "state", "created_by", "created_at", "ended_at"]
    list_filter = ["state"]
    list_select_related = ["local__deployment", "created_by"]
    search_fields = ["local__deployment__wire_id"]


@admin.register(ExecutionSchedule)
class ExecutionScheduleAdmin(ReadOnlyAdmin):
    """Schedules; they are made and changed through v3.1."""

    list_display = ["wire_id", "local", "workflow", "next_at", "is_enabled", "created_by", "created_at"]
    list_filter = ["is_enabled"]
    list_select_related = ["local__deployment", "created_by"]
    search_fields = ["wire_id", "workflow", "local__deployment__wire_id"]


@admin.register(ExecutionEvent)
class ExecutionEventAdmin(ReadOnlyAdmin):
    """What executions said."""

    list_display = ["reported_at", "kind", "event_type", "level", "message", "node_instance_id"]
    list_filter = ["kind", "event_type", "level"]
    search_fields = ["message"]


@admin.register(BlueprintNode)
class BlueprintNodeAdmin(ReadOnlyAdmin):
    """Node templates of deployments."""

    list_display = ["name", "type", "local"]
    list_select_related = ["local__deployment"]
    search_fields = ["name", "type"]


@admin.register(NodeInstance)
class NodeInstanceAdmin(ReadOnlyAdmin):
    """Instances of nodes."""

    list_display = ["wire_id", "node", "local", "state", "version"]
    list_select_related = ["node", "local__deployment"]
    list_filter = ["state"]
    search_fields = ["wire_id"]


@admin.register(TaskGraph)
class TaskGraphAdmin(ReadOnlyAdmin):
    """Stored graphs of executions."""

    list_display = ["name", "execution", "created_at"]
    search_fields = ["name"]


@admin.register(StoredOperation)
class StoredOperationAdmin(ReadOnlyAdmin):
    """Tasks of stored graphs."""

    list_display = ["name", "type", "state", "graph"]
    list_filter = ["state", "type"]
    search_fields = ["name"]
