"""Blueprints, what was deployed from them here, and their executions; served as /api/v3.1, run by the runner."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.models import Tenant, Visibility
from inventory.models import Archive, Deployment
from orchestration.dependency_models import Dependency
from orchestration.digests import digest_of
from orchestration.filter_models import BlueprintFilter
from orchestration.group_models import DeploymentGroup, ExecutionGroup
from orchestration.scaling_models import Modification
from orchestration.schedule_models import ExecutionSchedule
from orchestration.update_models import DeploymentUpdate
from runs.models import Run
from runs.states import StateRow

__all__ = [
    "Blueprint",
    "BlueprintFilter",
    "BlueprintNode",
    "Dependency",
    "DeploymentGroup",
    "DeploymentUpdate",
    "Execution",
    "ExecutionEvent",
    "ExecutionGroup",
    "ExecutionSchedule",
    "LocalDeployment",
    "Modification",
    "NodeInstance",
    "StoredOperation",
    "TaskGraph",
]


class Blueprint(StateRow):
    """An uploaded blueprint and the plan that was read from it; its content never changes."""

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        UPLOADING = "uploading", "Uploading"
        EXTRACTING = "extracting", "Extracting"
        PARSING = "parsing", "Parsing"
        UPLOADED = "uploaded", "Uploaded"
        FAILED_UPLOADING = "failed_uploading", "Failed uploading"
        FAILED_EXTRACTING = "failed_extracting", "Failed extracting"
        FAILED_PARSING = "failed_parsing", "Failed parsing"
        INVALID = "invalid", "Invalid"

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="blueprints")
    wire_id = models.CharField(max_length=256)  # the `id` of v3.1
    archive = models.ForeignKey(Archive, null=True, on_delete=models.PROTECT, related_name="+")
    main_file = models.CharField(max_length=256, default="blueprint.yaml")
    description = models.TextField(blank=True)
    state = models.CharField(max_length=20, choices=State, default=State.PENDING)
    error = models.TextField(blank=True)
    plan = models.JSONField(null=True)  # as the parser made it
    labels = models.JSONField(default=list)  # [{"key", "value", "created_at", "created_by"}]
    visibility = models.CharField(max_length=8, choices=Visibility, default=Visibility.TENANT)
    is_hidden = models.BooleanField(default=False)
    upload_execution = models.CharField(max_length=36, null=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "wire_id"], name="blueprint_id_per_tenant")]

    @property
    def requirements(self) -> Any:
        """What a deployment will need: secrets, capabilities of a parent; null until it is parsed."""
        return self.plan.get("requirements") if self.plan else None

    def __str__(self) -> str:
        return self.wire_id


class LocalDeployment(models.Model):
    """What was deployed from a blueprint on this installation; lists and labels are those of its inventory.Deployment."""

    deployment = models.OneToOneField(Deployment, on_delete=models.CASCADE, related_name="local")
    blueprint = models.ForeignKey(Blueprint, on_delete=models.PROTECT, related_name="deployments")
    inputs = models.JSONField(null=True)  # None until the environment is created
    given_inputs = models.JSONField(default=dict)  # as asked for, before defaults
    plan = models.JSONField(null=True)  # prepared: without nodes and instances, which are rows
    plan_digest = digest_of("plan")  # mostly that of others: lists read each plan once
    secret_names = models.JSONField(default=list)  # the only secrets its operations may be given
    runtime_only_evaluation = models.BooleanField(default=False)
    create_execution = models.CharField(max_length=36, null=True)

    def __str__(self) -> str:
        return self.deployment.wire_id


class Execution(StateRow):
    """One run of a workflow, as v3.1 speaks of it; `run` is the engine's side of it."""

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        QUEUED = "queued", "Queued"
        SCHEDULED = "scheduled", "Scheduled"
        STARTED = "started", "Started"
        CANCELLING = "cancelling", "Cancelling"
        FORCE_CANCELLING = "force_cancelling", "Force-cancelling"
        KILL_CANCELLING = "kill_cancelling", "Kill-cancelling"
        TERMINATED = "terminated", "Completed"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    FINAL = frozenset({State.TERMINATED, State.FAILED, State.CANCELLED})

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="executions")
    local = models.ForeignKey(LocalDeployment, null=True, on_delete=models.CASCADE, related_name="executions")
    blueprint = models.ForeignKey(Blueprint, null=True, on_delete=models.SET_NULL, related_name="executions")
    workflow = models.CharField(max_length=256)
    parameters = models.JSONField(default=dict)
    state = models.CharField(max_length=20, choices=State, default=State.PENDING)
    error = models.TextField(blank=True)
    is_system = models.BooleanField(default=False)
    is_dry_run = models.BooleanField(default=False)
    is_forced = models.BooleanField(default=False)
    is_resume = models.BooleanField(default=False)
    allow_custom_parameters = models.BooleanField(default=False)
    wait_after_fail = models.PositiveIntegerField(default=600)
    total_operations = models.PositiveIntegerField(default=0)
    finished_operations = models.PositiveIntegerField(default=0)
    visibility = models.CharField(max_length=8, choices=Visibility, default=Visibility.TENANT)
    run = models.ForeignKey(Run, null=True, on_delete=models.SET_NULL, related_name="executions")
    group = models.ForeignKey(ExecutionGroup, null=True, on_delete=models.SET_NULL, related_name="executions")
    held_by = models.CharField(max_length=128, blank=True)  # host and process that run the child at present
    heartbeat_at = models.DateTimeField(null=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["tenant", "-created_at"])]
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.workflow} {self.id}"


