"""Registers the app with Django, and what it puts on environments with the inventory."""

from importlib import import_module

from django.apps import AppConfig


class DeployonConfig(AppConfig):
    name = "deployon"

    def ready(self) -> None:
        inventory, ours = import_module("inventory.standing"), import_module("deployon.standing")
        inventory.register(ours.Services())
