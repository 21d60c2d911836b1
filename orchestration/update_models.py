"""Updates of deployments: what was changed, from what to what, and how it went."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone

from runs.states import StateRow


class DeploymentUpdate(StateRow):
    """One change of a deployment to another blueprint or other inputs; its work is an execution of the workflow `update`."""

    class State(models.TextChoices):
        UPDATING = "updating", "Updating"
        EXECUTING = "executing_workflow", "Executing workflow"
        FINALIZING = "finalizing", "Finalizing"
        SUCCESSFUL = "successful", "Successful"
        FAILED = "failed", "Failed"
        PREVIEW = "preview", "Preview"

    local = models.ForeignKey("orchestration.LocalDeployment", on_delete=models.CASCADE, related_name="updates")
    wire_id = models.CharField(max_length=300, unique=True)  # the deployment's id and a uuid
    execution = models.OneToOneField(
        "orchestration.Execution", null=True, on_delete=models.SET_NULL, related_name="deployment_update"
    )
    state = models.CharField(max_length=20, choices=State, default=State.UPDATING)
    old_blueprint = models.ForeignKey("orchestration.Blueprint", null=True, on_delete=models.SET_NULL, related_name="+")
    new_blueprint = models.ForeignKey("orchestration.Blueprint", null=True, on_delete=models.SET_NULL, related_name="+")
    old_inputs = models.JSONField(null=True)
    new_inputs = models.JSONField(null=True)
    steps = models.JSONField(default=list)  # [{"action", "entity_type", "entity_id", "topology_order"}]
    options = models.JSONField(default=dict)  # as asked for: skip_install, force_reinstall, ...
    # What is taken away when it has succeeded: {"nodes": names, "relationships": {node: those that stay}, "instances": {id: ...}}
    leftovers = models.JSONField(default=dict)
    runtime_only_evaluation = models.BooleanField(default=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.wire_id
