"""The roof: settings, urls, asgi, celery, API router, overview page and health. Imported by no one."""

from portal.celery import app as celery_app

__all__ = ["celery_app"]
