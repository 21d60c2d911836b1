"""Workers inside the web process, for the shape that needs no other server: real Celery, its threads and its sweeper."""

from __future__ import annotations

import logging
import threading
import time
import uuid

from celery import current_app

from runs import workers
from runs.sweeper import Caretaker

logger = logging.getLogger(__name__)


class EmbeddedWorkers:
    """The running parts; `stop` ends them."""

    def __init__(self, threads: int) -> None:
        app = current_app._get_current_object()  # type: ignore[attr-defined]
        app.finalize()
        app.loader.import_default_modules()
        self.controller = app.WorkController(
            pool="threads", concurrency=threads, without_gossip=True, without_mingle=True, without_heartbeat=True
        )
        self.thread = threading.Thread(target=self.controller.start, name="celery", daemon=True)
        self.caretaker = Caretaker()

    def start(self) -> None:
        self.thread.start()
        self.caretaker.start()

    def stop(self, seconds: float = 2.0) -> bool:
        """Begin nothing new and give steps at work `seconds` to end; True when all did. The rest is resumed by the next start."""
        workers.me.is_stopping.set()
        self.caretaker.stop()
        until = time.monotonic() + seconds
        while workers.me.in_hand and time.monotonic() < until:
            time.sleep(0.02)
        return not workers.me.in_hand


def start_workers(threads: int, predecessor: uuid.UUID | None = None) -> EmbeddedWorkers:
    """Start `threads` worker threads and the sweeper; `predecessor` is a worker that is known to have ended."""
    if predecessor is not None:
        caught = workers.succeed(predecessor)
        if caught:
            logger.warning(
                "%d steps were caught in the middle when this installation stopped, and are repeated", caught
            )
    embedded = EmbeddedWorkers(threads)
    embedded.start()
    return embedded
