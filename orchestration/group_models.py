"""Groups of deployments, and workflows run on all members of one: what v3.1 calls deployment groups and execution groups."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.models import Tenant, Visibility
from inventory.models import Deployment
from runs.models import Run

DEFAULT_CONCURRENCY = 5


class DeploymentGroup(models.Model):
    """Deployments under one name, and what new ones in it are made of; membership is a snapshot, never computed."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="deployment_groups")
    wire_id = models.CharField(max_length=256)  # the `id` of v3.1
    description = models.TextField(blank=True)
    default_blueprint = models.ForeignKey(
        "orchestration.Blueprint", null=True, on_delete=models.SET_NULL, related_name="groups"
    )
    default_inputs = models.JSONField(null=True)
    creation_counter = models.PositiveIntegerField(default=0)  # `{count}` of the last deployment made in the group
    labels = models.JSONField(default=list)  # [{"key", "value", "created_at", "created_by"}], copied to members
    members = models.ManyToManyField(Deployment, related_name="deployment_groups")
    visibility = models.CharField(max_length=8, choices=Visibility, default=Visibility.TENANT)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "wire_id"], name="deployment_group_id_per_tenant")]

    def __str__(self) -> str:
        return self.wire_id


class ExecutionGroup(models.Model):
    """One workflow on the members of a deployment group; `run` is the engine's parent of its executions."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="execution_groups")
    deployment_group = models.ForeignKey(
        DeploymentGroup, null=True, on_delete=models.SET_NULL, related_name="execution_groups"
    )
    workflow = models.CharField(max_length=256)
    concurrency = models.PositiveIntegerField(default=DEFAULT_CONCURRENCY)  # 0: nothing more begins
    success_group = models.ForeignKey(DeploymentGroup, null=True, on_delete=models.SET_NULL, related_name="+")
    failure_group = models.ForeignKey(DeploymentGroup, null=True, on_delete=models.SET_NULL, related_name="+")
    run = models.ForeignKey(Run, null=True, on_delete=models.SET_NULL, related_name="execution_groups")
    visibility = models.CharField(max_length=8, choices=Visibility, default=Visibility.TENANT)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.workflow} {self.id}"
