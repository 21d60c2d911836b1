"""The one Celery task of the engine, and what a `celery worker` process does besides: say that it lives, sweep when it is its turn."""

from __future__ import annotations

from typing import Any

from celery import shared_task, signals
from celery.concurrency import get_implementation

from runs.desk import Item
from runs.sweeper import TASK, Caretaker
from runs.warming import warm_up
from runs.work import Crew
from runs.workers import me

_caretakers: list[Caretaker] = []


@shared_task(name=TASK, ignore_result=True)
def work(items: list[Item]) -> None:
    """Carry out steps [[run, step, attempt], ...] that are due; the message is only a wake-up."""
    Crew().work([(run_id, step_id, attempt) for run_id, step_id, attempt in items])


@signals.celeryd_init.connect(weak=False)
def refuse_what_cannot_work(conf: Any = None, options: dict[str, Any] | None = None, **_: Any) -> None:
    """Sent by `celery worker` alone, before it starts anything. SystemExit, for Celery only logs what a signal's receiver raises."""
    if conf is not None and str(conf.broker_url).startswith("memory"):
        raise SystemExit(
            "BROKER_URL is memory://, which reaches no other process: `manage.py up` has its workers inside. "
            "Set BROKER_URL to a RabbitMQ for workers of their own."
        )
    if get_implementation((options or {}).get("pool") or "prefork") is not get_implementation("threads"):
        raise SystemExit("The worker must run its tasks in threads: start it with -P threads.")


@signals.worker_ready.connect(weak=False)
def start_caretaker(sender: Any = None, **_: Any) -> None:
    """`celery worker` is ready; the embedded worker has its caretaker started by runs.embedded."""
    caretaker = Caretaker()
    caretaker.start()
    _caretakers.append(caretaker)
    warm_up()


@signals.worker_shutting_down.connect(weak=False)
def begin_nothing_new(**_: Any) -> None:
    """What is at work comes to the end of its step; what follows is due for other workers."""
    me.is_stopping.set()
    for caretaker in _caretakers:
        caretaker.stop()
