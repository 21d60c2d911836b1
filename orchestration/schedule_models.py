"""Schedules of workflows on one deployment; when they are due is in recurrence, what is done then in schedules."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone


class ExecutionSchedule(models.Model):
    """A workflow that is to run on a deployment, once or by a rule."""

    local = models.ForeignKey("orchestration.LocalDeployment", on_delete=models.CASCADE, related_name="schedules")
    wire_id = models.CharField(max_length=256)  # the `id` of v3.1, unique in its deployment
    workflow = models.CharField(max_length=256)
    parameters = models.JSONField(null=True)
    arguments = models.JSONField(default=dict)  # allow_custom_parameters, force, dry_run, wait_after_fail, queue
    rule = models.JSONField(default=dict)  # {"recurrence", "count", "weekdays"} or {"rrule"}
    since = models.DateTimeField()
    until = models.DateTimeField(null=True)
    slip = models.PositiveIntegerField(default=0)  # minutes
    stop_on_fail = models.BooleanField(default=False)
    is_enabled = models.BooleanField(default=True)
    next_at = models.DateTimeField(null=True, db_index=True)  # None: nothing comes any more
    latest_execution = models.ForeignKey(
        "orchestration.Execution", null=True, on_delete=models.SET_NULL, related_name="schedules"
    )
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["local", "wire_id"], name="schedule_id_per_deployment")]

    def __str__(self) -> str:
        return self.wire_id
