"""Sites, sub-managers, environments and the one deployment row that v3.1 lists; how to reach them is in connectors."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from accounts.models import Secret, Tenant, Visibility
from inventory.cluster_models import Cluster as Cluster
from inventory.cluster_models import ClusterNode as ClusterNode
from inventory.cluster_models import ClusterSecret as ClusterSecret
from inventory.cluster_models import HostKey as HostKey
from inventory.querysets import (
    DeploymentQuerySet,
    EnvironmentQuerySet,
    FilterQuerySet,
    SiteQuerySet,
    SubManagerQuerySet,
)
from runs.states import StateRow


class Archive(models.Model):
    """The bytes of an uploaded blueprint, kept once by content, where every host of an installation can read them."""

    digest = models.CharField(primary_key=True, max_length=64)  # SHA-256 of content
    content = models.BinaryField(editable=False)
    size = models.PositiveBigIntegerField()
    file_name = models.CharField(max_length=256)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.file_name} {self.digest[:12]}"


class Site(models.Model):
    """A place where remote managers stand."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="sites")
    name = models.CharField(max_length=256)
    latitude = models.FloatField(null=True, blank=True, validators=[MinValueValidator(-90), MaxValueValidator(90)])
    longitude = models.FloatField(null=True, blank=True, validators=[MinValueValidator(-180), MaxValueValidator(180)])
    time_zone = models.CharField(max_length=64, blank=True)
    visibility = models.CharField(max_length=8, choices=Visibility, default=Visibility.TENANT)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = SiteQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="site_name_per_tenant")]
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def location(self) -> str:
        """ "lat, lon" as v3.1 spells it, or ""."""
        return "" if self.latitude is None or self.longitude is None else f"{self.latitude}, {self.longitude}"


class Credential(models.Model):
    """What is shown to a remote manager: a token, or a user and password, each kept as a secret."""

    class Kind(models.TextChoices):
        TOKEN = "token", "Token"
        PASSWORD = "password", "User and password"

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="credentials")
    kind = models.CharField(max_length=8, choices=Kind)
    token = models.ForeignKey(Secret, null=True, blank=True, on_delete=models.PROTECT, related_name="used_as_token")
    username = models.ForeignKey(
        Secret, null=True, blank=True, on_delete=models.PROTECT, related_name="used_as_username"
    )
    password = models.ForeignKey(
        Secret, null=True, blank=True, on_delete=models.PROTECT, related_name="used_as_password"
    )
    # Parts ("token", ...) whose secrets were made from values entered for this credential, and go with it.
    own_parts = models.JSONField(default=list, editable=False)
    token_expires_at = models.DateTimeField(
        null=True, blank=True, editable=False
    )  # as its manager told at the last look
    last_success_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_failure_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_failure = models.CharField(max_length=512, blank=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind="token", token__isnull=False)
                | models.Q(kind="password", username__isnull=False, password__isnull=False),
                name="credential_is_whole",
            )
        ]

    def __str__(self) -> str:
        return (
            f"token {self.token}"
            if self.kind == self.Kind.TOKEN
            else f"user {self.username} and password {self.password}"
        )


class SubManager(models.Model):
    """One remote manager: where it answers, how far it is trusted, what it said of itself."""

    class Protocol(models.TextChoices):
        HTTPS = "https", "https"
        HTTP = "http", "http"

    class Trust(models.TextChoices):
        SYSTEM = "system", "Known authorities"
        CA_BUNDLE = "ca_bundle", "Own CA bundle"
        FINGERPRINT = "fingerprint", "Pinned fingerprint"
        INSECURE = "insecure", "Insecure"

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="sub_managers")
    endpoint = models.CharField(max_length=253)  # host name or address
    protocol = models.CharField(max_length=5, choices=Protocol, default=Protocol.HTTPS)
    port = models.PositiveIntegerField(default=443, validators=[MinValueValidator(1), MaxValueValidator(65535)])
    trust = models.CharField(max_length=12, choices=Trust, default=Trust.SYSTEM)
    ca_bundle = models.TextField(blank=True)  # PEM
    fingerprint = models.CharField(max_length=95, blank=True)  # SHA-256 of the certificate, AB:CD:...
    insecure_reason = models.CharField(max_length=256, blank=True)
    version = models.CharField(max_length=64, blank=True, editable=False)
    edition = models.CharField(max_length=64, blank=True, editable=False)
    certificate_expires_at = models.DateTimeField(null=True, blank=True, editable=False)
    max_parallel = models.PositiveIntegerField(default=0)  # targets at once at this manager; 0: no limit
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = SubManagerQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "endpoint", "protocol", "port"], name="sub_manager_address_per_tenant"
            )
        ]

    def __str__(self) -> str:
        return f"{self.protocol}://{self.endpoint}:{self.port}"


