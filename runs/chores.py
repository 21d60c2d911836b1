"""What an installation does of itself every so often: tasks by name, sent to the workers by whoever sweeps, once for all members."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from celery import current_app
from celery.exceptions import CeleryError
from kombu.exceptions import KombuError

logger = logging.getLogger(__name__)
CHORES: dict[str, float] = {}  # name of a task -> seconds between two of it


def register(task: str, seconds: float) -> None:
    """Have a Celery task without arguments done every so many seconds. It must bear being done twice, or left out once."""
    CHORES[task] = seconds


def publish(task: str, seconds: float) -> None:
    """Put a message on the broker; one that nobody took until the next is dropped."""
    current_app.send_task(task, expires=seconds, ignore_result=True)


@dataclass
class Rota:
    """When each chore was sent last, by the process that sweeps; a new one begins with all of them."""

    sent_at: dict[str, float] = field(default_factory=dict)

    def send_due(self, now: float | None = None, send: Callable[[str, float], None] = publish) -> list[str]:
        """Send what is due; the tasks. What the broker does not take is due again at once."""
        now = time.monotonic() if now is None else now
        due = [task for task, seconds in CHORES.items() if now - self.sent_at.get(task, -seconds) >= seconds]
        for task in due:
            try:
                send(task, CHORES[task])
            except (OSError, KombuError, CeleryError) as error:
                logger.warning("The broker takes no messages (%s); %s is sent later", error, task)
                break
            self.sent_at[task] = now
        return due
