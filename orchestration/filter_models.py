"""Saved filters of blueprints; those of deployments are inventory's."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.models import Tenant, Visibility


class BlueprintFilter(models.Model):
    """A saved list of rules over labels and attributes of blueprints."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="blueprint_filters")
    name = models.CharField(max_length=256)  # the `id` of v3.1
    rules = models.JSONField()  # [{"type", "key", "operator", "values"}], AND-ed
    visibility = models.CharField(max_length=8, choices=Visibility, default=Visibility.TENANT)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="blueprint_filter_name_per_tenant")]
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
