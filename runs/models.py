"""Plans, runs, their steps and events. What a step does is an operation (runs.operations); how a run goes on is the engine."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.models import Tenant
from runs.pokes import poke_after_commit
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
    attempt = models.PositiveIntegerField(default=1)  # one more each time it is handed on from a dead worker or resumed
    is_cancel_requested = models.BooleanField(default=False)
    is_pause_requested = models.BooleanField(default=False)
    request = models.CharField(max_length=256, blank=True)  # who asked to pause or cancel: the beginning of `why` then
    max_parallel = models.PositiveIntegerField(default=0)  # parents: children at once; 0: no limit
    failure_budget = models.PositiveIntegerField(null=True)  # parents: failures that are allowed; None: no limit
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
            models.Index(
                fields=["lock"], condition=models.Q(state=RunState.HELD) & ~models.Q(lock=""), name="run_held_by_lock"
            ),
        ]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"R-{self.pk} {self.title}"

    @property
    def look(self) -> tuple[str, str]:
        return LOOKS[self.state]

    @property
    def is_parent(self) -> bool:
        """Has children in place of steps."""
        return self.plan_id is None and self.parent_id is None

    @property
    def top_id(self) -> int:
        """The run under whose id events are tailed: the parent, or the run itself."""
        return self.parent_id or self.pk

    def record_move(self, before: str, to: str) -> None:
        Event.objects.create(
            run_id=self.pk, top_id=self.top_id, kind=f"run.{to}", message=self.why or str(RunState(to).label)
        )
        poke_after_commit({self.top_id})


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
    # How often it was begun. The fencing token: a worker that wakes up late finds another one here, and leaves.
    attempt = models.PositiveIntegerField(default=0)
    worker = models.UUIDField(null=True)  # the Worker that has it now, or had it last
    is_applied = models.BooleanField(
        default=False
    )  # its apply was begun: "as wanted" then means succeeded, not skipped
    memory = models.JSONField(
        default=dict
    )  # what the operation remembers between looks: ids and counts, never a secret
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
        top_id = Run.objects.values_list("parent_id", flat=True).get(pk=self.run_id) or self.run_id
        Event.objects.create(
            run_id=self.run_id,
            top_id=top_id,
            step_id=self.pk,
            kind=f"step.{to}",
            message=f"{self.title}: {self.why}" if self.why else self.title,
        )
        poke_after_commit({top_id})


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
        indexes = [
            models.Index(fields=["top", "id"], name="event_tail"),
            models.Index(fields=["run", "id"], name="event_run"),
        ]
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.at:%H:%M:%S} {self.kind} {self.message}"


class Worker(models.Model):
    """A process that carries out steps, and when it last said that it lives."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=256)  # host and process id
    started_at = models.DateTimeField(default=timezone.now)
    heartbeat_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.name


class Lease(models.Model):
    """Which worker does a thing that only one may do at a time, and until when it may."""

    name = models.CharField(primary_key=True, max_length=32)
    worker = models.UUIDField()
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} by {self.worker}"
