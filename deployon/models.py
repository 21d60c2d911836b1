"""Services and their versions, placements on environments, previews, rollouts and their targets."""

from __future__ import annotations

import hashlib

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.models import Tenant
from inventory.models import Archive, Deployment, Environment
from runs.models import Run
from runs.states import StateRow


class Service(models.Model):
    """Something that is put on environments, known by name; what it is stands in its versions."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="services")
    name = models.CharField(max_length=200)  # part of remote ids: letters, digits, - . _
    description = models.TextField(blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="service_name_per_tenant")]
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ServiceVersion(models.Model):
    """One content of a service: a blueprint archive that is pushed, or a blueprint already present at the sub-managers."""

    class Source(models.TextChoices):
        PUSHED = "pushed", "Uploaded here and pushed to each environment"
        PRESENT = "present", "Already present at each environment"

    USUAL_MAIN_FILE = "blueprint.yaml"

    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    source = models.CharField(max_length=8, choices=Source)
    digest = models.CharField(max_length=64)  # of the archive; for "present": SHA-256 of "present:<remote id>"
    archive = models.ForeignKey(Archive, null=True, on_delete=models.PROTECT, related_name="+")
    remote_blueprint = models.CharField(max_length=256, blank=True)  # for "present"
    main_file = models.CharField(max_length=256, default=USUAL_MAIN_FILE)
    inputs_schema = models.JSONField(default=dict)  # {name: {type, default, description, constraints, required, ...}}
    capabilities = models.JSONField(default=list)  # names the blueprint exports
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["service", "number"], name="version_number_per_service"),
            models.UniqueConstraint(fields=["service", "digest", "main_file"], name="version_content_per_service"),
        ]
        ordering = ["-number"]

    def __str__(self) -> str:
        return f"{self.service.name} v{self.number}"

    @property
    def content_digest(self) -> str:
        """What tells one content from another: the digest, and the main file where it is not the usual one."""
        if self.main_file == self.USUAL_MAIN_FILE:
            return self.digest
        return hashlib.sha256(f"{self.digest}:{self.main_file}".encode()).hexdigest()


class Placement(StateRow):
    """A service on an environment, lasting: what is wanted there, what is there."""

    class State(models.TextChoices):
        ABSENT = "absent", "Absent"
        DEPLOYING = "deploying", "Deploying"
        DEPLOYED = "deployed", "Deployed"
        DIFFERS = "differs", "Differs"
        FAILED = "failed", "Failed"
        REMOVING = "removing", "Removing"

    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="placements")
    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="placements")
    deployment = models.OneToOneField(Deployment, on_delete=models.PROTECT, related_name="placement")
    desired_version = models.ForeignKey(ServiceVersion, null=True, on_delete=models.PROTECT, related_name="+")
    desired_inputs = models.JSONField(default=dict)
    state = models.CharField(max_length=12, choices=State, default=State.ABSENT)
    why = models.CharField(max_length=512, blank=True)
    actual_digest = models.CharField(max_length=64, blank=True)
    actual_inputs_hash = models.CharField(max_length=64, blank=True)
    remote_blueprint = models.CharField(max_length=256, blank=True)
    remote_deployment = models.CharField(max_length=256, blank=True)
    remote_execution = models.CharField(max_length=64, blank=True)
    capabilities = models.JSONField(default=dict)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["service", "environment"], name="service_once_per_environment")]

    def __str__(self) -> str:
        return f"{self.service}@{self.environment}"


class Preview(models.Model):
    """What a rollout would do, as it was shown; kept for a day so that Start can name it and say what has changed since."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="previews")
    digest = models.CharField(max_length=64)  # of everything that would happen, see deployon.previews
    action = models.CharField(max_length=12)  # a Rollout.Action
    version = models.ForeignKey(ServiceVersion, on_delete=models.CASCADE, related_name="previews")
    inputs = models.JSONField(default=dict)
    sources = models.JSONField(default=dict)  # inputs that differ by environment, see deployon.sources
    workflow = models.CharField(max_length=256, blank=True)  # of the action workflow
    parameters = models.JSONField(default=dict)  # of that workflow
    rules = models.JSONField(default=list)
    environments = models.JSONField(null=True)  # ids, where they were named one by one instead of by rules
    content = (
        models.JSONField()
    )  # {"create": [row...], "update", "run", "remove", "differs", "stays", "excluded"}; row: deployon.verdicts.Row
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "digest"], name="preview_digest_per_tenant")]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.action} {self.version} ({self.digest[:12]})"

    @property
    def from_environment(self) -> dict[str, str]:
        """Inputs that are read at each environment, as "label:port"."""
        return dict(self.sources.get("values", {}))


