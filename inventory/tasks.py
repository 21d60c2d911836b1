"""Tasks that the workers do every so often."""

from __future__ import annotations

from celery import shared_task

from inventory import watching


@shared_task(name=watching.TASK)
def watch_environments() -> None:
    """Look again at the environments whose last look is too old."""
    watching.watch()
