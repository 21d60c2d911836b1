"""ASGI entry: http to Django, websockets to the consumers behind origin and session checks."""

import os

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
http = get_asgi_application()

from portal.checks import refuse  # noqa: E402  (Django must be set up first)

refuse()

from accounts.websockets import OriginOrToken, PersonMiddleware  # noqa: E402
from runs.routing import websocket_urlpatterns  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": http,
        "websocket": OriginOrToken(PersonMiddleware(URLRouter(websocket_urlpatterns))),
    }
)
