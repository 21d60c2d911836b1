"""The rows of the audit trail; accounts.models has them, too, and only accounts.audit writes them."""

from __future__ import annotations

from django.db import models


class AuditChain(models.Model):
    """The head of one hash chain; its row is the lock under which the next entry is written."""

    name = models.CharField(primary_key=True, max_length=256)  # tenant name, or "" for the installation's own
    sequence = models.PositiveBigIntegerField(default=0)  # of the last entry; 0: none yet
    hash = models.CharField(max_length=64, blank=True)  # of the last entry

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name or "installation"


class AuditEntry(models.Model):
    """A change that a person or a token asked for; one hash chain a tenant (`chain` "" is the installation's own)."""

    chain = models.CharField(max_length=256)  # tenant name, or "" for what belongs to no tenant
    sequence = models.PositiveBigIntegerField()
    at = models.DateTimeField()
    actor = models.CharField(max_length=256)  # user name; kept when the user is deleted
    via = models.CharField(max_length=32, blank=True)  # page, api, admin, token ctok-<id>, command
    action = models.CharField(max_length=64)  # "environment.create"
    object_type = models.CharField(max_length=64)
    object_id = models.CharField(max_length=256)
    object_name = models.CharField(max_length=256, blank=True)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["chain", "sequence"], name="audit_sequence_per_chain")]
        indexes = [models.Index(fields=["chain", "-at"]), models.Index(fields=["object_type", "object_id"])]
        ordering = ["-id"]
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.object_name or self.object_id}"
