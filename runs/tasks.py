"""The one Celery task of the engine: a message names steps that are due, and is only a wake-up."""
from __future__ import annotations

from celery import shared_task

from runs.work import Crew, Item


@shared_task(name="runs.work", ignore_result=True)
def work(items: list[Item]) -> None:
    """Carry out steps [[run, step, attempt], ...]."""
    Crew().work([(run_id, step_id, attempt) for run_id, step_id, attempt in items])
