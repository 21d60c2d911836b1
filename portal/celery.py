"""The one Celery application; task modules live in the apps and are found by name."""
import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

app = Celery("deployon")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
