"""Registers the app with Django, and what it puts on environments with the inventory."""

from importlib import import_module

from django.apps import AppConfig


class DeployonConfig(AppConfig):
    name = "deployon"

    def ready(self) -> None:
        scans = import_module("deployon.scans")
        import_module("runs.chores").register(scans.TASK, scans.SECONDS)
        ours = import_module("deployon.standing")
        import_module("inventory.standing").register(ours.Services())
        import_module("inventory.capabilities").register("placement", ours.CAPABILITIES)
