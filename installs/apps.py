"""Registers the app with Django."""

from django.apps import AppConfig


class InstallsConfig(AppConfig):
    name = "installs"

    def ready(self) -> None:
        from installs.drills import operations as drills  # noqa: F401  (registers them; those of `operations` are found by themselves)
        from installs.following import follow_ended
        from installs.health.watching import SECONDS, TASK
        from installs.preflight import operations  # noqa: F401
        from runs import chores
        from runs.housekeeping import register

        register(follow_ended)
        chores.register(TASK, SECONDS)
