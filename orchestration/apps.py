"""Registers the app with Django, and what its operations are called with the engine."""

from importlib import import_module

from django.apps import AppConfig


class OrchestrationConfig(AppConfig):
    name = "orchestration"

    def ready(self) -> None:
        # A worker finds operations by key: they must be registered in every process.
        import_module("orchestration.operations")
        tasks = import_module("orchestration.tasks")
        import_module("runs.chores").register(tasks.FIRE, tasks.FIRE_SECONDS)
        remover = import_module("orchestration.deployments").remove_hidden
        import_module("inventory.hiding").register_remover(remover)
        # The first upload or execution shall not wait until the runner's warm parent has started.
        supervisor = import_module("orchestration.supervisor").supervisor
        import_module("runs.warming").register(supervisor.warm)
