"""The one Celery application; task modules live in the apps and are found by name."""

import os
from typing import Any

from celery import Celery, signals
from celery.worker.consumer import Consumer as CeleryConsumer

from portal import broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

broker.register()
app = Celery("deployon")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


class Consumer(CeleryConsumer):
    """Without what Celery sets up for messages to be delivered later, of which there are none here.

    Whenever a worker connects anew it would declare 28 queues at every broker of BROKER_URL. Where one is lost, that takes so long that
    its own connection is given up meanwhile, and it begins again, for ever.
    """

    class Blueprint(CeleryConsumer.Blueprint):  # type: ignore[misc, valid-type]  # untyped there
        default_steps = [
            step for step in CeleryConsumer.Blueprint.default_steps if not step.endswith(":DelayedDelivery")
        ]


@signals.celeryd_init.connect(weak=False)
def refuse_settings(**_: Any) -> None:
    """A worker runs Django's checks but carries on whatever they say, and it only logs what a receiver raises: SystemExit ends it."""
    from django.core.exceptions import ImproperlyConfigured

    from portal.checks import refuse

    try:
        refuse()
    except ImproperlyConfigured as error:
        raise SystemExit(str(error)) from None
