"""Registers the app with Django."""

from typing import Any

from django.apps import AppConfig
from django.apps import apps as installed  # a flush names none
from django.db.models.signals import post_migrate


def _fill(sender: AppConfig, apps: Any = installed, plan: Any = None, **kwargs: Any) -> None:
    """After migrations (and after a flush): the filters that every installation has, unless it was migrated to nothing."""
    from accounts.models import Tenant
    from inventory.saved_filters import ensure_system_filters

    try:
        apps.get_model("inventory", "Filter")._meta.get_field("is_system")
    except LookupError:
        return
    tenant, _ = Tenant.objects.get_or_create(name=Tenant.DEFAULT)
    ensure_system_filters(tenant)


class InventoryConfig(AppConfig):
    name = "inventory"

    def ready(self) -> None:
        from inventory.watching import SECONDS, TASK
        from runs import chores

        chores.register(TASK, SECONDS)
        post_migrate.connect(_fill, sender=self, dispatch_uid="system-filters")
