"""Registers the app with Django."""

from django.apps import AppConfig


class DeployonConfig(AppConfig):
    name = "deployon"
