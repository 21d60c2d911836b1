"""Which deployment depends on which; when such rows are made and what they stand in the way of is in dependencies."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone


class Dependency(models.Model):
    """A deployment that uses another: its capabilities, or as a component or shared resource, here or at a remote manager."""

    source = models.ForeignKey("inventory.Deployment", on_delete=models.CASCADE, related_name="uses")
    # None: it is at a remote manager, or the function does not name it yet.
    target = models.ForeignKey("inventory.Deployment", null=True, on_delete=models.CASCADE, related_name="used_by")
    creator = models.CharField(
        max_length=512
    )  # what in the source makes it: nodes.app.properties.url, component.db_x1y2
    external_target = models.JSONField(
        null=True, blank=True
    )  # {"deployment", "client_config": {host, tenant}}; no login
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "creator"], name="one_dependency_per_source_and_creator")
        ]
        ordering = ["id"]
        verbose_name_plural = "dependencies"

    def __str__(self) -> str:
        return f"{self.source} uses {self.target or (self.external_target or {}).get('deployment', '')}"
