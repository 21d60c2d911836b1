"""Rows of what is installed on a cluster's hosts: certificates. The cluster and its hosts are in inventory."""

from __future__ import annotations

import datetime

from django.db import models
from django.utils import timezone

from accounts.models import Secret, Tenant
from inventory.models import Cluster, ClusterNode
from runs.models import Run
from runs.states import StateRow


class Certificate(StateRow):
    """One certificate of a cluster, or a request for one that the operator's CA has not signed yet; its key is a secret."""

    class Kind(models.TextChoices):
        AUTHORITY = "authority", "Authority"
        HOST = "host", "Host"
        CLIENT = "client", "Client"  # shown to the database by a program; its common name is the user
        ENTRANCE = "entrance", "Entrance"  # shown to users, where it is not the host's own

    class Source(models.TextChoices):
        OWN = "own", "Signed by the cluster's own CA"
        OPERATOR = "operator", "Signed by your CA"
        GIVEN = "given", "Uploaded with its key"

    class State(models.TextChoices):
        REQUESTED = "requested", "Waiting for your CA"
        CURRENT = "current", "In use"
        REPLACED = "replaced", "Replaced"

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="certificates")
    kind = models.CharField(max_length=12, choices=Kind)
    owner = models.CharField(max_length=128)  # name of the host, common name of a client; "ca", "entrance"
    node = models.ForeignKey(ClusterNode, null=True, blank=True, on_delete=models.SET_NULL, related_name="certificates")
    source = models.CharField(max_length=8, choices=Source, default=Source.OWN)
    state = models.CharField(max_length=10, choices=State, default=State.CURRENT, editable=False)
    subject = models.CharField(max_length=512)  # as RFC 4514 writes it
    names = models.JSONField(default=list)  # names and addresses that it is for
    issuer = models.CharField(max_length=512, blank=True)
    not_before = models.DateTimeField(null=True, blank=True)
    not_after = models.DateTimeField(null=True, blank=True)
    serial = models.CharField(max_length=64, blank=True)  # hexadecimal
    fingerprint = models.CharField(max_length=95, blank=True)  # SHA-256, AB:CD:...
    pem = models.TextField(blank=True)  # the certificate, then intermediates if any
    request = models.TextField(blank=True)  # the signing request, PEM
    key = models.ForeignKey(Secret, null=True, blank=True, on_delete=models.PROTECT, related_name="key_of_certificates")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["cluster", "kind", "owner", "state"],
                condition=models.Q(state__in=["current", "requested"]),
                name="one_certificate_in_use_per_owner",
            )
        ]
        ordering = ["kind", "owner", "-created_at"]

    def __str__(self) -> str:
        return f"{self.kind} certificate {self.owner}"

    @property
    def tenant(self) -> Tenant:
        return self.cluster.tenant

    @property
    def days_left(self) -> int | None:
        """Whole days until it expires, negative after that; None for a request."""
        return None if self.not_after is None else (self.not_after - timezone.now()) // datetime.timedelta(days=1)


class ClusterRunQuerySet(models.QuerySet["ClusterRun"]):
    """Reads of work on clusters."""

    def last_ones(self) -> ClusterRunQuerySet:
        """The last ten with run and person, newest first."""
        return self.select_related("run__started_by").order_by("-pk")[:10]


class ClusterRun(models.Model):
    """One piece of work on a cluster: what it was for, and the run of the engine that did it."""

    class Kind(models.TextChoices):
        INSTALL = "install", "Install"
        VERIFY = "verify", "Verify"
        UNINSTALL = "uninstall", "Uninstall"
        PREFLIGHT = "preflight", "Preflight"
        ADD_HOST = "add_host", "Add a host"
        REMOVE_HOST = "remove_host", "Remove a host"
        DRILL = "drill", "Drill"

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="cluster_runs")
    kind = models.CharField(max_length=12, choices=Kind)
    host = models.CharField(max_length=63, blank=True)  # the one that it is about, if it is about one
    run = models.OneToOneField(Run, on_delete=models.CASCADE, related_name="of_cluster")
    key = models.CharField(max_length=128, blank=True)  # Idempotency-Key of the request: the same again starts nothing
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ClusterRunQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["cluster", "key"], condition=~models.Q(key=""), name="cluster_run_once_per_key"
            )
        ]
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.cluster}"

    @property
    def tenant(self) -> Tenant:
        return self.cluster.tenant
