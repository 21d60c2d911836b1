"""Celery tasks of clusters: what is done of itself."""

from __future__ import annotations

from celery import shared_task

from installs import following
from installs.health import watching


@shared_task(name=watching.TASK, ignore_result=True)
def look_at_clusters() -> None:
    """See how every cluster is that serves."""
    watching.look_at_clusters()


@shared_task(name=following.TASK, ignore_result=True)
def follow_ended() -> None:
    """Have every cluster say what the work on it came to."""
    following.follow_ended()
