"""Plans, runs, their steps and events. What a step does is an operation (runs.operations); how a run goes on is the engine."""
from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.models import Tenant
from runs.states import ACTIVE_RUN_STATES, LOOKS, RunState, StateRow, StepState


class Plan(models.Model):
    """Operations in stages and lanes, as shown before Start and as carried out; never changed once stored."""

    title = models.CharField(max_length=256)
    # [{"title": str, "lanes": [{"title": str, "operations": [{"key": str, "args": {...}, "describe": str}]}]}]
    stages = models.JSONField()
    digest = models.CharField(max_length=64)  # SHA-256 of the canonical JSON of title and stages; Start must name it
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.title} ({self.digest[:12]})"


class Run(StateRow):
    """A stored plan at work, or the parent of many runs."""

    class Mode(models.TextChoices):
        APPLY = "apply", "Apply"
        CHECK = "check", "Check only"

    title = models.CharField(max_length=256)
    plan = models.ForeignKey(Plan, null=True, on_delete=models.PROTECT, related_name="runs")  # a parent has none
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="runs")
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    mode = models.CharField(max_length=8, choices=Mode, default=Mode.APPLY)
    lock = models.CharField(max_length=128, blank=True)  # "environment:12"; one active run per lock
    parent = models.ForeignKey("self", null=True, on_delete=models.CASCADE, related_name="children")
    position = models.PositiveIntegerField(default=0)  # order among the children of one parent
    state = models.CharField(max_length=12, choices=RunState, default=RunState.HELD)
    why = models.CharField(max_length=512, blank=True)  # what it waits for and who can unblock it, or why it failed
    cause = models.CharField(max_length=32, blank=True)  # kind of failure, for grouping: unreachable, credential, ...
    attempt = models.PositiveIntegerField(default=1)  # fencing token: a worker with an older one leaves
    is_cancel_requested = models.BooleanField(default=False)
    is_pause_requested = models.BooleanField(default=False)
    max_parallel = models.PositiveIntegerField(default=0)  # parents: children at once; 0: no limit
    failure_budget = models.PositiveIntegerField(null=True)  # parents: failures that are allowed; None: no limit
    heartbeat_at = models.DateTimeField(null=True)
    next_look_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["lock"],
                condition=models.Q(state__in=sorted(ACTIVE_RUN_STATES)) & ~models.Q(lock=""),
                name="one_active_run_per_lock",
            ),
            models.UniqueConstraint(
                fields=["parent", "position"], condition=models.Q(parent__isnull=False), name="position_in_parent"
            ),
        ]
        indexes = [
            models.Index(fields=["state", "next_look_at"], name="run_due"),
            models.Index(fields=["parent", "state"], name="run_children"),
            models.Index(fields=["tenant", "-id"], name="run_list"),
        ]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"R-{self.pk} {self.title}"

    @property
    def look(self) -> tuple[str, str]:
        return LOOKS[self.state]

    def record_move(self, before: str, to: str) -> None:
        Event.objects.create(
            run_id=self.pk, top_id=self.parent_id or self.pk, kind=f"run.{to}", message=self.why or str(RunState(to).label)
        )


class Step(StateRow):
    """One operation of a plan in one run."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="steps")
    stage = models.PositiveIntegerField()
    lane = models.PositiveIntegerField()
    position = models.PositiveIntegerField()
    operation = models.CharField(max_length=128)  # registered key, see runs.operations
    args = models.JSONField()  # ids and names, never a secret
    title = models.CharField(max_length=256)  # the operation's describe() when planned
    state = models.CharField(max_length=12, choices=StepState, default=StepState.PENDING)
    why = models.CharField(max_length=512, blank=True)
    cause = models.CharField(max_length=32, blank=True)
    attempt = models.PositiveIntegerField(default=0)  # how often it was begun
    memory = models.JSONField(default=dict)  # what the operation remembers between looks: ids and counts, never a secret
    next_look_at = models.DateTimeField(null=True)
    deadline_at = models.DateTimeField(null=True)  # of the present wait
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "stage", "lane", "position"], name="step_position_in_run")
        ]
        indexes = [models.Index(fields=["state", "next_look_at"], name="step_due")]
        ordering = ["stage", "lane", "position"]

    def __str__(self) -> str:
        return self.title

    @property
    def look(self) -> tuple[str, str]:
        return LOOKS[self.state]

    def record_move(self, before: str, to: str) -> None:
        Event.objects.create(
            run_id=self.run_id,
            top_id=Run.objects.values_list("parent_id", flat=True).get(pk=self.run_id) or self.run_id,
            step_id=self.pk,
            kind=f"step.{to}",
            message=f"{self.title}: {self.why}" if self.why else self.title,
        )


class Event(models.Model):
    """Something that happened in a run; append-only, read by cursor (`id`)."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="events")
    top = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="tail")  # the parent, or the run itself
    step = models.ForeignKey(Step, null=True, on_delete=models.CASCADE, related_name="events")
    kind = models.CharField(max_length=64)  # run.<state>, step.<state>, message, warning, progress, ...
    message = models.TextField(blank=True)
    data: models.JSONField[Any, Any] = models.JSONField(default=dict)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [models.Index(fields=["top", "id"], name="event_tail"), models.Index(fields=["run", "id"], name="event_run")]
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.at:%H:%M:%S} {self.kind} {self.message}"