class BlueprintNode(models.Model):
    """A node template of one local deployment."""

    local = models.ForeignKey(LocalDeployment, on_delete=models.CASCADE, related_name="nodes")
    name = models.CharField(max_length=256)
    type = models.CharField(max_length=256)
    body = models.JSONField()  # everything else of a node: properties, operations, relationships, numbers of instances

    class Meta:
        constraints = [models.UniqueConstraint(fields=["local", "name"], name="node_name_per_deployment")]
        ordering = ["id"]

    def __str__(self) -> str:
        return self.name


class NodeInstance(models.Model):
    """An instance of a node and its runtime properties; `version` is the optimistic lock of v3.1."""

    local = models.ForeignKey(LocalDeployment, on_delete=models.CASCADE, related_name="instances")
    node = models.ForeignKey(BlueprintNode, on_delete=models.CASCADE, related_name="instances")
    wire_id = models.CharField(max_length=256)
    host_id = models.CharField(max_length=256, null=True)
    index = models.PositiveIntegerField(default=1)
    state = models.CharField(max_length=32, default="uninitialized")
    runtime_properties = models.JSONField(default=dict)
    system_properties = models.JSONField(default=dict)
    has_drift = models.BooleanField(default=False)  # what drift.is_drifted says of them
    relationships = models.JSONField(default=list)
    scaling_groups = models.JSONField(default=list)
    version = models.PositiveIntegerField(default=1)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["local", "wire_id"], name="instance_id_per_deployment")]
        indexes = [models.Index(fields=["local"], name="drifted_instances", condition=models.Q(has_drift=True))]
        ordering = ["id"]

    def __str__(self) -> str:
        return self.wire_id


class TaskGraph(models.Model):
    """A stored graph of an execution, from which it is resumed."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    execution = models.ForeignKey(Execution, on_delete=models.CASCADE, related_name="graphs")
    name = models.CharField(max_length=256)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.name


class StoredOperation(models.Model):
    """One task of a stored graph."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    graph = models.ForeignKey(TaskGraph, on_delete=models.CASCADE, related_name="operations")
    position = models.PositiveIntegerField(default=0)
    name = models.CharField(max_length=512, blank=True)
    type = models.CharField(max_length=128)
    state = models.CharField(max_length=32)
    dependencies = models.JSONField(default=list)
    parameters = models.JSONField(default=dict)  # holds functions, never values of secrets
    result = models.JSONField(null=True)
    exception = models.TextField(blank=True)

    class Meta:
        indexes = [models.Index(fields=["graph", "position"])]

    def __str__(self) -> str:
        return self.name


class ExecutionEvent(models.Model):
    """An event or a log line of an execution, or of a group of them, as v3.1 lists them."""

    class Kind(models.TextChoices):
        EVENT = "cloudify_event", "Event"
        LOG = "cloudify_log", "Log"

    id = models.BigAutoField(primary_key=True)  # `_storage_id`
    execution = models.ForeignKey(Execution, null=True, on_delete=models.CASCADE, related_name="events")
    group = models.ForeignKey(ExecutionGroup, null=True, on_delete=models.CASCADE, related_name="events")  # or this
    kind = models.CharField(max_length=16, choices=Kind)
    timestamp = models.DateTimeField()
    reported_at = models.DateTimeField(default=timezone.now)
    event_type = models.CharField(max_length=64, blank=True)
    level = models.CharField(max_length=16, blank=True)
    logger = models.CharField(max_length=128, blank=True)
    message = models.TextField(blank=True)
    error_causes = models.JSONField(null=True)
    operation = models.CharField(max_length=256, blank=True)
    node_name = models.CharField(max_length=256, blank=True)
    node_instance_id = models.CharField(max_length=256, blank=True)
    source_id = models.CharField(max_length=256, blank=True)
    target_id = models.CharField(max_length=256, blank=True)

    class Meta:
        indexes = [models.Index(fields=["execution", "reported_at", "id"])]
        ordering = ["reported_at", "id"]

    def __str__(self) -> str:
        return self.message
