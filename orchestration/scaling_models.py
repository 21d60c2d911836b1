"""Modifications of deployments: how many instances of what there are to be, and how that went."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone

from runs.states import StateRow


class Modification(StateRow):
    """One change of how many instances a deployment has; begun, then finished or rolled back, by the workflow `scale` as a rule."""

    class State(models.TextChoices):
        STARTED = "started", "Started"
        FINISHED = "finished", "Finished"
        ROLLED_BACK = "rolledback", "Rolled back"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    local = models.ForeignKey("orchestration.LocalDeployment", on_delete=models.CASCADE, related_name="modifications")
    execution = models.ForeignKey(
        "orchestration.Execution", null=True, on_delete=models.SET_NULL, related_name="modifications"
    )
    state = models.CharField(max_length=12, choices=State, default=State.STARTED)
    modified_nodes = models.JSONField()  # {node or scaling group: {"instances": how many, hints which to remove}}
    # {"added_and_related", "removed_and_related", ..., "before_modification", "before_rollback"}: instances as v3.1 shows them
    node_instances = models.JSONField(default=dict)
    context = models.JSONField(default=dict)  # what who began it wants to keep with it
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["local"], condition=models.Q(state="started"), name="one_started_modification_per_deployment"
            )
        ]
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.local}: {', '.join(sorted(self.modified_nodes))}"
