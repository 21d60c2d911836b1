"""Reads of deployments and environments: who may see them, which match a filter."""
from __future__ import annotations

from django.db import models


class DeploymentQuerySet(models.QuerySet["inventory.models.Deployment"]):  # type: ignore[name-defined]  # noqa: F821
    """Deployments."""


class EnvironmentQuerySet(models.QuerySet["inventory.models.Environment"]):  # type: ignore[name-defined]  # noqa: F821
    """Environments."""
