"""Who is behind a websocket."""
from channels.auth import AuthMiddlewareStack as PersonMiddleware  # noqa: F401
