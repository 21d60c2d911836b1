"""Registers the app with Django, and finds the operations of all apps: every process must know them by their keys."""

import importlib

from django.apps import AppConfig
from django.conf import settings
from django.utils.module_loading import autodiscover_modules


class RunsConfig(AppConfig):
    name = "runs"

    def ready(self) -> None:
        autodiscover_modules("operations")
        for module in settings.EXTRA_OPERATIONS:
            importlib.import_module(module)
