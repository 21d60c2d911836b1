"""Rows of what is installed on a cluster's hosts and was done there: certificates, work, drills. The cluster is in inventory."""

from __future__ import annotations

import datetime

from django.db import models
from django.utils import timezone

from accounts.models import Secret, Tenant
from inventory.health.values import Health
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
    # The end of the run that the cluster's state has followed; a run that is resumed ends again.
    followed_at = models.DateTimeField(null=True, editable=False)

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


class DrillQuerySet(models.QuerySet["Drill"]):
    """Reads of drills."""

    def last_ones(self) -> DrillQuerySet:
        """With run and person, newest first."""
        return self.select_related("run__started_by").order_by("-pk")

    def last_of_each(self) -> DrillQuerySet:
        """Among these the last one of every kind, the latest first; one query."""
        newest = self.order_by().values("kind").annotate(last=models.Max("pk")).values("last")
        return Drill.objects.filter(pk__in=newest).last_ones()


class Drill(models.Model):
    """One drill on a cluster: what was broken on purpose, and what the counter says that was written meanwhile."""

    class Kind(models.TextChoices):
        MANAGER = "manager", "A manager host is killed"
        LEADER = "leader", "The leader of the database loses its power"
        QUEUE = "queue", "A queue host is cut off"

    class Verdict(models.TextChoices):
        NONE = "", "None yet"
        PASSED = "passed", "Passed"
        FAILED = "failed", "Failed"

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="drills")
    kind = models.CharField(max_length=8, choices=Kind)
    run = models.OneToOneField(Run, on_delete=models.CASCADE, related_name="of_drill")
    host = models.CharField(max_length=63, blank=True)  # the one that is struck; empty until the run has chosen it
    writer = models.CharField(max_length=63, blank=True)  # the manager host from which the counter is written
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    struck_at = models.DateTimeField(null=True, blank=True)
    healed_at = models.DateTimeField(
        null=True, blank=True
    )  # every part well again, the host that was struck among them
    ended_at = models.DateTimeField(null=True, blank=True)
    expected_seconds = models.FloatField(default=0)  # a longer gap is called slow
    gap_seconds = models.FloatField(null=True, blank=True)  # the longest time in which no write was acknowledged
    acknowledged = models.PositiveIntegerField(null=True, blank=True)  # writes
    lost = models.PositiveIntegerField(null=True, blank=True)  # of these; null: they could not be read back
    messages = models.JSONField(default=dict, blank=True)  # the same of the queue: acknowledged, lost, gap_seconds
    errors = models.JSONField(default=dict, blank=True)  # {what a write met: how often}
    verdict = models.CharField(max_length=8, choices=Verdict, default=Verdict.NONE, blank=True)
    why = models.CharField(max_length=512, blank=True)

    objects = DrillQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.host or self.cluster}"

    @property
    def tenant(self) -> Tenant:
        return self.cluster.tenant

    @property
    def state(self) -> str:
        """passed or failed; that of its run where it came to no verdict."""
        return self.verdict or ("failed" if self.run.state == "succeeded" else self.run.state)

    @property
    def shown_why(self) -> str:
        """Why it failed, or what it waits for."""
        return self.why or self.run.why

    @property
    def is_slow(self) -> bool:
        return self.gap_seconds is not None and self.gap_seconds > self.expected_seconds > 0

    @property
    def healed_seconds(self) -> float | None:
        """From the blow until everything was well again."""
        if self.struck_at is None or self.healed_at is None:
            return None
        return round((self.healed_at - self.struck_at).total_seconds(), 1)


class Checkup(models.Model):
    """What was seen of a cluster when it was last looked at: the judgement, and all that it rests on."""

    cluster = models.OneToOneField(Cluster, on_delete=models.CASCADE, related_name="checkup")
    verdict = models.CharField(max_length=10, choices=[(each.value, each.capitalize()) for each in Health])
    told = models.JSONField(default=dict)  # as inventory.health.values.ClusterHealth.as_json gives it
    looked_at = models.DateTimeField(default=timezone.now)
    known_at = models.DateTimeField(null=True, blank=True)  # when some host last said something
    unwell_since = models.DateTimeField(null=True, blank=True)  # none: it was healthy
    asking_until = models.DateTimeField(default=timezone.now)  # somebody looks just now; others take what is here

    class Meta:
        ordering = ["cluster"]

    def __str__(self) -> str:
        return f"{self.cluster}: {self.verdict}"

    @property
    def tenant(self) -> Tenant:
        return self.cluster.tenant