class Deployment(models.Model):
    """The one row that v3.1 lists: an environment, a placement of a service, or what was deployed on this installation."""

    class Kind(models.TextChoices):
        ENVIRONMENT = "environment", "Environment"  # owned by inventory.Environment
        PLACEMENT = "placement", "Service on an environment"  # owned by deployon.Placement
        LOCAL = "local", "Deployed here"  # owned by orchestration.LocalDeployment

    class InstallationStatus(models.TextChoices):
        ACTIVE = "active", "Active"
        INACTIVE = "inactive", "Inactive"

    class DeploymentStatus(models.TextChoices):
        GOOD = "good", "Good"
        IN_PROGRESS = "in_progress", "In progress"
        REQUIRES_ATTENTION = "requires_attention", "Requires attention"

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="deployments")
    wire_id = models.CharField(max_length=256)  # the `id` of v3.1
    display_name = models.CharField(max_length=256)
    kind = models.CharField(max_length=12, choices=Kind)
    description = models.TextField(blank=True)
    blueprint_name = models.CharField(max_length=256, blank=True)  # `blueprint_id` of v3.1
    site = models.ForeignKey(Site, null=True, blank=True, on_delete=models.SET_NULL, related_name="deployments")
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="children")
    visibility = models.CharField(max_length=8, choices=Visibility, default=Visibility.TENANT)
    installation_status = models.CharField(
        max_length=8, choices=InstallationStatus, default=InstallationStatus.INACTIVE
    )
    deployment_status = models.CharField(
        max_length=20, choices=DeploymentStatus, default=DeploymentStatus.REQUIRES_ATTENTION
    )
    sub_services_status = models.CharField(max_length=20, null=True, blank=True)
    sub_environments_status = models.CharField(max_length=20, null=True, blank=True)
    sub_services_count = models.PositiveIntegerField(default=0)
    sub_environments_count = models.PositiveIntegerField(default=0)
    # Copied from the latest execution, so that a list of 10,000 needs no join.
    latest_execution = models.CharField(max_length=36, null=True, blank=True)
    latest_execution_status = models.CharField(max_length=16, null=True, blank=True)
    latest_execution_workflow = models.CharField(max_length=256, null=True, blank=True)
    latest_execution_total = models.PositiveIntegerField(default=0)
    latest_execution_finished = models.PositiveIntegerField(default=0)
    has_schedules = models.BooleanField(default=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = DeploymentQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "wire_id"], name="wire_id_per_tenant")]
        indexes = [
            models.Index(fields=["tenant", "kind", "wire_id"]),
            models.Index(fields=["tenant", "-created_at"]),
        ]

    def __str__(self) -> str:
        return self.display_name or self.wire_id


class Label(models.Model):
    """One key and value of a deployment; a key may have several values."""

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="labels")
    key = models.CharField(max_length=256)  # lower case
    value = models.CharField(max_length=256)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["deployment", "key", "value"], name="label_once_per_deployment")]
        indexes = [models.Index(fields=["key", "value", "deployment"])]

    def __str__(self) -> str:
        return f"{self.key}={self.value}"


class Filter(models.Model):
    """A saved list of rules over labels and attributes of deployments."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="filters")
    name = models.CharField(max_length=256)  # the `id` of v3.1
    rules = models.JSONField()  # [{"type", "key", "operator", "values"}], AND-ed
    is_system = models.BooleanField(default=False)
    visibility = models.CharField(max_length=8, choices=Visibility, default=Visibility.TENANT)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = FilterQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="filter_name_per_tenant")]
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Environment(StateRow):
    """One tenant of a remote manager, exposed here: where services are put."""

    class State(models.TextChoices):
        READY = "ready", "Ready"
        DEGRADED = "degraded", "Degraded"
        UNREACHABLE = "unreachable", "Unreachable"
        MAINTENANCE = "maintenance", "Maintenance"
        UNKNOWN = "unknown", "Unknown"

    deployment = models.OneToOneField(Deployment, on_delete=models.PROTECT, related_name="environment")
    sub_manager = models.ForeignKey(SubManager, on_delete=models.PROTECT, related_name="environments")
    remote_tenant = models.CharField(max_length=256, default=Tenant.DEFAULT)
    # None: a blueprint exposed it, and no secret was there to log in with.
    credential = models.ForeignKey(Credential, null=True, on_delete=models.PROTECT, related_name="environments")
    # The cluster built here whose entrance this is; none: any other manager, or the cluster is forgotten.
    cluster = models.OneToOneField(
        Cluster, null=True, blank=True, on_delete=models.SET_NULL, related_name="environment", editable=False
    )
    state = models.CharField(max_length=12, choices=State, default=State.UNKNOWN)
    why = models.CharField(max_length=512, blank=True)
    state_since = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(null=True, blank=True, editable=False)  # last probe that got through
    last_probe_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = EnvironmentQuerySet.as_manager()

    def __str__(self) -> str:
        return self.deployment.display_name


class Probe(models.Model):
    """One climb of the connection ladder at an environment, rung by rung."""

    environment = models.ForeignKey(Environment, on_delete=models.CASCADE, related_name="probes")
    at = models.DateTimeField(default=timezone.now)
    is_ready = models.BooleanField()
    failed_rung = models.CharField(max_length=16, blank=True)
    milliseconds = models.PositiveIntegerField(default=0)
    rungs = models.JSONField()  # [{"key", "title", "state", "detail", "milliseconds", "remedy"}]

    class Meta:
        indexes = [models.Index(fields=["environment", "-at"])]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.environment_id} {'ready' if self.is_ready else self.failed_rung}"