class Rollout(models.Model):
    """One command over many environments: put a service there, change it, or take it away. Its run is the parent of its targets' runs."""

    class Action(models.TextChoices):
        DEPLOY = "deploy", "Deploy"
        UPDATE = "update", "Deploy or update"
        WORKFLOW = "workflow", "Run a workflow"
        UNINSTALL = "uninstall", "Uninstall"

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="rollouts")
    action = models.CharField(max_length=12, choices=Action, default=Action.DEPLOY)
    version = models.ForeignKey(ServiceVersion, on_delete=models.PROTECT, related_name="rollouts")
    inputs = models.JSONField(default=dict)
    sources = models.JSONField(default=dict)  # inputs that differ by environment, see deployon.sources
    workflow = models.CharField(max_length=256, blank=True)
    parameters = models.JSONField(default=dict)
    rules = models.JSONField(default=list)  # filter rules as given
    digest = models.CharField(max_length=64)  # of the preview that was started
    preview = models.JSONField()  # content of the Preview as shown
    max_parallel = models.PositiveIntegerField(default=10)
    failure_budget = models.PositiveIntegerField(null=True)
    run = models.ForeignKey(Run, null=True, on_delete=models.PROTECT, related_name="rollouts")  # of the latest attempt
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        count = sum(len(self.preview.get(kind, [])) for kind in ("create", "update", "run", "remove"))
        what = f"Run {self.workflow} of" if self.workflow else self.get_action_display()
        return f"{what} {self.version} on {count} environment{'' if count == 1 else 's'}"


class Target(models.Model):
    """One environment in one rollout: what was to happen there and the run that does it."""

    class Intent(models.TextChoices):
        CREATE = "create", "Create"
        UPDATE = "update", "Update"
        RUN = "run", "Run a workflow"
        DIFFERS = "differs", "Differs, left alone"
        STAYS = "stays", "Already there"
        REMOVE = "remove", "Remove"

    rollout = models.ForeignKey(Rollout, on_delete=models.CASCADE, related_name="targets")
    environment = models.ForeignKey(Environment, null=True, on_delete=models.SET_NULL, related_name="targets")
    environment_name = models.CharField(max_length=256, default="")  # what it was called, kept when it is gone
    placement = models.ForeignKey(Placement, null=True, on_delete=models.SET_NULL, related_name="targets")
    intent = models.CharField(max_length=8, choices=Intent)
    inputs = models.JSONField(null=True)  # of this environment alone; null: those of the rollout
    why = models.CharField(max_length=512, blank=True)  # for those left alone
    run = models.ForeignKey(Run, null=True, on_delete=models.PROTECT, related_name="targets")  # of the latest attempt
    attempts = models.PositiveIntegerField(default=0)
    has_place = models.BooleanField(default=False)  # while its run is active: counts towards SubManager.max_parallel

    ACTING = (Intent.CREATE, Intent.UPDATE, Intent.RUN, Intent.REMOVE)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rollout", "environment"], name="environment_once_per_rollout")]

    def __str__(self) -> str:
        return f"{self.environment_name} in rollout {self.rollout_id}"


class Scan(models.Model):
    """What an environment's sub-manager listed when it was asked last, and in what placements there are not as wanted."""

    environment = models.OneToOneField(Environment, on_delete=models.CASCADE, related_name="scan")
    looked_at = models.DateTimeField(default=timezone.now)  # tried, whether it could be asked or not
    seen_at = models.DateTimeField(null=True)  # of what is kept below; None: it could never be asked
    error = models.CharField(max_length=512, blank=True)  # why the last look brought nothing; "" where it did
    deployments = models.JSONField(default=list)  # rows of deployon.scans.Seen
    drift = models.JSONField(default=list)  # rows of deployon.drift.Finding

    def __str__(self) -> str:
        return f"look at {self.environment}"


class StartKey(models.Model):
    """An Idempotency-Key that started work here: the same key again gives the same rollout and starts nothing."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=128)
    request_hash = models.CharField(max_length=64)  # of path and body: a key must not serve two different requests
    rollout = models.ForeignKey(Rollout, on_delete=models.CASCADE, related_name="start_keys")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "key"], name="start_key_per_tenant")]

    def __str__(self) -> str:
        return self.key
