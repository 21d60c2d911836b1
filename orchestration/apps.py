"""Registers the app with Django."""
from django.apps import AppConfig


class OrchestrationConfig(AppConfig):
    name = "orchestration"
