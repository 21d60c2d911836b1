"""Registers the app with Django."""

from django.apps import AppConfig


class InstallsConfig(AppConfig):
    name = "installs"
