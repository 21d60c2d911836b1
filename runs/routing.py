"""Websocket addresses."""

from __future__ import annotations

from typing import Any

from django.urls import re_path

from runs.consumers import RunConsumer

websocket_urlpatterns: list[Any] = [re_path(r"^ws/runs/(?P<run_id>[0-9]{1,18})/$", RunConsumer.as_asgi())]
