"""Celery tasks of clusters: what is done of itself."""

from __future__ import annotations

from celery import shared_task

from installs.health import watching


@shared_task(name=watching.TASK, ignore_result=True)
def look_at_clusters() -> None:
    """See how every cluster is that serves."""
    watching.look_at_clusters()
