"""The Celery tasks of the management service; the engine's own are in runs.tasks."""

from __future__ import annotations

from celery import shared_task

from orchestration import schedules

FIRE = "orchestration.fire_schedules"
FIRE_SECONDS = 2.0


@shared_task(name=FIRE, ignore_result=True)
def fire_schedules() -> None:
    """Start what schedules have due."""
    schedules.fire_due()
