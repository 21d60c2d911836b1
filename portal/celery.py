"""The one Celery application; task modules live in the apps and are found by name."""

import os
from typing import Any

from celery import Celery, signals

from portal import broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

broker.register()
app = Celery("deployon")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.celeryd_init.connect(weak=False)
def refuse_settings(**_: Any) -> None:
    """A worker runs Django's checks but carries on whatever they say, and it only logs what a receiver raises: SystemExit ends it."""
    from django.core.exceptions import ImproperlyConfigured

    from portal.checks import refuse

    try:
        refuse()
    except ImproperlyConfigured as error:
        raise SystemExit(str(error)) from None
