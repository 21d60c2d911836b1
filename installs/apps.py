"""Registers the app with Django."""

from django.apps import AppConfig


class InstallsConfig(AppConfig):
    name = "installs"

    def ready(self) -> None:
        from installs import following
        from installs.drills import operations as drills  # noqa: F401  (registers them; those of `operations` are found by themselves)
        from installs.health import watching
        from installs.preflight import operations  # noqa: F401
        from runs import chores

        chores.register(watching.TASK, watching.SECONDS)
        chores.register(following.TASK, following.SECONDS)
