"""Tasks that the workers do every so often."""

from __future__ import annotations

from celery import shared_task

from deployon import scans


@shared_task(name=scans.TASK)
def scan_environments() -> None:
    """Look again at what stands on the environments whose last look is too old."""
    scans.scan_due()
